package archive_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/transport"
	"bale/transport/archive"
	"bale/transport/conformance"
	"bale/transport/layout"
	"bale/transport/parts"
)

// loaded is an image as a reader must have it.
type loaded struct {
	name     string        // in full
	root     digest.Digest // as it stands in the archive
	id       digest.Digest // of the config for linux/amd64
	artifact bool          // no container image: engines need not show it
}

// written is a file that bale wrote, and what is in it.
type written struct {
	path   string
	images []loaded
	list   bool // there is a manifest.json
	part   bool // indexes are there in part
}

// testRequests asks for the images in testdata/images, one of them by two names.
func testRequests(t *testing.T) []transport.Request {
	t.Helper()
	var list []transport.Request
	for _, dir := range []string{"busybox", "tools"} {
		src, err := layout.Open(filepath.Join("..", "..", "testdata", "images", dir))
		must(t, err)
		t.Cleanup(func() { _ = src.Close() })
		images, err := src.Images(t.Context(), "")
		must(t, err)
		for _, img := range images {
			list = append(list, transport.Request{Source: src, Image: img, Target: img.Name})
			if dir == "busybox" {
				again := img.Name
				again.Tag = "again"
				list = append(list, transport.Request{Source: src, Image: img, Target: again})
			}
		}
	}
	return list
}

// write copies images to a sink and says what readers must find there.
func write(t *testing.T, path string, list bool, s transport.Sink, requests []transport.Request, platforms ...v1.Platform) written {
	t.Helper()
	_, err := transport.Copy(t.Context(), requests, s, transport.Options{Platforms: platforms})
	must(t, err)
	must(t, s.Close())
	src, err := layout.OpenArchive(t.Context(), path)
	must(t, err)
	defer func() { _ = src.Close() }()
	w := written{path: path, list: list, part: len(platforms) > 0}
	images, err := src.Images(t.Context(), "")
	must(t, err)
	for _, img := range images {
		_, _, attached := transport.AttachedTo(img.Name.Tag)
		w.images = append(w.images, loaded{img.Name.String(), img.Root.Digest, idOf(t, src, img), attached || img.Name.Tag == ""})
	}
	return w
}

// idOf returns the config of an image for linux/amd64.
func idOf(t *testing.T, src transport.Source, img transport.Image) digest.Digest {
	t.Helper()
	d := img.Root
	for {
		content, err := src.Manifest(t.Context(), img, d)
		must(t, err)
		m, err := transport.ParseManifest(d.MediaType, content)
		must(t, err)
		if m.Config != nil {
			return m.Config.Digest
		}
		best, ok := transport.BestPlatform(m.Manifests, amd64)
		if !ok {
			t.Fatalf("%s has nothing for linux/amd64", img.Name)
		}
		d = best
	}
}

// recompressed is busybox with its layer compressed by Zstandard.
func recompressed(t *testing.T) *conformance.Set {
	t.Helper()
	r := testRequests(t)[0]
	src, img := r.Source, r.Image
	content, err := src.Manifest(t.Context(), img, img.Root)
	must(t, err)
	index, err := transport.ParseManifest(img.Root.MediaType, content)
	must(t, err)
	d, ok := transport.BestPlatform(index.Manifests, amd64)
	if !ok {
		t.Fatal("nothing for linux/amd64")
	}
	content, err = src.Manifest(t.Context(), img, d)
	must(t, err)
	var m v1.Manifest
	must(t, json.Unmarshal(content, &m))
	set := &conformance.Set{Content: make(map[digest.Digest][]byte)}
	add := func(mediaType string, b []byte) v1.Descriptor {
		d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
		set.Content[d.Digest] = b
		return d
	}
	for i, l := range m.Layers {
		m.Layers[i] = add(v1.MediaTypeImageLayerZstd, zstdOf(t, gunzip(t, read(t, src, img, l))))
	}
	m.Config = add(m.Config.MediaType, read(t, src, img, m.Config))
	content, err = json.Marshal(m)
	must(t, err)
	name, err := transport.ParseName("example.com/packed:1")
	must(t, err)
	set.Images = []transport.Image{{Name: name, Root: add(v1.MediaTypeImageManifest, content)}}
	return set
}

