package containerd

import (
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/parts"
)

func TestConformanceSource(t *testing.T) {
	part := parts.Containerd(t)
	for _, ns := range []string{"default", Kubernetes} {
		t.Run(ns, func(t *testing.T) {
			p := place{part, ns}
			set := conformance.New(t, "registry.example/team")
			p.load(t, set.Source(), set.Images, transport.Options{})
			id := set.Image(t, "shared").Root.Digest.String()
			conformance.Source(t, func(t *testing.T) transport.Source {
				s, err := NewSource(t.Context(), p.options())
				if err != nil {
					t.Fatal(err)
				}
				return s
			}, conformance.Want{Set: set, Select: map[string]string{
				id:       "registry.example/team/shared:1.0",
				"@" + id: "registry.example/team/shared:1.0",
			}})
		})
	}
}

// A namespace must not see what another has, or the suite would find content
// that it has not written yet. What is shared has a test of its own.
func TestConformanceSink(t *testing.T) {
	part := parts.Containerd(t, parts.WithIsolatedContent())
	t.Run("default", func(t *testing.T) {
		conformance.Sink(t, func(t *testing.T) conformance.Place { return target(t, place{part, fresh()}) })
	})
	t.Run(Kubernetes, func(t *testing.T) {
		conformance.Sink(t, func(t *testing.T) conformance.Place {
			return target(t, emptied(t, place{part, Kubernetes}))
		})
	})
}

// emptied removes all images of a place.
func emptied(t *testing.T, p place) place {
	t.Helper()
	for _, name := range p.names(t) {
		p.ctr(t, "images", "rm", name)
	}
	p.collect(t)
	return p
}

func target(t *testing.T, p place) conformance.Place {
	t.Helper()
	return conformance.Place{
		Set: conformance.New(t, "registry.example/team"),
		Sink: func(t *testing.T) transport.Sink {
			s, err := NewSink(t.Context(), p.options())
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		Source: func(t *testing.T) (transport.Source, error) { return NewSource(t.Context(), p.options()) },
		Leftovers: func(t *testing.T) []string {
			p.collect(t)
			return p.strays(t)
		},
		Remembers: true,
		Remove:    func(t *testing.T, d digest.Digest) { p.ctr(t, "content", "rm", d.String()) },
	}
}

// In the namespace of Kubernetes an image whose tag moves stays by its digest;
// elsewhere containerd collects it.
func TestConformanceHolding(t *testing.T) {
	part := parts.Containerd(t, parts.WithIsolatedContent())
	conformance.Holding(t, func(t *testing.T) conformance.HoldingPlace {
		p := emptied(t, place{part, Kubernetes})
		return conformance.HoldingPlace{
			Place:  target(t, p),
			Remove: p.remove,
			Whole:  true,
		}
	})
}
