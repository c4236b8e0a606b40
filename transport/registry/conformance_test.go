package registry

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/parts"
)

func TestSourceConformance(t *testing.T) {
	reg := parts.Registry(t)
	c := newTestClient(t, Options{})
	set := conformance.New(t, reg.Image("team"))
	images := set.Source()
	sink := c.Sink()
	for _, img := range set.Images {
		copyGraph(t, images, img, img.Root, sink, []transport.Image{img})
	}
	if err := sink.Commit(t.Context(), set.Images); err != nil {
		t.Fatal(err)
	}
	conformance.Source(t, func(*testing.T) transport.Source { return c.Source() },
		conformance.Want{Set: set, NoList: true})
}

func TestSinkConformance(t *testing.T) {
	reg := parts.Registry(t)
	conformance.Sink(t, func(t *testing.T) conformance.Place {
		// Every test gets repositories of its own in one registry.
		own := strings.ToLower(strings.NewReplacer("#", "-", "_", "-").Replace(t.Name()))
		c := newTestClient(t, Options{})
		return conformance.Place{
			Set: conformance.New(t, reg.Image(own)),
			Sink: func(t *testing.T) transport.Sink {
				// What one case uploaded and did not name would be found by the
				// next; this stands in for the registry's garbage collection.
				if strings.Contains(t.Name(), "/failing_openers/") {
					if err := os.RemoveAll(filepath.Join(reg.Dir, "docker/registry/v2/repositories", own)); err != nil {
						t.Fatal(err)
					}
				}
				return c.Sink()
			},
			Source:    func(*testing.T) (transport.Source, error) { return c.Source(), nil },
			Remembers: true,
			Unkept:    []string{"cache"}, // this registry takes no index that lists blobs,
			NoParts:   true,              // nor, as it is set up, one whose children are not there
		}
	})
}
