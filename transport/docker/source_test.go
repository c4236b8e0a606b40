package docker

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/bundle/blob"
	"bale/bundle/fault"
)

func TestSource(t *testing.T) {
	d := emptyEngine(t)
	build(t, d)
	d.Run(t, "tag", "example/hello:1", "registry.example:5000/team/hi:2")
	t.Setenv("TMPDIR", t.TempDir())
	src := openSource(t, d.Host)

	all := images(t, src, "")
	var names []string
	layers := map[string][]digest.Digest{}
	for _, img := range all {
		names = append(names, img.Name.String())
		_, m, err := read(t.Context(), src, img)
		if err != nil {
			t.Fatal(err)
		}
		if id := d.Run(t, "inspect", "--format", "{{.Id}}", img.Name.String()); m.Config.Digest.String() != id {
			t.Errorf("%s: config %s, but the image's ID is %s", img.Name, m.Config.Digest, id)
		}
		var want []digest.Digest
		if err := json.Unmarshal([]byte(d.Run(t, "inspect", "--format", "{{json .RootFS.Layers}}", img.Name.String())), &want); err != nil {
			t.Fatal(err)
		}
		var got []digest.Digest
		for _, l := range m.Layers {
			got = append(got, l.Digest)
			if l.MediaType != "application/vnd.oci.image.layer.v1.tar" {
				t.Errorf("%s: layer of type %s", img.Name, l.MediaType)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: layers %v, want %v", img.Name, got, want)
		}
		layers[img.Name.String()] = got
		for _, b := range append(m.Layers, m.Config) {
			r, err := src.Blob(t.Context(), img, b)
			if err != nil {
				t.Fatal(err)
			}
			v, err := blob.NewReader(r, b.Digest, b.Size)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, v); err != nil {
				t.Errorf("%s: %v", img.Name, err)
			}
			if err := v.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	want := []string{"docker.io/example/base:1", "docker.io/example/hello:1", "docker.io/example/world:1", "registry.example:5000/team/hi:2"}
	if !slices.Equal(names, want) {
		t.Fatalf("images %v, want %v", names, want)
	}
	if !reflect.DeepEqual(all[1].Root, all[3].Root) {
		t.Errorf("two names of one image have manifests %s and %s", all[1].Root.Digest, all[3].Root.Digest)
	}
	hello, world := layers["docker.io/example/hello:1"], layers["docker.io/example/world:1"]
	if len(hello) != 2 || len(world) != 3 || hello[0] != world[0] {
		t.Errorf("layers of images on one base: %v and %v", hello, world)
	}
	if len(src.exports) != 1 {
		t.Errorf("%d exports for all images, want 1", len(src.exports))
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Errorf("in TMPDIR: %v, %v", left, err)
	}
	if again := images(t, openSource(t, d.Host), ""); !reflect.DeepEqual(all, again) {
		t.Errorf("another source has\n%v, not\n%v", again, all)
	}
}

// TestSourceAdds asks one source several times.
func TestSourceAdds(t *testing.T) {
	d := emptyEngine(t)
	build(t, d)
	src := openSource(t, d.Host)
	got := images(t, src, "example/hello:1", "example/world:1", "example/hello:1")
	if len(src.exports) != 2 {
		t.Errorf("%d exports for two images, want 2", len(src.exports))
	}
	if !reflect.DeepEqual(got[0], got[2]) {
		t.Errorf("%v and %v", got[0], got[2])
	}
	for _, img := range got {
		if _, _, err := read(t.Context(), src, img); err != nil {
			t.Error(err)
		}
	}
}

func TestSelect(t *testing.T) {
	d := emptyEngine(t)
	build(t, d)
	d.Run(t, "tag", "example/hello:1", "zebra")
	d.Run(t, "tag", "example/hello:1", "example/hello:0")
	id := d.Run(t, "inspect", "--format", "{{.Id}}", "zebra")
	hex := strings.TrimPrefix(id, "sha256:")
	d.Run(t, "tag", "example/world:1", hex[:5]) // a name that looks like an ID goes first
	src := openSource(t, d.Host)
	hello := images(t, src, "zebra")[0].Root
	for _, c := range []struct{ selector, name string }{
		{"zebra", "docker.io/library/zebra:latest"},
		{"zebra:latest", "docker.io/library/zebra:latest"},
		{"docker.io/library/zebra", "docker.io/library/zebra:latest"},
		{"example/hello:1", "docker.io/example/hello:1"},
		{id, "docker.io/example/hello:0"},
		{hex, "docker.io/example/hello:0"},
		{hex[:12], "docker.io/example/hello:0"},
		{"sha256:" + hex[:12], "docker.io/example/hello:0"},
	} {
		got := images(t, src, c.selector)
		if len(got) != 1 || got[0].Name.String() != c.name || !reflect.DeepEqual(got[0].Root, hello) {
			t.Errorf("%s: %v, want %s", c.selector, got, c.name)
		}
	}
	if got := images(t, src, hex[:5]); got[0].Root.Digest == hello.Digest {
		t.Errorf("%s: %v, want the image of that name", hex[:5], got)
	}
}

func TestSelectNothing(t *testing.T) {
	d := emptyEngine(t)
	build(t, d)
	id := d.Run(t, "inspect", "--format", "{{.Id}}", "example/hello:1")
	d.Run(t, "tag", "example/world:1", "example/hello:1") // leaves the image without a name
	src := openSource(t, d.Host)
	for _, c := range []struct {
		selector string
		kind     error
	}{
		{"no-such-image", fault.ErrMissing},
		{"example/base:2", fault.ErrMissing},
		{"0123456789ab", fault.ErrMissing},
		{strings.Repeat("0", 64), fault.ErrMissing},
		{"sha256:" + strings.Repeat("0", 64), fault.ErrMissing},
		{id, fault.ErrUsage},
		{"example/base@sha256:" + strings.Repeat("0", 64), fault.ErrUnsupported},
		{"../info", fault.ErrUsage},
		{"UPPER", fault.ErrUsage},
		{"a b", fault.ErrUsage},
	} {
		got, err := src.Images(t.Context(), c.selector)
		if !errors.Is(err, c.kind) || fault.Hint(err) == "" {
			t.Errorf("%s: %v, %v (hint %q), want kind %v and a hint", c.selector, got, err, fault.Hint(err), c.kind)
		}
	}
	if len(src.exports) != 0 {
		t.Errorf("%d exports of nothing", len(src.exports))
	}
}

func TestSourceEmpty(t *testing.T) {
	src := openSource(t, emptyEngine(t).Host)
	if got := images(t, src, ""); len(got) != 0 {
		t.Errorf("an empty engine has %v", got)
	}
}

func TestSourceCancelled(t *testing.T) {
	d := emptyEngine(t)
	build(t, d)
	src := openSource(t, d.Host)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := src.Images(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("Images: %v", err)
	}
	img := images(t, src, "example/hello:1")[0]
	if _, err := src.Manifest(ctx, img, img.Root); !errors.Is(err, context.Canceled) {
		t.Errorf("Manifest: %v", err)
	}
	if _, err := src.Blob(ctx, img, img.Root); !errors.Is(err, context.Canceled) {
		t.Errorf("Blob: %v", err)
	}
	if _, err := NewSource(ctx, Options{Host: d.Host}); !errors.Is(err, context.Canceled) {
		t.Errorf("NewSource: %v", err)
	}
}
