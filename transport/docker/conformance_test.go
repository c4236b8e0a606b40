package docker

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
	"bale/transport/conformance"
)

// ownSet is the suite's images as far as an engine can hold them.
func ownSet(t *testing.T) *conformance.Set {
	t.Helper()
	return conformance.New(t, "registry.example/team").Without("artifact")
}

func TestConformanceSource(t *testing.T) {
	d := emptyEngine(t)
	set := ownSet(t)
	sink := openSink(t, d.Host)
	set.Images = set.Resolve(t, sink.Properties().Platform)
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	if err := transfer(t, d.Host, set.Source(), set.Images); err != nil {
		t.Fatal(err)
	}
	open := func(t *testing.T) transport.Source {
		s, err := NewSource(t.Context(), Options{Host: d.Host})
		if err != nil {
			t.Fatal(err)
		}
		images(t, s, "") // nothing is there before it is selected
		return s
	}
	id := strings.TrimPrefix(idOf(t, d, "registry.example/team/shared:1.0"), "sha256:")
	conformance.Source(t, open, conformance.Want{Set: forgotten(t, set), Select: map[string]string{
		id:             "registry.example/team/shared:1.0",
		"sha256:" + id: "registry.example/team/shared:1.0",
		id[:12]:        "registry.example/team/shared:1.0",
	}})
}

// forgotten returns a set as an engine gives it back: without compression and
// with the one manifest that follows from the config.
func forgotten(t *testing.T, in *conformance.Set) *conformance.Set {
	t.Helper()
	out := &conformance.Set{Content: map[digest.Digest][]byte{}}
	for _, img := range in.Images {
		var m v1.Manifest
		if err := json.Unmarshal(in.Content[img.Root.Digest], &m); err != nil {
			t.Fatal(err)
		}
		m.MediaType = v1.MediaTypeImageManifest
		m.Config = put(out, v1.MediaTypeImageConfig, in.Content[m.Config.Digest])
		for i, l := range m.Layers {
			raw := in.Content[l.Digest]
			if strings.HasSuffix(l.MediaType, "gzip") {
				z, err := gzip.NewReader(bytes.NewReader(raw))
				if err != nil {
					t.Fatal(err)
				}
				if raw, err = io.ReadAll(z); err != nil {
					t.Fatal(err)
				}
			}
			m.Layers[i] = put(out, v1.MediaTypeImageLayer, raw)
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		out.Images = append(out.Images, transport.Image{Name: img.Name, Root: put(out, m.MediaType, b)})
	}
	return out
}

func TestConformanceSink(t *testing.T) {
	conformance.Sink(t, func(t *testing.T) conformance.Place {
		d := emptyEngine(t)
		set := ownSet(t)
		content := conformance.Signed(t, "registry.example/team").Content // and that of set
		return conformance.Place{
			Set:    set,
			Sink:   func(t *testing.T) transport.Sink { return openSink(t, d.Host) },
			Source: func(t *testing.T) (transport.Source, error) { return NewSource(t.Context(), Options{Host: d.Host}) },
			Unkept: []string{"bare"}, // what has no tag is there, but not by its digest
			Start:  func(t *testing.T, s transport.Sink, images []transport.Image) { plan(t, s, set, images) },
			Visible: func(t *testing.T, name transport.Name) bool {
				return d.Run(t, "images", "--quiet", name.String()) != ""
			},
			Check: func(t *testing.T, img transport.Image) {
				var m v1.Manifest
				if err := json.Unmarshal(content[img.Root.Digest], &m); err != nil {
					t.Fatal(err)
				}
				if id := idOf(t, d, img.Name.String()); id != m.Config.Digest.String() {
					t.Errorf("%s is image %s, not %s", img.Name, id, m.Config.Digest)
				}
				wantReadable(t, openSource(t, d.Host), img.Name)
			},
			Leftovers: func(t *testing.T) []string {
				settle(t, d)
				return dangling(t, d)
			},
		}
	})
}
