package conformance

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
	"bale/transport"
)

// Place is an empty place under test and how to look at it.
type Place struct {
	// Set is what is written: images that the place can keep, under names
	// that suit it. At least "plain" and "shared" of [New] must be among them.
	Set *Set

	// Sink returns another new sink onto the place. The suite closes it.
	Sink func(t *testing.T) transport.Sink

	// Start, if set, tells a sink which images will be written to it before
	// anything is, as the engine does once it has a plan.
	Start func(t *testing.T, s transport.Sink, images []transport.Image)

	// Source opens the place as it is now. A place that does not exist before
	// the first Commit gives a [fault.ErrMissing] or fs.ErrNotExist. The suite
	// closes what it gets.
	Source func(t *testing.T) (transport.Source, error)

	// Names says under which names what was written is found again; nil if
	// names are kept.
	Names func(transport.Name) transport.Name

	// Visible and Check stand in for Source at a place that cannot give back
	// what it was given. Visible reports whether the place knows the name;
	// Check fails the test unless img is there, whole.
	Visible func(t *testing.T, name transport.Name) bool
	Check   func(t *testing.T, img transport.Image)

	// Leftovers, if set, lists what is at the place and belongs to no image
	// there, one line each. It is called with no sink open.
	Leftovers func(t *testing.T) []string

	// Anew is set if each sink makes the place anew, as one that writes a file
	// does, so that nothing of an earlier run can be found or kept.
	Anew bool

	// Remembers is set if Has finds what an earlier run committed.
	Remembers bool

	// Planned, if set, tells a sink what the engine has planned, as whoever calls
	// the engine does.
	Planned func(t *testing.T, s transport.Sink, plan *transport.Plan)

	// Unkept are images of [Signed] that the place cannot keep by its nature.
	// Images that are no container images need not be named where a sink says by
	// its properties that it keeps none.
	Unkept []string

	// NoParts is set if the place takes no index in part, though its sink can ask
	// it ([transport.Sparse]).
	NoParts bool

	// Remove, if set, deletes a blob of the place without a trace.
	Remove func(t *testing.T, d digest.Digest)
}

// find opens the place to look for an image; the source is nil, and nothing
// is visible, if the place does not exist.
func (p Place) find(t *testing.T) transport.Source {
	t.Helper()
	src, err := p.Source(t)
	switch {
	case errors.Is(err, fault.ErrMissing) || errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		t.Fatalf("open the place to read from it: %v", err)
	}
	t.Cleanup(func() { _ = src.Close() })
	return src
}

// name returns the image as it is called at the place.
func (p Place) name(img transport.Image) transport.Image {
	if p.Names != nil {
		img.Name = p.Names(img.Name)
	}
	return img
}

// wantImages fails the test unless the images are there, whole.
func (p Place) wantImages(t *testing.T, images []transport.Image) {
	t.Helper()
	if len(images) == 0 {
		t.Fatal("no image to look for")
	}
	if p.Check != nil {
		for _, img := range images {
			p.Check(t, p.name(img))
		}
		return
	}
	src := p.find(t)
	if src == nil {
		t.Fatal("the place is not there")
	}
	for _, img := range images {
		sameImage(t, src, p.Set, p.name(img))
	}
}

// wantNone fails the test if the place knows one of the images by name.
func (p Place) wantNone(t *testing.T, images []transport.Image) {
	t.Helper()
	visible := p.Visible
	if visible == nil {
		src := p.find(t)
		if src == nil {
			return
		}
		visible = func(t *testing.T, name transport.Name) bool {
			t.Helper()
			_, err := src.Images(t.Context(), name.String())
			if err != nil && !errors.Is(err, fault.ErrMissing) {
				t.Errorf("look for %s: %v, want an ErrMissing", name, err)
			}
			return err == nil
		}
	}
	for _, img := range images {
		if img = p.name(img); visible(t, img.Name) {
			t.Errorf("%s is visible", img.Name)
		}
	}
}

// wantClean fails the test if the place holds what no image there needs.
func (p Place) wantClean(t *testing.T) {
	t.Helper()
	if p.Leftovers == nil {
		return
	}
	for _, l := range p.Leftovers(t) {
		t.Errorf("left over: %s", l)
	}
}
