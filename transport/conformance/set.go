package conformance

import (
	"path"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/transport"
)

// Set is some images and all of their content, in memory.
type Set struct {
	Images   []transport.Image
	Attached []Attached               // what is attached to manifests of Images
	Content  map[digest.Digest][]byte // manifests, configs and layers
}

// Attached is something that is attached to a manifest or index.
type Attached struct {
	transport.Image
	To digest.Digest
}

// Image returns the image whose repository ends in short, as in "plain".
func (s *Set) Image(t testing.TB, short string) transport.Image {
	t.Helper()
	for _, img := range s.Images {
		if path.Base(img.Name.Path) == short {
			return img
		}
	}
	t.Fatalf("the set has no image %q", short)
	return transport.Image{}
}

// Only returns the set with no more than the images whose repositories end in
// one of shorts, in the set's order. The content is shared.
func (s *Set) Only(shorts ...string) *Set {
	return s.filter(func(short string) bool { return slices.Contains(shorts, short) })
}

// Without returns the set without the images whose repositories end in one of
// shorts. The content is shared.
func (s *Set) Without(shorts ...string) *Set {
	return s.filter(func(short string) bool { return !slices.Contains(shorts, short) })
}

func (s *Set) filter(keep func(short string) bool) *Set {
	f := &Set{Content: s.Content}
	for _, img := range s.Images {
		if keep(path.Base(img.Name.Path)) {
			f.Images = append(f.Images, img)
		}
	}
	for _, a := range s.Attached {
		if keep(path.Base(a.Name.Path)) {
			f.Attached = append(f.Attached, a)
		}
	}
	return f
}

// Rename returns the set with other names, for places where an image is not
// called what it was. The content is shared.
func (s *Set) Rename(name func(transport.Name) transport.Name) *Set {
	f := &Set{Content: s.Content}
	for _, img := range s.Images {
		img.Name = name(img.Name)
		f.Images = append(f.Images, img)
	}
	for _, a := range s.Attached {
		a.Name = name(a.Name)
		f.Attached = append(f.Attached, a)
	}
	return f
}

// Source returns a source of exactly these images.
func (s *Set) Source() transport.Source {
	m := &Memory{}
	m.Add(s)
	return m.Source()
}

// Knowing returns a source of these images and what is attached to them, which
// tells that too.
func (s *Set) Knowing() transport.Source {
	m := &Memory{}
	m.Add(s)
	for _, a := range s.Attached {
		m.add([]transport.Image{a.Image}, nil) // nobody else has m yet
	}
	return m.Knowing()
}
