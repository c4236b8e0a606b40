package layout_test

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
	"bale/transport/conformance"
	"bale/transport/parts"
)

// The layouts that testdata/images/make.sh builds, and what is in them.
var (
	testImages = filepath.FromSlash("../../testdata/images")
	testNames  = map[string][]string{
		"busybox": {"docker.io/library/busybox:1.35"},
		"tools":   {"docker.io/library/tools:1.0", "docker.io/library/tools:raw"},
	}
)

// load reads a layout with everything in its images, verified, into memory.
func load(t *testing.T, dir string) *conformance.Set {
	t.Helper()
	src := open(t, dir)
	defer func() { _ = src.Close() }()
	images, err := src.Images(t.Context(), "")
	must(t, err)
	set := &conformance.Set{Images: images, Content: make(map[digest.Digest][]byte)}
	var walk func(img transport.Image, d v1.Descriptor)
	walk = func(img transport.Image, d v1.Descriptor) {
		content, err := src.Manifest(t.Context(), img, d)
		must(t, err)
		set.Content[d.Digest] = content
		var m struct {
			Manifests, Layers []v1.Descriptor
			Config            *v1.Descriptor
		}
		must(t, json.Unmarshal(content, &m))
		for _, c := range m.Manifests {
			walk(img, c)
		}
		if m.Config != nil {
			m.Layers = append(m.Layers, *m.Config)
		}
		for _, b := range m.Layers {
			set.Content[b.Digest] = readBlob(t, src, img, b)
		}
	}
	for _, img := range images {
		walk(img, img.Root)
	}
	return set
}

// readBlob reads a whole blob, verified.
func readBlob(t *testing.T, src transport.Source, img transport.Image, d v1.Descriptor) []byte {
	t.Helper()
	rc, err := src.Blob(t.Context(), img, d)
	must(t, err)
	defer func() { _ = rc.Close() }()
	content, err := blob.ReadAll(rc, d.Digest, d.Size, transport.MaxManifest)
	must(t, err)
	return content
}

func names(set *conformance.Set) []string {
	var s []string
	for _, img := range set.Images {
		s = append(s, img.Name.String())
	}
	return s
}

// run runs a program and returns what it prints.
func run(t *testing.T, program string, args ...string) []byte {
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

func skopeo(t *testing.T, args ...string) []byte {
	t.Helper()
	return run(t, parts.Tool(t, "skopeo"), append([]string{"--insecure-policy"}, args...)...)
}

// checkLayout has crane read a whole layout, and check its images down to the
// files in their layers. Of images with uncompressed layers it checks less:
// crane validate takes every layer for gzip.
func checkLayout(t *testing.T, registry *parts.RegistryPart, dir string) {
	t.Helper()
	crane := parts.Tool(t, "crane")
	all := registry.Image("all")
	run(t, crane, "push", "--index", dir, all+":1")
	run(t, crane, "validate", "--fast", "--remote", all+":1")
	set := load(t, dir)
	for _, img := range set.Images {
		raw := slices.ContainsFunc(set.Graph(t, img).Layers, func(d v1.Descriptor) bool { return d.MediaType == v1.MediaTypeImageLayer })
		if !raw {
			run(t, crane, "validate", "--remote", all+"@"+img.Root.Digest.String())
		}
	}
}

func TestTestImages(t *testing.T) {
	registry := parts.Registry(t)
	for name, want := range testNames {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(testImages, name)
			checkLayout(t, registry, dir)
			set := load(t, dir)
			if got := names(set); !slices.Equal(got, want) {
				t.Errorf("images %v, want %v", got, want)
			}
			g := set.Graph(t, set.Images...)
			if files := len(tree(t, filepath.Join(dir, "blobs", "sha256"))); files != len(g.Owners) {
				t.Errorf("%d blobs, but %d are needed", files, len(g.Owners))
			}
			for _, img := range set.Images {
				if got := skopeo(t, "inspect", "--raw", "oci:"+dir+":"+img.Name.String()); !bytes.Equal(got, set.Content[img.Root.Digest]) {
					t.Errorf("skopeo reads another manifest: %s", got)
				}
			}
		})
	}
}

func TestReadWhatSkopeoWrites(t *testing.T) {
	const image = "docker.io/library/busybox:1.35"
	from := filepath.Join(testImages, "busybox")
	want := load(t, from)
	root := want.Images[0].Root
	for _, c := range []struct{ ref, name string }{
		{"", "localhost/images@" + root.Digest.String()},
		{":1.35", "localhost/images:1.35"},
		{":latest", "localhost/images:latest"},
		{":busybox:1.35", image},
		{":" + image, image},
		{":registry.example:5000/team/app:2", "registry.example:5000/team/app:2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "images")
			skopeo(t, "copy", "--all", "oci:"+from+":"+image, "oci:"+dir+c.ref)
			sameContent(t, load(t, dir), want, c.name)
			if c.ref == "" {
				return
			}
			src := open(t, dir)
			defer func() { _ = src.Close() }()
			if got, err := src.Images(t.Context(), c.ref[1:]); err != nil || len(got) != 1 || got[0].Root.Digest != root.Digest {
				t.Errorf("select %q: %v, %v", c.ref[1:], got, err)
			}
		})
	}
}