func read(t *testing.T, src transport.Source, img transport.Image, d v1.Descriptor) []byte {
	t.Helper()
	rc, err := src.Blob(t.Context(), img, d)
	must(t, err)
	defer func() { _ = rc.Close() }()
	b, err := blob.ReadAll(rc, d.Digest, d.Size, transport.MaxManifest)
	must(t, err)
	return b
}

// files writes images in every form that others are to read.
func files(t *testing.T) map[string]written {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name+".tar") }
	oci := func(name string, opts ...layout.Option) transport.Sink {
		s, err := layout.NewArchiveSink(at(name), opts...)
		must(t, err)
		return s
	}
	all := testRequests(t)
	set := recompressed(t)
	var packed []transport.Request
	for _, img := range set.Images {
		packed = append(packed, transport.Request{Source: set.Source(), Image: img, Target: img.Name})
	}
	// What is attached to images stands beside them in index.json.
	artifact := conformance.New(t, team).Only("artifact")
	attached := slices.Clone(all)
	for _, n := range []transport.Name{
		{Domain: "docker.io", Path: "library/busybox", Digest: artifact.Images[0].Root.Digest},
		{Domain: "docker.io", Path: "library/busybox", Tag: transport.AttachedTag(all[0].Image.Root.Digest, "sig")},
	} {
		attached = append(attached, transport.Request{Source: artifact.Source(), Image: artifact.Images[0], Target: n})
	}
	out := map[string]written{
		"hybrid oci-archive with artifacts":  write(t, at("attached"), true, oci("attached", layout.Hybrid(amd64)), attached),
		"docker-archive":                     write(t, at("docker"), true, newSink(t, at("docker"), archive.Platform(amd64)), all),
		"docker-archive zstd":                write(t, at("zstd"), true, newSink(t, at("zstd"), archive.Platform(amd64)), slices.Concat(packed, all)),
		"hybrid oci-archive of one platform": write(t, at("part"), true, oci("part", layout.Hybrid(amd64)), all, amd64),
		"hybrid oci-archive":                 write(t, at("hybrid"), true, oci("hybrid", layout.Hybrid(amd64)), all),
		"oci-archive":                        write(t, at("oci"), false, oci("oci", layout.Plain()), all),
	}
	if got := out["docker-archive zstd"].images[0]; got.root == set.Images[0].Root.Digest {
		t.Error("the layer in Zstandard was not unpacked")
	}
	return out
}

// TestEngines has engines of all kinds read what bale writes, and bale read what
// they write.
func TestEngines(t *testing.T) {
	written := files(t)
	for _, e := range []struct {
		name      string
		start     func(testing.TB) *parts.DockerPart
		lists     bool // it goes by manifest.json
		manifests bool // it keeps the images' own
	}{
		{"Docker 20.10", parts.Docker, true, false},
		{"current Docker", parts.DockerCurrent, false, true},
		{"current Docker with the classic store", parts.DockerCurrentClassic, true, false},
		{"Podman", parts.Podman, true, false},
	} {
		t.Run(e.name, func(t *testing.T) {
			engine := e.start(t)
			for name, w := range written {
				if w.list || !e.lists {
					t.Run(name, func(t *testing.T) { loadInto(t, engine, w, e.manifests) })
				}
			}
			t.Run("save", func(t *testing.T) { saveFrom(t, engine, written["docker-archive"], e.manifests) })
			if e.manifests {
				t.Run("save of a part", func(t *testing.T) { partlySaved(t, engine) })
			}
			if e.name == "Podman" {
				t.Run("save as oci-archive", func(t *testing.T) { podmanSave(t, engine, written["docker-archive"]) })
			}
		})
	}
}

