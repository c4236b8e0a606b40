package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport/bale"
	"bale/verify"
	"bale/verify/policy"
)

// layoutOf is an image layout that is made by hand.
type layoutOf struct {
	t   *testing.T
	dir string
	all ocispec.Index
}

func newLayoutOf(t *testing.T) *layoutOf {
	t.Helper()
	l := &layoutOf{t: t, dir: t.TempDir(), all: ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}}
	if err := os.MkdirAll(filepath.Join(l.dir, "blobs", "sha256"), 0o700); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *layoutOf) write(path string, content []byte) {
	l.t.Helper()
	if err := os.WriteFile(filepath.Join(l.dir, path), content, 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// blob adds content, which may be something to encode.
func (l *layoutOf) blob(mediaType string, v any) ocispec.Descriptor {
	l.t.Helper()
	content, err := json.Marshal(v)
	if err != nil {
		l.t.Fatal(err)
	}
	d := digest.FromBytes(content)
	l.write(filepath.Join("blobs", "sha256", d.Encoded()), content)
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(content))}
}

// image adds a manifest with one layer, whose config says what it is for.
func (l *layoutOf) image(p ocispec.Platform) ocispec.Descriptor {
	return l.manifest(ocispec.MediaTypeImageConfig, ocispec.Image{Platform: p}, nil)
}

func (l *layoutOf) manifest(configType string, config any, subject *ocispec.Descriptor) ocispec.Descriptor {
	return l.blob(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Subject: subject,
		Config: l.blob(configType, config), Layers: []ocispec.Descriptor{l.blob(ocispec.MediaTypeImageLayer, fmt.Sprint(config))},
	})
}

func (l *layoutOf) index(children ...ocispec.Descriptor) ocispec.Descriptor {
	return l.blob(ocispec.MediaTypeImageIndex, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: children,
	})
}

// name gives something a name; without one it is only there.
func (l *layoutOf) name(name string, d ocispec.Descriptor) {
	if name != "" {
		d.Annotations = map[string]string{ocispec.AnnotationRefName: name, "io.containerd.image.name": name}
	}
	l.all.Manifests = append(l.all.Manifests, d)
}

func (l *layoutOf) done() {
	l.t.Helper()
	index, err := json.Marshal(l.all)
	if err != nil {
		l.t.Fatal(err)
	}
	l.write(ocispec.ImageIndexFile, index)
	l.write(ocispec.ImageLayoutFile, []byte(`{"imageLayoutVersion":"1.0.0"}`))
}

// saysFor is a descriptor that says what it is for.
func saysFor(d ocispec.Descriptor, p ocispec.Platform) ocispec.Descriptor {
	d.Platform = &p
	return d
}

func TestPolicyImages(t *testing.T) {
	amd, arm := ocispec.Platform{OS: "linux", Architecture: "amd64"}, ocispec.Platform{OS: "linux", Architecture: "arm64"}
	v6 := ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}
	windows, unknown := ocispec.Platform{OS: "windows", Architecture: "amd64"}, ocispec.Platform{OS: "unknown", Architecture: "unknown"}

	l := newLayoutOf(t)
	plain := l.manifest(ocispec.MediaTypeImageConfig, ocispec.Image{Author: "plain", Platform: amd}, nil)
	l.name("registry.example/plain:1", plain)
	l.name("registry.example/two:1", l.index(saysFor(l.image(amd), amd), saysFor(l.image(arm), arm), saysFor(l.image(unknown), unknown)))
	l.name("registry.example/liar:1", l.index(saysFor(l.image(windows), amd)))
	l.name("registry.example/silent:1", l.index(l.image(arm)))
	l.name("registry.example/hidden:1", l.index(saysFor(l.image(windows), unknown)))
	l.name("registry.example/older:1", l.index(saysFor(l.image(ocispec.Platform{OS: "linux", Architecture: "arm"}), v6)))
	l.name("registry.example/nested:1", l.index(saysFor(l.image(amd), amd), l.index(saysFor(l.image(arm), arm))))
	l.name("registry.example/nameless:1", l.image(ocispec.Platform{Architecture: "amd64"}))
	l.name("registry.example/chart:1", l.manifest("application/vnd.example.config.v1+json", map[string]string{"a": "b"}, nil))
	subject := l.manifest(ocispec.MediaTypeImageConfig, ocispec.Image{Platform: arm}, &plain)
	l.name("registry.example/subject:1", subject)
	// Docker's engine takes this for an image too.
	posing := l.manifest("application/json", ocispec.Image{Platform: windows}, &plain)
	l.name("registry.example/posing:1", posing)
	l.name("", l.manifest("application/vnd.example.sbom", map[string]string{"of": "plain"}, &plain))
	l.done()

	file := filepath.Join(t.TempDir(), "b.bale")
	mustRun(t, "save", "-o", file, "--unsigned", "oci:"+l.dir)
	f, err := bale.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // only read from
	r, err := f.Trust(t.Context(), verify.WithoutSignatureUnsafe(f.Envelope()))
	if err != nil {
		t.Fatal(err)
	}
	images, err := policyImages(t.Context(), r, true)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"registry.example/plain:1":    {"linux/amd64"},
		"registry.example/two:1":      {"linux/amd64", "linux/arm64"},
		"registry.example/liar:1":     {"linux/amd64", "windows/amd64"},
		"registry.example/silent:1":   {"linux/arm64"},
		"registry.example/hidden:1":   {"windows/amd64"},
		"registry.example/older:1":    {"linux/arm/v6"},
		"registry.example/nested:1":   {"linux/amd64", "linux/arm64"},
		"registry.example/nameless:1": {"unknown"},
		"registry.example/chart:1":    nil,
		"registry.example/subject:1":  {"linux/arm64"},
		"registry.example/posing:1":   {"windows/amd64"},
		// They are found as referrers too.
		"registry.example/plain@" + subject.Digest.String(): {"linux/arm64"},
		"registry.example/plain@" + posing.Digest.String():  {"windows/amd64"},
	}
	var attached []string
	for _, i := range images {
		if i.Attached {
			attached = append(attached, fmt.Sprint(i.Platforms))
			continue
		}
		p, known := want[i.Name]
		if !known || !slices.Equal(slices.Sorted(slices.Values(i.Platforms)), p) {
			t.Errorf("%s is for %v, want %v", i.Name, i.Platforms, p)
		}
		delete(want, i.Name)
	}
	// What refers to an image is attached to it, and what of that could be run stands
	// for itself.
	if len(want) > 0 || !slices.Equal(attached, []string{"[]"}) {
		t.Errorf("attached are %v; not there: %v", attached, slices.Sorted(maps.Keys(want)))
	}
	// Where nobody asks for platforms no config is read.
	images, err = policyImages(t.Context(), r, false)
	if err != nil || slices.ContainsFunc(images, func(i policy.Image) bool { return len(i.Platforms) > 0 }) {
		t.Errorf("%v, %v", images, err)
	}
}