func TestReadWhatCraneWrites(t *testing.T) {
	crane := parts.Tool(t, "crane")
	registry := parts.Registry(t)
	image := registry.Image("team/busybox:1.35")
	from := filepath.Join(testImages, "busybox")
	skopeo(t, "copy", "--all", "--dest-tls-verify=false", "oci:"+from+":docker.io/library/busybox:1.35", "docker://"+image)
	want := load(t, from)
	for name, args := range map[string][]string{
		"localhost/images@" + want.Images[0].Root.Digest.String(): nil,
		image: {"--annotate-ref"},
	} {
		dir := filepath.Join(t.TempDir(), "images")
		run(t, crane, append([]string{"pull", "--format=oci", image, dir}, args...)...)
		sameContent(t, load(t, dir), want, name)
	}
}

// sameContent compares a set of one image with the one it was copied from.
func sameContent(t *testing.T, got, want *conformance.Set, name string) {
	t.Helper()
	if n := names(got); !slices.Equal(n, []string{name}) {
		t.Errorf("images %v, want %s", n, name)
	}
	if got.Images[0].Root.Digest != want.Images[0].Root.Digest || len(got.Content) != len(want.Content) {
		t.Errorf("root %s and %d blobs, want %s and %d", got.Images[0].Root.Digest, len(got.Content), want.Images[0].Root.Digest, len(want.Content))
	}
	for d, content := range want.Content {
		if !bytes.Equal(got.Content[d], content) {
			t.Errorf("%s differs", d)
		}
	}
}

// TestToolsReadWhatIsWritten writes real images and has others read them.
func TestToolsReadWhatIsWritten(t *testing.T) {
	crane := parts.Tool(t, "crane")
	dir := filepath.Join(t.TempDir(), "images")
	for name := range testNames {
		fill(t, dir, load(t, filepath.Join(testImages, name)))
	}
	registry := parts.Registry(t)
	checkLayout(t, registry, dir)
	set := load(t, dir)
	if len(set.Images) != 3 {
		t.Fatalf("images %v", names(set))
	}
	for _, img := range set.Images {
		place := "oci:" + dir + ":" + img.Name.String()
		if got := skopeo(t, "inspect", "--raw", place); !bytes.Equal(got, set.Content[img.Root.Digest]) {
			t.Errorf("skopeo reads another manifest of %s: %s", place, got)
		}
		// skopeo checks every digest as it copies.
		out := filepath.Join(t.TempDir(), "out")
		skopeo(t, "copy", "--all", "--preserve-digests", place, "dir:"+out)
		if got, err := os.ReadFile(filepath.Join(out, "manifest.json")); err != nil || !bytes.Equal(got, set.Content[img.Root.Digest]) {
			t.Errorf("skopeo copies another manifest of %s: %v", place, err)
		}
		target := registry.Image(img.Name.Path + ":" + img.Name.Tag)
		skopeo(t, "copy", "--all", "--preserve-digests", "--dest-tls-verify=false", place, "docker://"+target)
		if got := strings.TrimSpace(string(run(t, crane, "digest", target))); got != img.Root.Digest.String() {
			t.Errorf("%s has digest %s in the registry, not %s", place, got, img.Root.Digest)
		}
	}
}

// TestShareWithSkopeo has bale and skopeo write into one layout in turns.
func TestShareWithSkopeo(t *testing.T) {
	tools := filepath.Join(testImages, "tools")
	dir := filepath.Join(t.TempDir(), "images")
	skopeo(t, "copy", "oci:"+tools+":docker.io/library/tools:1.0", "oci:"+dir+":1.0")
	fill(t, dir, load(t, filepath.Join(testImages, "busybox")))
	skopeo(t, "copy", "oci:"+tools+":docker.io/library/tools:raw", "oci:"+dir+":raw")
	want := []string{"localhost/images:1.0", "docker.io/library/busybox:1.35", "localhost/images:raw"}
	set := load(t, dir)
	if got := names(set); !slices.Equal(got, want) {
		t.Errorf("images %v, want %v", got, want)
	}
	for _, ref := range []string{"1.0", "docker.io/library/busybox:1.35", "raw"} {
		skopeo(t, "inspect", "--raw", "oci:"+dir+":"+ref)
	}
	checkLayout(t, parts.Registry(t), dir)
}
