package layout_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/layout"
)

func TestHolding(t *testing.T) {
	conformance.Holding(t, func(t *testing.T) conformance.HoldingPlace {
		dir := filepath.Join(t.TempDir(), "images")
		set := conformance.New(t, team)
		return conformance.HoldingPlace{
			Place: conformance.Place{
				Set:    set,
				Sink:   func(t *testing.T) transport.Sink { return newSink(t, dir) },
				Source: func(*testing.T) (transport.Source, error) { return layout.Open(dir) },
			},
			Remove: func(t *testing.T, img transport.Image) {
				for d := range set.Graph(t, img).Owners {
					if err := os.Remove(filepath.Join(dir, "blobs", d.Algorithm().String(), d.Encoded())); err != nil {
						t.Fatal(err)
					}
				}
			},
			Whole: true,
		}
	})
}

// TestFindLayersAfterDamage looks for layers by digest and by diff id after one
// change to a layout.
func TestFindLayersAfterDamage(t *testing.T) {
	set := conformance.New(t, team).Only("plain")
	img := set.Images[0]
	g := set.Graph(t, img)
	layer, config := g.Layers[0], g.Configs[0]
	var c v1.Image
	must(t, json.Unmarshal(set.Content[config.Digest], &c))
	want := []transport.Layer{
		{Digest: layer.Digest, Size: layer.Size, DiffID: digest.FromString("no")},
		{Digest: digest.FromString("no"), Size: 2, DiffID: c.RootFS.DiffIDs[0]},
	}
	blobFile := func(dir string, d v1.Descriptor) string {
		return filepath.Join(dir, "blobs", "sha256", d.Digest.Encoded())
	}
	for _, c := range []struct {
		name string
		do   func(t *testing.T, dir string)
		want []int
	}{
		{"as it was", func(*testing.T, string) {}, []int{0, 1}},
		{"no images", func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "index.json"), `{"schemaVersion":2,"manifests":[]}`)
		}, []int{0}},
		{"no manifest", func(t *testing.T, dir string) { must(t, os.Remove(blobFile(dir, img.Root))) }, []int{0}},
		{"damaged manifest", func(t *testing.T, dir string) { put(t, blobFile(dir, img.Root), "{}") }, []int{0}},
		{"no config", func(t *testing.T, dir string) { must(t, os.Remove(blobFile(dir, config))) }, []int{0}},
		{"damaged config", func(t *testing.T, dir string) { put(t, blobFile(dir, config), "{}") }, []int{0}},
		{"no layer", func(t *testing.T, dir string) { must(t, os.Remove(blobFile(dir, layer))) }, nil},
		{"layer cut short", func(t *testing.T, dir string) { must(t, os.Truncate(blobFile(dir, layer), layer.Size-1)) }, nil},
		{"layer is a folder", func(t *testing.T, dir string) {
			must(t, os.Remove(blobFile(dir, layer)))
			must(t, os.Mkdir(blobFile(dir, layer), 0o755))
		}, nil},
		{"layer elsewhere", func(t *testing.T, dir string) {
			outside := filepath.Join(t.TempDir(), "layer")
			must(t, os.Rename(blobFile(dir, layer), outside))
			if err := os.Symlink(outside, blobFile(dir, layer)); err != nil {
				t.Skip(err)
			}
		}, nil},
		{"no blobs", func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Join(dir, "blobs"))) }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "images")
			fill(t, dir, set)
			c.do(t, dir)
			src := open(t, dir)
			defer func() { _ = src.Close() }()
			found, err := src.(transport.Holding).FindLayers(t.Context(), nil, want)
			if err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, f := range found {
				got = append(got, f.Index)
				if f.Digest != layer.Digest {
					t.Errorf("layer %d found as %s", f.Index, f.Digest)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("found %v, want %v", got, c.want)
			}
		})
	}
}
