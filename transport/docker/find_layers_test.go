package docker

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/parts"
)

func TestHolding(t *testing.T) {
	conformance.Holding(t, func(t *testing.T) conformance.HoldingPlace {
		d := emptyEngine(t)
		return conformance.HoldingPlace{
			Place: conformance.Place{
				Set:    ownSet(t),
				Sink:   func(t *testing.T) transport.Sink { return openSink(t, d.Host) },
				Source: func(t *testing.T) (transport.Source, error) { return NewSource(t.Context(), Options{Host: d.Host}) },
			},
			Remove: func(t *testing.T, img transport.Image) {
				d.Run(t, "rmi", "--force", idOf(t, d, img.Name.String()))
			},
			Unpacked: true,
			Whole:    true,
		}
	})
}

// layersOf returns an image's layers, as they are looked for.
func layersOf(t *testing.T, d *parts.DockerPart, ref string) []transport.Layer {
	t.Helper()
	var ids []digest.Digest
	if err := json.Unmarshal([]byte(d.Run(t, "inspect", "--type", "image", "--format", "{{json .RootFS.Layers}}", ref)), &ids); err != nil {
		t.Fatal(err)
	}
	var out []transport.Layer
	for _, id := range ids {
		out = append(out, transport.Layer{Digest: digest.FromString("gzip of " + id.String()), Size: 7, DiffID: id})
	}
	return out
}

func findLayers(t *testing.T, s *classicSource, want []transport.Layer, near ...string) []transport.FoundLayer {
	t.Helper()
	var names []transport.Name
	for _, s := range near {
		n, err := transport.ParseName(s)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, n)
	}
	found, err := s.FindLayers(t.Context(), names, want)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// wantLayers reads all that was found and compares digests.
func wantLayers(t *testing.T, found []transport.FoundLayer, want []transport.Layer) {
	t.Helper()
	if len(found) != len(want) {
		t.Fatalf("found %d layers of %d", len(found), len(want))
	}
	for i, f := range found {
		rc, err := f.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got, err := digest.FromReader(rc)
		if err := errors.Join(err, rc.Close()); err != nil || got != want[i].DiffID || f.Digest != got {
			t.Errorf("layer %d: %s, %v; want %s", i, got, err, want[i].DiffID)
		}
	}
}

// TestFindLayersExportsOnce asks for layers of two images that share one. They
// are exported together, and not before they are needed.
func TestFindLayersExportsOnce(t *testing.T) {
	d := emptyEngine(t)
	build(t, d)
	want := append(layersOf(t, d, "example/hello:1"), layersOf(t, d, "example/world:1")[1:]...)
	// The base is no image of its own any more, and nothing has a name.
	for _, name := range []string{"example/base:1", "example/hello:1", "example/world:1"} {
		d.Run(t, "tag", idOf(t, d, name), "moved/"+name[8:])
	}
	d.Run(t, "rmi", "example/base:1", "example/hello:1", "example/world:1", "moved/base:1")
	src := openSource(t, d.Host)
	found := findLayers(t, src, want)
	if len(src.exports) != 0 {
		t.Error("it was exported before anything was opened")
	}
	wantLayers(t, found, want)
	if len(src.exports) != 1 || len(src.made) != 2 {
		t.Errorf("%d exports of %d images, want 1 of 2", len(src.exports), len(src.made))
	}
	// Another search on the same source uses what there is.
	wantLayers(t, findLayers(t, src, want[1:]), want[1:])
	if len(src.exports) != 1 {
		t.Errorf("%d exports, want 1", len(src.exports))
	}
}

// TestFindLayersOfLostImages finds layers of images that have lost their names.
func TestFindLayersOfLostImages(t *testing.T) {
	d := emptyEngine(t)
	build(t, d)
	hello := layersOf(t, d, "example/hello:1")
	d.Run(t, "tag", "example/world:1", "example/hello:1")
	d.Run(t, "rmi", "example/base:1")
	wantLayers(t, findLayers(t, openSource(t, d.Host), hello, "example/hello:1"), hello)
}