// loadInto loads a file into an engine, which loses the images with the test.
// One that keeps manifests must have the images' own; all must have their IDs, or
// the layers were not what the config says.
func loadInto(t *testing.T, engine *parts.DockerPart, w written, manifests bool) {
	t.Helper()
	engine.Run(t, "load", "--input", w.path)
	t.Cleanup(func() {
		for _, img := range w.images {
			if _, err := engine.Try("image", "inspect", img.name); err == nil {
				engine.Run(t, "image", "rm", "--force", img.name)
			}
		}
	})
	for _, img := range w.images {
		want := img.id
		if manifests {
			want = img.root
		}
		if img.artifact {
			continue
		}
		if got := engine.Run(t, "image", "inspect", "--format", "{{.Id}}", img.name); digest.Digest(got) != want {
			t.Errorf("%s is image %s, want %s", img.name, got, want)
		}
	}
}

// TestContainerd imports what bale wrote as a node's administrator does, and
// reads what is exported there.
func TestContainerd(t *testing.T) {
	c := parts.Containerd(t)
	for name, w := range files(t) {
		namespace := strings.ReplaceAll(name, " ", "-")
		platforms := "--all-platforms"
		if w.part {
			platforms = "--platform=linux/amd64"
		}
		c.Run(t, "--namespace", namespace, "images", "import", platforms, w.path)
		list := strings.Split(c.Run(t, "--namespace", namespace, "images", "check"), "\n")
		for _, img := range w.images {
			if !slices.ContainsFunc(list, func(line string) bool {
				return strings.HasPrefix(line, img.name+" ") && strings.Contains(line, img.root.String()) && strings.Contains(line, "complete")
			}) {
				t.Errorf("%s: %s is not there whole as %s:\n%s", name, img.name, img.root, strings.Join(list, "\n"))
			}
		}
		if !w.part { // ctr cannot export that
			containerdExport(t, c, namespace, name, w)
		}
	}
}

// TestSkopeo reads what bale wrote by both of its transports.
func TestSkopeo(t *testing.T) {
	skopeo := parts.Tool(t, "skopeo")
	for name, w := range files(t) {
		for _, img := range w.images {
			raw := tool(t, skopeo, "--insecure-policy", "inspect", "--raw", "oci-archive:"+w.path+":"+img.name)
			if got := digest.FromBytes(raw); got != img.root {
				t.Errorf("%s: skopeo reads manifest %s of %s, want %s", name, got, img.name, img.root)
			}
			if !w.list || img.artifact {
				continue
			}
			// It checks every layer by the config as it copies.
			out := filepath.Join(t.TempDir(), "out")
			tool(t, skopeo, "--insecure-policy", "copy", "docker-archive:"+w.path+":"+img.name, "dir:"+out)
			if _, err := os.Stat(filepath.Join(out, img.id.Encoded())); err != nil {
				t.Errorf("%s: skopeo copies %s without its config: %v", name, img.name, err)
			}
		}
	}
}

// TestCrane pushes what bale wrote. It takes archives of one image only.
func TestCrane(t *testing.T) {
	crane, registry := parts.Tool(t, "crane"), parts.Registry(t)
	for i, r := range testRequests(t) {
		path := filepath.Join(t.TempDir(), "image.tar")
		w := write(t, path, true, newSink(t, path, archive.Platform(amd64)), []transport.Request{r})
		name := registry.Image("pushed:" + string(rune('a'+i)))
		tool(t, crane, "push", path, name)
		if got := digest.FromBytes(tool(t, crane, "config", name)); got != w.images[0].id {
			t.Errorf("crane pushes %s with config %s, want %s", r.Target, got, w.images[0].id)
		}
	}
}

// tool runs a program and returns what it prints.
func tool(t *testing.T, program string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}
