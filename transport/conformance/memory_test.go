package conformance_test

import (
	"context"
	"errors"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
)

const team = "registry.example/team"

func TestMemorySource(t *testing.T) {
	set := conformance.New(t, team)
	conformance.Source(t, func(*testing.T) transport.Source { return set.Source() }, conformance.Want{
		Set:    set,
		Select: map[string]string{team + "/plain:1.0": team + "/plain:1.0"},
	})
}

func TestMemoryKnowingSource(t *testing.T) {
	set := conformance.Signed(t, team)
	images := conformance.Set{Images: set.Images, Content: set.Content}
	for _, a := range set.Attached {
		images.Images = append(images.Images, a.Image)
	}
	images.Attached = set.Attached
	conformance.Source(t, func(*testing.T) transport.Source { return images.Knowing() }, conformance.Want{Set: &images})
}

func TestMemorySink(t *testing.T) {
	conformance.Sink(t, memoryPlace)
}

// A place whose source and sink can do no more than they must.
func TestSimpleMemory(t *testing.T) {
	conformance.Sink(t, func(t *testing.T) conformance.Place {
		m := &conformance.Memory{}
		return conformance.Place{
			Set:    conformance.New(t, team),
			Sink:   func(*testing.T) transport.Sink { return m.Sink() },
			Source: func(*testing.T) (transport.Source, error) { return m.Source(), nil },
		}
	})
}

// TestKindsOfSink runs the suite on sinks with other properties and on places
// with other ways to look at them.
func TestKindsOfSink(t *testing.T) {
	amd64 := &v1.Platform{OS: "linux", Architecture: "amd64"}
	for name, change := range map[string]func(p *conformance.Place){
		"ordered": func(p *conformance.Place) { p.Sink = with(p.Sink, transport.Properties{Ordered: true}) },
		"anew":    func(p *conformance.Place) { p.Anew = true },
		"forgets": func(p *conformance.Place) { p.Remembers = false },
		"few":     func(p *conformance.Place) { p.Set = p.Set.Only("plain", "shared") },
		"platform": func(p *conformance.Place) {
			p.Sink = with(p.Sink, transport.Properties{Platform: amd64, NoReferrers: true})
			p.Unkept = []string{"bare"} // such a place is asked for it by its config
		},
		"started": func(p *conformance.Place) {
			open := p.Sink
			p.Sink = func(t *testing.T) transport.Sink { return &lateSink{Sink: open(t)} }
			p.Start = func(_ *testing.T, s transport.Sink, images []transport.Image) { s.(*lateSink).planned = len(images) }
			p.Planned = func(_ *testing.T, s transport.Sink, plan *transport.Plan) { s.(*lateSink).planned = len(plan.Images) }
		},
		"own look": func(p *conformance.Place) {
			find := func(t *testing.T, n transport.Name) []transport.Image {
				src, err := p.Source(t)
				if err != nil {
					t.Fatal(err)
				}
				images, err := src.Images(t.Context(), n.String())
				if err != nil && !errors.Is(err, fault.ErrMissing) {
					t.Error(err)
				}
				return images
			}
			p.Visible = func(t *testing.T, n transport.Name) bool { return len(find(t, n)) > 0 }
			p.Check = func(t *testing.T, img transport.Image) {
				if found := find(t, img.Name); len(found) != 1 || found[0].Root.Digest != img.Root.Digest {
					t.Errorf("%s: found %v", img.Name, found)
				}
			}
		},
		"other names": func(p *conformance.Place) {
			p.Names = func(n transport.Name) transport.Name {
				n.Domain = "localhost"
				return n
			}
			open := p.Sink
			p.Sink = func(t *testing.T) transport.Sink {
				good := open(t)
				return sinkParts{Sink: good, commit: func(ctx context.Context, images []transport.Image) error {
					return good.Commit(ctx, (&conformance.Set{Images: images}).Rename(p.Names).Images)
				}}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			conformance.Sink(t, func(t *testing.T) conformance.Place {
				p := memoryPlace(t)
				change(&p)
				return p
			})
		})
	}
}

// with returns a maker of sinks with other properties.
func with(open func(*testing.T) transport.Sink, props transport.Properties) func(*testing.T) transport.Sink {
	return func(t *testing.T) transport.Sink { return withProperties{open(t), props} }
}

type withProperties struct {
	transport.Sink
	props transport.Properties
}

func (s withProperties) Properties() transport.Properties { return s.props }

// lateSink takes blobs only after it was told how many images are to come.
type lateSink struct {
	transport.Sink
	planned int
}

func (s *lateSink) WriteBlob(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
	if s.planned < len(images) {
		return errors.New("not started")
	}
	return s.Sink.WriteBlob(ctx, d, images, open)
}

// memoryPlace returns an empty place in memory.
func memoryPlace(t *testing.T) conformance.Place {
	m := &conformance.Memory{}
	return conformance.Place{
		Set:       conformance.New(t, team),
		Sink:      func(*testing.T) transport.Sink { return m.Taking() },
		Source:    func(*testing.T) (transport.Source, error) { return m.Knowing(), nil },
		Remove:    func(_ *testing.T, d digest.Digest) { m.Remove(d) },
		Remembers: true,
	}
}

func TestSetIsAlwaysTheSame(t *testing.T) {
	a, b := conformance.New(t, team), conformance.New(t, team)
	if len(a.Images) != 6 || len(a.Images) != len(b.Images) {
		t.Fatalf("%d and %d images, want 6", len(a.Images), len(b.Images))
	}
	for i := range a.Images {
		if a.Images[i].Root.Digest != b.Images[i].Root.Digest {
			t.Errorf("%s: %s, then %s", a.Images[i].Name, a.Images[i].Root.Digest, b.Images[i].Root.Digest)
		}
	}
}
