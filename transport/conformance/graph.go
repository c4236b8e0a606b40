package conformance

import (
	"encoding/json"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
)

// Graph is what some images are made of: each object once, in the order in
// which they are written.
type Graph struct {
	Layers    []v1.Descriptor
	Configs   []v1.Descriptor
	Manifests []v1.Descriptor // children before their index

	// Owners are the images that an object belongs to.
	Owners map[digest.Digest][]transport.Image
}

// Blobs returns layers, then configs.
func (g *Graph) Blobs() []v1.Descriptor {
	return append(append([]v1.Descriptor(nil), g.Layers...), g.Configs...)
}

// Graph walks images, whose content must all be in the set.
func (s *Set) Graph(t testing.TB, images ...transport.Image) *Graph {
	t.Helper()
	g := &Graph{Owners: make(map[digest.Digest][]transport.Image)}
	for _, img := range images {
		s.walk(t, g, img, img.Root, make(map[digest.Digest]bool))
	}
	return g
}

func (s *Set) walk(t testing.TB, g *Graph, img transport.Image, d v1.Descriptor, seen map[digest.Digest]bool) {
	t.Helper()
	add := func(to *[]v1.Descriptor, d v1.Descriptor) {
		if seen[d.Digest] {
			return
		}
		seen[d.Digest] = true
		if len(g.Owners[d.Digest]) == 0 {
			*to = append(*to, d)
		}
		g.Owners[d.Digest] = append(g.Owners[d.Digest], img)
	}
	if !transport.IsIndex(d.MediaType) && !transport.IsManifest(d.MediaType) {
		add(&g.Layers, d) // what an index may list besides
		return
	}
	m := s.parse(t, d)
	for _, c := range m.Manifests {
		s.walk(t, g, img, c, seen)
	}
	for _, l := range m.Layers {
		add(&g.Layers, l)
	}
	if m.Config != nil {
		add(&g.Configs, *m.Config)
	}
	add(&g.Manifests, d)
}

// node is what a manifest or index refers to.
type node struct {
	Manifests []v1.Descriptor `json:"manifests"`
	Config    *v1.Descriptor  `json:"config"`
	Layers    []v1.Descriptor `json:"layers"`
}

func (s *Set) parse(t testing.TB, d v1.Descriptor) node {
	t.Helper()
	content, ok := s.Content[d.Digest]
	if !ok {
		t.Fatalf("the set lacks %s", d.Digest)
	}
	var n node
	if err := json.Unmarshal(content, &n); err != nil {
		t.Fatalf("parse %s: %v", d.Digest, err)
	}
	return n
}

// Resolve returns the images as a place that keeps one platform only gets
// them: an index is replaced by the manifest of that platform, and what has
// none is left out. A nil platform keeps everything.
func (s *Set) Resolve(t testing.TB, p *v1.Platform) []transport.Image {
	t.Helper()
	if p == nil {
		return s.Images
	}
	var images []transport.Image
	for _, img := range s.Images {
		if d, ok := s.pick(t, img.Root, p); ok {
			img.Root = d
			images = append(images, img)
		}
	}
	return images
}

func (s *Set) pick(t testing.TB, d v1.Descriptor, p *v1.Platform) (v1.Descriptor, bool) {
	t.Helper()
	if !transport.IsIndex(d.MediaType) {
		fits := d.Platform == nil || d.Platform.OS == p.OS && d.Platform.Architecture == p.Architecture
		d.Platform = nil
		return d, fits
	}
	for _, c := range s.parse(t, d).Manifests {
		if got, ok := s.pick(t, c, p); ok {
			return got, true
		}
	}
	return v1.Descriptor{}, false
}