// TestFindLayersPrefersNear takes the image from a repository that was named.
func TestFindLayersPrefersNear(t *testing.T) {
	d := emptyEngine(t)
	build(t, d)
	base := layersOf(t, d, "example/base:1")
	for _, name := range []string{"example/base", "example/hello", "example/world"} {
		src := openSource(t, d.Host)
		wantLayers(t, findLayers(t, src, base, name), base)
		if _, ok := src.made[digest.Digest(idOf(t, d, name+":1"))]; !ok || len(src.made) != 1 {
			t.Errorf("%s was not exported, but %v", name, src.made)
		}
	}
}

// TestFindLayersDeletedOne deletes one of two images between find and open. The
// error says which; a new search finds what is left.
func TestFindLayersDeletedOne(t *testing.T) {
	d := emptyEngine(t)
	build(t, d)
	hello, world := layersOf(t, d, "example/hello:1"), layersOf(t, d, "example/world:1")
	want := append(hello, world[1:]...)
	src := openSource(t, d.Host)
	found := findLayers(t, src, want)
	id := idOf(t, d, "example/hello:1")
	d.Run(t, "rmi", "example/hello:1")
	_, err := found[0].Open(t.Context())
	if !errors.Is(err, fault.ErrMissing) || !strings.Contains(err.Error(), id) || !strings.Contains(err.Error(), "example/hello:1") ||
		!strings.Contains(err.Error(), want[0].DiffID.String()) || fault.Hint(err) == "" {
		t.Errorf("%v (hint %q)", err, fault.Hint(err))
	}
	wantLayers(t, findLayers(t, src, world), world)
	if again := findLayers(t, src, want); len(again) != len(want)-1 {
		t.Errorf("found %d layers, want all but one of %d", len(again), len(want))
	}
}

// TestFindLayersNoList asks what is an engine in little more than name.
func TestFindLayersNoList(t *testing.T) {
	host := fakeEngine(t, `{"OSType":"linux","Architecture":"x86_64"}`, nil)
	src := openSource(t, host)
	want := []transport.Layer{{DiffID: digest.FromString("x")}}
	if found, err := src.FindLayers(t.Context(), nil, want); err == nil || !strings.Contains(err.Error(), host[len("tcp://"):]) {
		t.Errorf("%v, %v", found, err)
	}
}

func TestCover(t *testing.T) {
	img := func(name, layers string) holder {
		h := holder{name: name}
		for _, l := range strings.Fields(layers) {
			h.layers = append(h.layers, digest.Digest(l))
		}
		return h
	}
	for _, c := range []struct {
		want   string
		images []holder
		chosen []string
	}{
		{"a b", nil, nil},
		{"a b", []holder{img("1", "c d")}, nil},
		{"", []holder{img("1", "c d")}, nil},
		{"a b", []holder{img("1", "a"), img("2", "b"), img("3", "a b")}, []string{"3"}},
		{"a b c", []holder{img("1", "a"), img("2", "a b"), img("3", "c b")}, []string{"2", "3"}},
		{"a b c d", []holder{img("1", "a b"), img("2", "b c"), img("3", "c d")}, []string{"1", "3"}},
		{"a b", []holder{img("1", "a a a x y z"), img("2", "a b")}, []string{"2"}},
		{"a", []holder{img("1", "x a"), img("2", "a")}, []string{"1"}}, // the preferred
	} {
		wanted := map[digest.Digest]bool{}
		for _, l := range strings.Fields(c.want) {
			wanted[digest.Digest(l)] = true
		}
		var got []string
		for _, h := range cover(c.images, wanted) {
			got = append(got, h.name)
		}
		if !slices.Equal(got, c.chosen) {
			t.Errorf("%s: chose %v, want %v", c.want, got, c.chosen)
		}
	}
}

func TestPrefer(t *testing.T) {
	list := []holder{{id: "d", size: 1}, {id: "c", size: 3, near: true}, {id: "b", size: 1}, {id: "a", size: 2, near: true}}
	slices.SortFunc(list, prefer)
	var got string
	for _, h := range list {
		got += h.id.String()
	}
	if got != "acbd" {
		t.Errorf("order %s", got)
	}
}
