package bale_test

import (
	"path/filepath"
	"slices"
	"testing"

	"bale/bundle"
	"bale/transport"
	"bale/transport/bale"
	"bale/transport/conformance"
)

func TestSource(t *testing.T) {
	for name, apart := range map[string]bool{"as it came": false, "taken apart": true} {
		t.Run(name, func(t *testing.T) { testSource(t, apart) })
	}
}

func testSource(t *testing.T, apart bool) {
	set := conformance.New(t, team)
	path := saved(t, set)
	if apart {
		path = savedApart(t, set)
	}
	multi := set.Image(t, "multi").Root.Digest.String()
	conformance.Source(t, func(t *testing.T) transport.Source {
		o, err := open(t.Context(), path)
		must(t, err)
		return o
	}, conformance.Want{Set: set, Select: map[string]string{
		team + "/multi@" + multi:     team + "/multi:1.0",
		team + "/multi:1.0@" + multi: team + "/multi:1.0",
	}})
}

func TestSink(t *testing.T) {
	for name, p := range map[string]*bundle.Preparer{"as it came": nil, "taken apart": {}} {
		t.Run(name, func(t *testing.T) { testSink(t, p) })
	}
}

func testSink(t *testing.T, p *bundle.Preparer) {
	conformance.Sink(t, func(t *testing.T) conformance.Place {
		dir := t.TempDir()
		path := filepath.Join(dir, "images.bale")
		return conformance.Place{
			Set: conformance.New(t, team),
			Sink: func(t *testing.T) transport.Sink {
				o := fixed(path)
				o.Preparer = p
				s, err := bale.NewSink(o)
				must(t, err)
				return s
			},
			Start: func(t *testing.T, s transport.Sink, _ []transport.Image) {
				must(t, s.(*bale.Sink).Start(t.Context(), &transport.Plan{}))
			},
			Planned: func(t *testing.T, s transport.Sink, plan *transport.Plan) {
				must(t, s.(*bale.Sink).Start(t.Context(), plan))
			},
			Source: func(t *testing.T) (transport.Source, error) {
				o, err := open(t.Context(), path)
				if err != nil {
					return nil, err // not a nil *opened
				}
				return o, nil
			},
			Leftovers: func(t *testing.T) []string {
				return slices.DeleteFunc(ls(t, dir), func(name string) bool { return name == filepath.Base(path) })
			},
			Anew: true,
		}
	})
}

// What goes through a bundle comes out as it was.
func TestThereAndBack(t *testing.T) {
	set := conformance.New(t, team)
	src := mustOpen(t, saved(t, set))
	must(t, bale.Complete(t.Context(), src.r))
	var place conformance.Memory
	var requests []transport.Request
	for _, img := range set.Images {
		requests = append(requests, transport.Request{Source: src, Image: img, Target: img.Name})
	}
	_, err := transport.Copy(t.Context(), requests, place.Sink(), transport.Options{})
	must(t, err)
	wantWhole(t, place.Source(), set, set.Images...)
}
