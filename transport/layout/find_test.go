package layout_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"bale/bundle/fault"
	"bale/transport/conformance"
)

// TestSelect looks for images in a layout with names of many kinds.
func TestSelect(t *testing.T) {
	set := conformance.New(t, team)
	plain, shared, multi := set.Image(t, "plain").Root, set.Image(t, "shared").Root, set.Image(t, "multi").Root
	dir := filepath.Join(t.TempDir(), "images")
	fill(t, dir, set)
	entry := func(mediaType, digest, size, annotations string) string {
		return `{"mediaType":"` + mediaType + `","digest":"` + digest + `","size":` + size + `,"annotations":{` + annotations + `}}`
	}
	const (
		manifest = "application/vnd.oci.image.manifest.v1+json"
		ref      = `"org.opencontainers.image.ref.name":`
		full     = `"io.containerd.image.name":`
	)
	put(t, filepath.Join(dir, "index.json"), `{"schemaVersion":2,"manifests":[`+strings.Join([]string{
		entry(manifest, plain.Digest.String(), "1", ref+`"1.0",`+full+`"registry.example/one:1.0"`),
		entry(manifest, shared.Digest.String(), "1", ref+`"registry.example/two:1.0"`),
		entry(manifest, multi.Digest.String(), "1", ref+`"3.0"`),
		entry(manifest, multi.Digest.String(), "1", ref+`"3.0"`), // said twice
		entry(manifest, plain.Digest.String(), "1", ref+`"again"`),
		entry(manifest, digestOfFoo, "1", ""),
		entry("application/xml", digestOfFoo, "1", ref+`"xml"`),
	}, ",")+`]}`)
	src := open(t, dir)
	defer func() { _ = src.Close() }()
	for _, c := range []struct {
		selector, want string
		err            error
	}{
		{"1.0", "registry.example/one:1.0", nil}, // the very ref.name, although two have the tag
		{"registry.example/one:1.0", "registry.example/one:1.0", nil},
		{"registry.example/two:1.0", "registry.example/two:1.0", nil},
		{"registry.example/two", "", fault.ErrMissing}, // its latest
		{"registry.example/two@" + shared.Digest.String(), "registry.example/two:1.0", nil},
		{"registry.example/two:1.0@" + shared.Digest.String(), "registry.example/two:1.0", nil},
		{"registry.example/two@" + plain.Digest.String(), "", fault.ErrMissing},
		{"3.0", "localhost/images:3.0", nil},
		{"localhost/images:3.0", "localhost/images:3.0", nil},
		{multi.Digest.String(), "localhost/images:3.0", nil},
		{plain.Digest.String(), "registry.example/one:1.0", nil}, // one image, two names
		{digestOfFoo, "localhost/images@" + digestOfFoo, nil},
		{"@" + digestOfFoo, "localhost/images@" + digestOfFoo, nil},
		{"localhost/images@" + digestOfFoo, "localhost/images@" + digestOfFoo, nil},
		{"xml", "", fault.ErrMissing},
		{"4.0", "", fault.ErrMissing},
		{"not a name", "", fault.ErrMissing},
	} {
		got, err := src.Images(t.Context(), c.selector)
		switch {
		case c.err != nil:
			if !errors.Is(err, c.err) {
				t.Errorf("%q: %v, want %v", c.selector, err, c.err)
			}
		case err != nil || len(got) != 1 || got[0].Name.String() != c.want:
			t.Errorf("%q: %v, %v; want %s", c.selector, got, err, c.want)
		case got[0].Root.Annotations != nil:
			t.Errorf("%q: the layout's own annotations go out: %v", c.selector, got[0].Root.Annotations)
		}
	}
	images, err := src.Images(t.Context(), "")
	if err != nil || len(images) != 5 || images[0].Name.String() != "registry.example/one:1.0" || images[4].Name.Digest != digestOfFoo {
		t.Errorf("all: %v, %v", images, err)
	}
}

func TestAmbiguousTag(t *testing.T) {
	set := conformance.New(t, team)
	dir := filepath.Join(t.TempDir(), "images")
	fill(t, dir, set)
	src := open(t, dir)
	defer func() { _ = src.Close() }()
	_, err := src.Images(context.Background(), "1.0")
	if !errors.Is(err, fault.ErrUsage) || !strings.Contains(fault.Hint(err), team+"/plain:1.0, ") {
		t.Errorf("%v (%s), want an ErrUsage that lists the names", err, fault.Hint(err))
	}
	if _, err := src.Images(context.Background(), "2.0"); !strings.Contains(fault.Hint(err), team+"/plain:1.0, ") {
		t.Errorf("%v (%s), want a hint that lists the names", err, fault.Hint(err))
	}
}
