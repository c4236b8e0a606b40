package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport/parts"
)

// updated is two releases of one image and the bundles of them.
type updated struct {
	dir      string
	key, pub string
	full     string // of release 1
	update   string // to release 2, made from the receipt of the first
}

const updatedName = "docker.io/library/app:1"

func newUpdated(t *testing.T) *updated {
	t.Helper()
	u := &updated{dir: t.TempDir(), key: testdata(t, "keys", "ed25519.pem"), pub: testdata(t, "keys", "ed25519.pub")}
	box, err := os.ReadFile(parts.Tool(t, "busybox"))
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 2; n++ {
		err := writeRelease(u.path(fmt.Sprintf("r%d", n)), "app:1", n, []releaseFile{
			{"opt/busybox", box, 0o755}, {"opt/words", []byte(u.words(n) + "\n"), 0o644},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	u.full, u.update = u.path("1.bale"), u.path("2.bale")
	receipt := u.path("1.receipt")
	mustRun(t, "save", "-o", u.full, "--key", u.key, "--receipt", receipt, "oci:"+u.path("r1"))
	mustRun(t, "save", "-o", u.update, "--key", u.key, "--base", receipt, "oci:"+u.path("r2"))
	u.muchSmaller(t, u.update)
	return u
}

func (u *updated) path(name string) string { return filepath.Join(u.dir, name) }
func (u *updated) words(n int) string      { return fmt.Sprintf("this is release %d", n) }

// muchSmaller checks that a bundle carries little of release 2.
func (u *updated) muchSmaller(t *testing.T, file string) {
	t.Helper()
	whole, part := fileSize(t, u.full), fileSize(t, file)
	if part*2 > whole {
		t.Errorf("the update takes %d bytes, release 1 %d", part, whole)
	}
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return fi.Size()
}

func (u *updated) load(t *testing.T, file, to string, more ...string) outcome {
	t.Helper()
	return mustRun(t, append([]string{"load", "-i", file, "--key", u.pub, "--to", to}, more...)...)
}

// arrived checks that a place has release 2 to the last byte.
func (u *updated) arrived(t *testing.T, place string) {
	t.Helper()
	if err := sameImage(u.dir, "oci:r2:"+updatedName, place); err != nil {
		t.Error(err)
	}
}

// runs checks that the engine has a release under a name, and that it runs.
func (u *updated) runs(t *testing.T, engine *parts.DockerPart, name string, n int) {
	t.Helper()
	if got := engine.Run(t, "run", "--rm", "--network", "none", name); got != u.words(n) {
		t.Errorf("%s prints %q, want %q", name, got, u.words(n))
	}
	if got, want := engine.Run(t, "inspect", "--format", "{{.Id}}", name), u.config(t, n); got != want {
		t.Errorf("%s has the id %s, want %s", name, got, want)
	}
}

// config returns the digest of a release's config, which an engine calls its id.
func (u *updated) config(t *testing.T, n int) string {
	t.Helper()
	dir := u.path(fmt.Sprintf("r%d", n))
	var idx ocispec.Index
	var m ocispec.Manifest
	readJSON(t, filepath.Join(dir, "index.json"), &idx)
	readJSON(t, filepath.Join(dir, "blobs", "sha256", idx.Manifests[0].Digest.Encoded()), &m)
	return m.Config.Digest.String()
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// forget takes all images away from the engine, and their layers with them.
func forget(t *testing.T, engine *parts.DockerPart) {
	t.Helper()
	if ids := strings.Fields(engine.Run(t, "images", "--all", "--quiet")); len(ids) > 0 {
		engine.Run(t, append([]string{"rmi", "--force"}, ids...)...)
	}
}

// An update that was made from a receipt goes into a registry and into an
// engine that have release 1, and into places that have nothing, with the
// earlier bundle at hand. Every digest is the same, and it runs.
func TestUpdateEndToEnd(t *testing.T) {
	engine := parts.SharedDocker(t)
	t.Setenv("DOCKER_HOST", engine.Host)
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	u := newUpdated(t)

	// The far registry, where the old image has lost its tag but not its layers.
	far := parts.Registry(t)
	u.load(t, u.full, "docker://"+far.Addr)
	u.load(t, u.update, "docker://"+far.Addr)
	u.arrived(t, far.Image("library/app:1"))
	forget(t, engine)
	engine.Run(t, "pull", "--quiet", far.Image("library/app:1"))
	u.runs(t, engine, far.Image("library/app:1"), 2)

	// The far engine, where the old image is called something else by now.
	forget(t, engine)
	u.load(t, u.full, enginePlace.prefix)
	u.runs(t, engine, "app:1", 1)
	engine.Run(t, "tag", "app:1", "keep/this:old")
	engine.Run(t, "rmi", "app:1")
	u.load(t, u.update, enginePlace.prefix)
	u.runs(t, engine, "app:1", 2)
	u.runs(t, engine, "keep/this:old", 1)

	// With neither there is nothing to build on, and nothing is written.
	forget(t, engine)
	bare := parts.Registry(t)
	for _, to := range []string{enginePlace.prefix, "docker://" + bare.Addr} {
		o := inProcess(testContext, "load", "-i", u.update, "--key", u.pub, "--to", to)
		if wrong := o.refusal(exitIncomplete); wrong != "" || !strings.Contains(o.errout, "looked in "+to) {
			t.Errorf("%s: exit %d: %s\n%s", to, o.code, wrong, o.errout)
		}
	}
	if left := engine.Run(t, "images", "--all", "--quiet"); left != "" {
		t.Errorf("the engine has %s", left)
	}
	if tags, err := registryTags(bare.Addr); err != nil || len(tags) > 0 {
		t.Errorf("the registry has %v, %v", tags, err)
	}

	// The kept bundle, as a file and in a folder.
	u.load(t, u.update, "docker://"+bare.Addr, "--base", u.full)
	u.arrived(t, bare.Image("library/app:1"))
	kept := u.path("kept")
	if err := os.Mkdir(kept, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(u.full, filepath.Join(kept, "april.bale")); err != nil {
		t.Fatal(err)
	}
	u.load(t, u.update, enginePlace.prefix, "--base", kept)
	u.runs(t, engine, "app:1", 2)
	u.load(t, u.update, "oci:"+u.path("out"), "--base", kept)
	u.arrived(t, "oci:out:"+updatedName)
}

// What an engine or a registry really holds is listed there, carried back, and
// left out of the update.
func TestUpdateFromInventory(t *testing.T) {
	engine := parts.SharedDocker(t)
	t.Setenv("DOCKER_HOST", engine.Host)
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	u := newUpdated(t)
	key, pub := testdata(t, "keys", "rsa.pem"), testdata(t, "keys", "rsa.pub")
	far := parts.Registry(t)
	list, update := u.path("far.bale"), u.path("update.bale")
	for _, place := range [][]string{{enginePlace.prefix}, {enginePlace.prefix + "app:1"}, {"--all-tags", far.Image("library/app")}} {
		forget(t, engine)
		for _, to := range []string{enginePlace.prefix, "docker://" + far.Addr} {
			u.load(t, u.full, to)
		}
		mustRun(t, append([]string{"inventory", "--force", "-o", list, "--key", key}, place...)...)
		o := inProcess(testContext, "load", "-i", list, "--key", pub, "--to", "oci:"+u.path("never"))
		if wrong := o.refusal(exitIncomplete); wrong != "" || !strings.Contains(o.errout, "this is an inventory") {
			t.Errorf("load of an inventory of %s: exit %d: %s\n%s", place, o.code, wrong, o.errout)
		}
		mustRun(t, "save", "--force", "-o", update, "--key", u.key, "--base", list, "--base-key", pub, "oci:"+u.path("r2"))
		u.muchSmaller(t, update)
		// Whichever of the two was listed, the other has the same files.
		u.load(t, update, enginePlace.prefix)
		u.runs(t, engine, "app:1", 2)
		u.load(t, update, "docker://"+far.Addr)
		u.arrived(t, far.Image("library/app:1"))
	}

	// An engine without images has nothing to list.
	forget(t, engine)
	o := inProcess(testContext, "inventory", "--unsigned", "-o", u.path("none.bale"), enginePlace.prefix)
	if wrong := o.refusal(exitIncomplete); wrong != "" {
		t.Errorf("inventory of nothing: exit %d: %s\n%s", o.code, wrong, o.errout)
	}
	if _, err := os.Stat(u.path("none.bale")); err == nil {
		t.Error("there is an inventory of nothing")
	}
}
