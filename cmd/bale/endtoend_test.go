package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport/parts"
)

// Two images that a real engine built on one base go through a real registry
// into bundles, one with gzip layers taken apart and one with layers as they
// came, and from there into other registries and into the engine, which was
// emptied. Every digest is the same, and they run.
func TestEndToEnd(t *testing.T) {
	engine := parts.SharedDocker(t)
	here := parts.Registry(t)
	crane := parts.Tool(t, "crane")
	t.Setenv("DOCKER_HOST", engine.Host)
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	dir := t.TempDir()

	words := map[string]string{here.Image("team/one:1"): "this is one", here.Image("team/two:2"): "this is two"}
	ids := build(t, engine, dir, words)
	var names []string
	for name := range words {
		engine.Run(t, "push", "--quiet", name)
		names = append(names, name)
	}

	key, pub := testdata(t, "keys", "rsa.key"), testdata(t, "keys", "rsa.pub")
	t.Setenv(passwordEnv, "bale-test")
	file, kept := filepath.Join(dir, "team.bale"), filepath.Join(dir, "kept.bale")
	mustRun(t, append([]string{"save", "-o", file, "--key", key}, names...)...)
	mustRun(t, append([]string{"save", "-o", kept, "--layers", "--key", key}, names...)...)
	small, large := inspectedBundle(t, pub, file), inspectedBundle(t, pub, kept)
	if small.Apart.Blobs == 0 || large.Apart.Blobs > 0 || small.Size >= large.Size || small.Content != large.Content {
		t.Errorf("%d of %d blobs are taken apart in %d bytes, %d of %d in %d bytes", small.Apart.Blobs, small.Blobs, small.Size,
			large.Apart.Blobs, large.Blobs, large.Size)
	}

	for _, f := range []string{file, kept} {
		mustRun(t, "verify", "--key", pub, f)
		far := parts.Registry(t)
		mustRun(t, "load", "-i", f, "--key", pub, "--to", "docker://"+far.Addr)
		layers := 0
		for name := range words {
			layers += sameByCrane(t, crane, name, strings.Replace(name, here.Addr, far.Addr, 1))
		}
		if layers != 8 {
			t.Errorf("%d layers were compared, want 8", layers)
		}
	}

	here.Stop() // nothing comes from there any more
	for _, f := range []string{file, kept} {
		empty(t, engine, here.Addr)
		mustRun(t, "load", "-i", f, "--key", pub, "--to", "docker-daemon:")
		runs(t, engine, words, ids)
	}

	// Now from the engine to the engine.
	mustRun(t, append([]string{"save", "-o", file, "--force", "--key", key}, prefixed(enginePlace.prefix, names)...)...)
	empty(t, engine, here.Addr)
	mustRun(t, "load", "-i", file, "--key", pub, "--to", "docker-daemon:")
	runs(t, engine, words, ids)

	// What nobody signed does not get in.
	empty(t, engine, here.Addr)
	o := inProcess(testContext, "load", "-i", file, "--key", testdata(t, "keys", "sec1.pub"), "--to", "docker-daemon:")
	if wrong := o.refusal(exitUntrusted); wrong != "" {
		t.Errorf("exit %d: %s\n%s", o.code, wrong, o.errout)
	}
	if left := images(t, engine, here.Addr); len(left) > 0 {
		t.Errorf("the engine has %q", left)
	}
}

