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

// everyRegistry calls f with registries that let everybody in, that want a
// password, and that want a token; the latter two over TLS.
func everyRegistry(t *testing.T, f func(t *testing.T, reg *parts.RegistryPart, o Options)) {
	t.Helper()
	for name, c := range map[string]struct {
		parts []parts.RegistryOption
		o     Options
	}{
		"plain":    {},
		"htpasswd": {[]parts.RegistryOption{parts.WithTLS(), parts.WithBasicAuth("anna", "pw")}, Options{Keychain: account{"anna", "pw"}}},
		"tokens":   {[]parts.RegistryOption{parts.WithTLS(), parts.WithTokenAuth(anna)}, Options{Keychain: account{"anna", "pw"}}},
	} {
		t.Run(name, func(t *testing.T) {
			reg := parts.Registry(t, c.parts...)
			c.o.CAFile = reg.CAFile
			f(t, reg, c.o)
		})
	}
}

func TestSourceConformance(t *testing.T) {
	everyRegistry(t, func(t *testing.T, reg *parts.RegistryPart, o Options) {
		c := newTestClient(t, o)
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
	})
}

func TestSinkConformance(t *testing.T) {
	everyRegistry(t, func(t *testing.T, reg *parts.RegistryPart, o Options) {
		conformance.Sink(t, func(t *testing.T) conformance.Place {
			// Every test gets repositories of its own in one registry.
			own := strings.ToLower(strings.NewReplacer("#", "-", "_", "-").Replace(t.Name()))
			c := newTestClient(t, o)
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
	})
}
