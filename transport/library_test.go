package transport_test

import (
	"bytes"
	"context"
	_ "crypto/sha256" // for go-digest
	"encoding/json"
	"io"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
	"bale/transport/conformance"
)

const team = "registry.example/team"

var (
	amd64 = v1.Platform{OS: "linux", Architecture: "amd64"}
	arm64 = v1.Platform{OS: "linux", Architecture: "arm64"}
	armV6 = v1.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}
	armV7 = v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}
)

// library is a set of images that a test makes as it needs them.
type library struct {
	*testing.T
	conformance.Set
}

func newLibrary(t *testing.T) *library {
	return &library{t, conformance.Set{Content: make(map[digest.Digest][]byte)}}
}

func (l *library) blob(mediaType string, data []byte) v1.Descriptor {
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	l.Content[d.Digest] = data
	return d
}

func (l *library) layer(text string) v1.Descriptor {
	return l.blob(v1.MediaTypeImageLayer, []byte(text))
}

func (l *library) json(mediaType string, v any) v1.Descriptor {
	l.Helper()
	data, err := json.Marshal(v)
	must(l.T, err)
	return l.blob(mediaType, data)
}

// image makes a manifest, as an index would refer to it.
func (l *library) image(p v1.Platform, layers ...v1.Descriptor) v1.Descriptor {
	l.Helper()
	d := l.json(v1.MediaTypeImageManifest, v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		Config: l.json(v1.MediaTypeImageConfig, v1.Image{Platform: p}), Layers: layers,
	})
	d.Platform = &p
	return d
}

func (l *library) index(children ...v1.Descriptor) v1.Descriptor {
	l.Helper()
	return l.json(v1.MediaTypeImageIndex, v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: children,
	})
}

// name gives a root a name.
func (l *library) name(s string, root v1.Descriptor) transport.Image {
	l.Helper()
	img := transport.Image{Name: name(l.T, s), Root: v1.Descriptor{MediaType: root.MediaType, Digest: root.Digest, Size: root.Size}}
	l.Images = append(l.Images, img)
	return img
}

func name(t *testing.T, s string) transport.Name {
	t.Helper()
	n, err := transport.ParseName(s)
	must(t, err)
	return n
}

// all asks for images under their own names.
func all(src transport.Source, images ...transport.Image) []transport.Request {
	var out []transport.Request
	for _, img := range images {
		out = append(out, transport.Request{Source: src, Image: img, Target: img.Name})
	}
	return out
}

// wantWhole fails the test unless the place has the images, every byte of them.
func wantWhole(t *testing.T, place *conformance.Memory, set *conformance.Set, images ...transport.Image) {
	t.Helper()
	src := place.Source()
	for _, img := range images {
		found, err := src.Images(context.Background(), img.Name.String())
		if err != nil {
			t.Error(err)
			continue
		}
		if found[0].Root.Digest != img.Root.Digest {
			t.Errorf("%s is %s, want %s", img.Name, found[0].Root.Digest, img.Root.Digest)
		}
		g := set.Graph(t, img)
		for _, d := range append(g.Blobs(), g.Manifests...) {
			rc, err := src.Blob(context.Background(), img, d)
			if err != nil {
				t.Errorf("%s: %v", img.Name, err)
				continue
			}
			if got, err := io.ReadAll(rc); err != nil || !bytes.Equal(got, set.Content[d.Digest]) {
				t.Errorf("%s: %s has other bytes (%v)", img.Name, d.Digest, err)
			}
		}
	}
}

// placeContent is what a place has of an image.
func placeContent(t *testing.T, place *conformance.Memory, img transport.Image) map[digest.Digest][]byte {
	t.Helper()
	content := make(map[digest.Digest][]byte)
	src := place.Source()
	var add func(d v1.Descriptor)
	add = func(d v1.Descriptor) {
		b, err := src.Manifest(t.Context(), img, d)
		must(t, err)
		content[d.Digest] = b
		if !transport.IsIndex(d.MediaType) && !transport.IsManifest(d.MediaType) {
			return
		}
		m, err := transport.ParseManifest(d.MediaType, b)
		must(t, err)
		for _, c := range append(m.Manifests, m.Layers...) {
			add(c)
		}
		if m.Config != nil {
			add(*m.Config)
		}
	}
	add(img.Root)
	return content
}

// wantEmpty fails the test if the place has any image.
func wantEmpty(t *testing.T, place *conformance.Memory) {
	t.Helper()
	if images, err := place.Source().Images(context.Background(), ""); err != nil || len(images) > 0 {
		t.Errorf("the place has %v (%v)", images, err)
	}
}

func digests(list []v1.Descriptor) []digest.Digest {
	var out []digest.Digest
	for _, d := range list {
		out = append(out, d.Digest)
	}
	return out
}

// sorted returns digests in order, each as often as it is there.
func sorted(list []digest.Digest) []digest.Digest {
	out := slices.Clone(list)
	slices.Sort(out)
	return out
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
