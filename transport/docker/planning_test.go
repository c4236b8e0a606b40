package docker

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/parts"
)

// engines are all that are tested, each empty.
var engines = map[string]func(t *testing.T) *parts.DockerPart{
	"old Docker":     emptyEngine,
	"Docker":         func(t *testing.T) *parts.DockerPart { return emptied(t, parts.SharedDockerCurrent(t)) },
	"Docker classic": func(t *testing.T) *parts.DockerPart { return parts.DockerCurrentClassic(t) },
	"Podman":         func(t *testing.T) *parts.DockerPart { return emptied(t, parts.SharedPodman(t)) },
}

// TestLayersThatAreThere copies an image whose large layer an engine has in another.
func TestLayersThatAreThere(t *testing.T) {
	for name, engine := range engines {
		t.Run(name, func(t *testing.T) {
			d := engine(t)
			set := conformance.New(t, "registry.example/team")
			plain, shared := set.Image(t, "plain"), set.Image(t, "shared")
			base := set.Graph(t, plain).Layers[0]
			if p := copyAll(t, d.Host, set.Source(), []transport.Image{plain}); !lacks(p, base.Digest) {
				t.Error("an empty engine has the layer")
			}
			if p := copyAll(t, d.Host, set.Source(), []transport.Image{shared}); lacks(p, base.Digest) {
				t.Errorf("the layer is sent again: %v", p.Lacking())
			}
			d.Run(t, "rmi", plain.Name.String())
			src := anySource(t, d.Host)
			wantReadable(t, src, shared.Name)
			if err := src.Close(); err != nil {
				t.Error(err)
			}
			if left := dangling(t, d); len(left) > 0 {
				t.Errorf("left over: %v", left)
			}
		})
	}
}

func lacks(p *transport.Plan, layer digest.Digest) bool {
	return slices.ContainsFunc(p.Lacking(), func(d v1.Descriptor) bool { return d.Digest == layer })
}

// TestLayerGoesAway deletes the image that has a layer between plan and load. An
// engine that could be told to keep the layer still has it.
func TestLayerGoesAway(t *testing.T) {
	for name, keeps := range map[string]bool{"old Docker": false, "Docker": true, "Docker classic": false, "Podman": true} {
		t.Run(name, func(t *testing.T) {
			d := engines[name](t)
			set := conformance.New(t, "registry.example/team")
			plain, shared := set.Image(t, "plain"), set.Image(t, "shared")
			copyAll(t, d.Host, set.Source(), []transport.Image{plain})
			sink := anySink(t, d.Host)
			_, err := transport.Copy(t.Context(), []transport.Request{{Source: set.Source(), Image: shared, Target: shared.Name}}, sink, transport.Options{
				Planned: func(*transport.Plan) error { d.Run(t, "rmi", plain.Name.String()); return nil },
			})
			if cerr := sink.Close(); cerr != nil {
				t.Error(cerr)
			}
			if keeps {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, fault.ErrMissing) || fault.Hint(err) == "" {
				t.Errorf("%v (hint %q), want an ErrMissing and advice", err, fault.Hint(err))
			}
			if left := d.Run(t, "images", "--all", "--quiet"); left != "" {
				t.Errorf("left over: %s", left)
			}
		})
	}
}

// TestOtherStack copies an image that has a layer where an engine does not have it.
func TestOtherStack(t *testing.T) {
	for name, engine := range engines {
		t.Run(name, func(t *testing.T) {
			d := engine(t)
			set := conformance.New(t, "registry.example/team")
			plain := set.Image(t, "plain")
			layers := set.Graph(t, plain).Layers
			copyAll(t, d.Host, set.Source(), []transport.Image{plain})
			upside := upsideDown(t, set, plain)
			p := copyAll(t, d.Host, set.Source(), []transport.Image{upside})
			if name != "Docker" && !lacks(p, layers[0].Digest) { // which knows blobs
				t.Errorf("of %v, the engine is said to have layers of another stack", p.Lacking())
			}
			src := anySource(t, d.Host)
			wantReadable(t, src, upside.Name)
			if err := src.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// upsideDown adds to a set an image with the layers of another the other way round.
func upsideDown(t *testing.T, set *conformance.Set, img transport.Image) transport.Image {
	t.Helper()
	set.Content = maps.Clone(set.Content) // which all sets share
	s := &conformance.Set{Images: []transport.Image{img}, Content: set.Content}
	alter(t, s, 0, func(m *v1.Manifest) {
		config := decode[v1.Image](t, s.Content[m.Config.Digest])
		slices.Reverse(config.RootFS.DiffIDs)
		slices.Reverse(m.Layers)
		m.Config = put(s, v1.MediaTypeImageConfig, encode(t, config))
	})
	out := s.Images[0]
	out.Name.Path += "-upside-down"
	set.Images = append(set.Images, out)
	return out
}