// build makes images that print words, and returns their ids.
func build(t *testing.T, engine *parts.DockerPart, dir string, words map[string]string) map[string]string {
	t.Helper()
	in := filepath.Join(dir, "build")
	if err := os.Mkdir(in, 0o755); err != nil {
		t.Fatal(err)
	}
	box, err := os.ReadFile(parts.Tool(t, "busybox"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(in, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write("busybox", string(box))
	write("text", ownSource(t))
	write("base", "FROM scratch\nCOPY busybox /bin/busybox\nCOPY text /text\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n")
	engine.Run(t, "build", "--quiet", "--network", "none", "-t", "bale-test-base", "-f", filepath.Join(in, "base"), in)
	ids := make(map[string]string)
	for name, text := range words {
		write("app", "FROM bale-test-base\nRUN echo "+text+" >/words\nCMD [\"cat\", \"/words\"]\n")
		ids[name] = engine.Run(t, "build", "--quiet", "--network", "none", "-t", name, "-f", filepath.Join(in, "app"), in)
	}
	return ids
}

// ownSource is the text of this very package, twice: gzip does not see that it
// has come before, so it is worth being taken apart.
func ownSource(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String() + all.String()
}

// inspectedBundle is what inspect tells of a bundle.
func inspectedBundle(t *testing.T, key, file string) inspected {
	t.Helper()
	var v inspected
	if err := json.Unmarshal([]byte(mustRun(t, "inspect", "--json", "--key", key, file).out), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// images lists what the engine has of a registry's, and the base.
func images(t *testing.T, engine *parts.DockerPart, addr string) []string {
	t.Helper()
	all := engine.Run(t, "images", "--all", "--format", "{{.Repository}}:{{.Tag}}")
	var out []string
	for _, name := range strings.Fields(all) {
		if strings.HasPrefix(name, addr+"/") || strings.HasPrefix(name, "bale-test-base:") {
			out = append(out, name)
		}
	}
	return out
}

// empty takes the images away from the engine, and their layers with them.
func empty(t *testing.T, engine *parts.DockerPart, addr string) {
	t.Helper()
	engine.Run(t, append([]string{"rmi", "--force"}, images(t, engine, addr)...)...)
	engine.Run(t, "image", "prune", "--force")
	if left := engine.Run(t, "images", "--all", "--quiet"); left != "" {
		t.Fatalf("the engine still has %s", left)
	}
}

// runs checks that the engine has the images, that they are the same, and
// that they print what they should.
func runs(t *testing.T, engine *parts.DockerPart, words, ids map[string]string) {
	t.Helper()
	for name, text := range words {
		if got := engine.Run(t, "run", "--rm", "--network", "none", name); got != text {
			t.Errorf("%s prints %q, want %q", name, got, text)
		}
		if got := engine.Run(t, "inspect", "--format", "{{.Id}}", name); got != ids[name] {
			t.Errorf("%s has id %s, want %s", name, got, ids[name])
		}
	}
}

func prefixed(prefix string, names []string) []string {
	var out []string
	for _, n := range names {
		out = append(out, prefix+n)
	}
	return out
}

// sameByCrane compares two images as crane sees them: digest, manifest, config
// and layers. It returns how many layers there are.
func sameByCrane(t *testing.T, crane, a, b string) int {
	t.Helper()
	get := func(args ...string) []byte {
		t.Helper()
		cmd := exec.Command(crane, args...)
		var errout bytes.Buffer
		cmd.Stderr = &errout
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("crane %s: %v: %s", strings.Join(args, " "), err, errout.String())
		}
		return out
	}
	if x, y := get("digest", a), get("digest", b); !bytes.Equal(x, y) {
		t.Errorf("%s is %s, %s is %s", a, x, b, y)
	}
	manifest := get("manifest", a)
	if !bytes.Equal(manifest, get("manifest", b)) {
		t.Errorf("%s and %s have other manifests", a, b)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(manifest, &m); err != nil {
		t.Fatal(err)
	}
	repoA, repoB := a[:strings.LastIndex(a, ":")], b[:strings.LastIndex(b, ":")]
	for _, d := range append(m.Layers, m.Config) {
		if !bytes.Equal(get("blob", repoA+"@"+d.Digest.String()), get("blob", repoB+"@"+d.Digest.String())) {
			t.Errorf("%s differs in %s and %s", d.Digest, a, b)
		}
	}
	return len(m.Layers)
}
