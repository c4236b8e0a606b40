package transport_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
)

// sparse is a sink that may take indexes in part.
type sparse struct {
	transport.Sink
	takes bool
	asked []transport.Image
	kept  [][]v1.Descriptor
}

func (s *sparse) TakesSparse(_ context.Context, img transport.Image, content []byte, kept []v1.Descriptor) (bool, error) {
	if img.Root.Digest.Algorithm().FromBytes(content) != img.Root.Digest {
		return false, errors.New("other content than the index")
	}
	s.asked, s.kept = append(s.asked, img), append(s.kept, kept)
	return s.takes, nil
}

// attestation is what BuildKit puts into an index beside a manifest.
func (l *library) attestation(of v1.Descriptor) v1.Descriptor {
	d := l.image(v1.Platform{OS: "unknown", Architecture: "unknown"}, l.layer("attests to "+of.Digest.String()))
	d.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": of.Digest.String()}
	return d
}

func TestPlatformsOfAnIndex(t *testing.T) {
	for _, takes := range []bool{true, false} {
		lib := newLibrary(t)
		amd, arm, v6, v7 := lib.entry(amd64, "amd64"), lib.entry(arm64, "arm64"), lib.entry(armV6, "v6"), lib.entry(armV7, "v7")
		aboutAmd, aboutArm := lib.attestation(amd), lib.attestation(arm)
		inner := lib.index(v6, v7)
		root := lib.index(amd, arm, aboutAmd, aboutArm, inner)
		img := lib.name(team+"/app:1", root)
		// What is not wanted need not even be there.
		for _, d := range []v1.Descriptor{arm, aboutArm, v6} {
			delete(lib.Content, d.Digest)
		}
		var place conformance.Memory
		sink := &sparse{Sink: place.Sink(), takes: takes}
		plan, err := transport.Copy(t.Context(), all(lib.Source(), img), sink, transport.Options{Platforms: []v1.Platform{amd64, armV7, amd64}})
		must(t, err)
		p := plan.Images[0]
		if want := []string{"linux/amd64", "linux/arm/v7"}; !slices.Equal(p.Platforms, want) {
			t.Errorf("platforms %v, want %v", p.Platforms, want)
		}
		var left []digest.Digest
		for _, o := range p.Omitted {
			if left = append(left, o.Descriptor.Digest); o.Reason != transport.OtherPlatform || o.Descriptor.Platform == nil {
				t.Errorf("left out %+v", o)
			}
		}
		if want := digests([]v1.Descriptor{v6, arm, aboutArm}); !slices.Equal(sorted(left), sorted(want)) {
			t.Errorf("left out %v, want %v", left, want)
		}
		if len(sink.asked) == 0 || sink.asked[0].Root.Digest != inner.Digest || len(sink.kept[0]) != 1 || sink.kept[0][0].Digest != v7.Digest {
			t.Errorf("asked about %v and %v, first want %s in part", sink.asked, sink.kept, inner.Digest)
		}
		if p.Part() != takes || p.Reindexed() == takes || (p.Target.Root.Digest == root.Digest) != takes {
			t.Errorf("takes=%t: %+v", takes, p)
		}
		if takes {
			if got := placed(t, &place, img, root, amd, aboutAmd, inner, v7); len(got) > 0 {
				t.Errorf("not at the target: %v", got)
			}
			if got := placed(t, &place, img, arm, aboutArm, v6); len(got) != 3 {
				t.Errorf("only %v are not at the target", got)
			}
			continue
		}
		content := placeContent(t, &place, p.Target)
		m, err := transport.ParseManifest(p.Target.Root.MediaType, content[p.Target.Root.Digest])
		must(t, err)
		if got := m.Manifests; len(got) != 3 || got[0].Digest != amd.Digest || got[1].Digest != aboutAmd.Digest || got[0].Platform == nil ||
			got[1].Annotations["vnd.docker.reference.digest"] != amd.Digest.String() {
			t.Errorf("the new index lists %+v", got)
		}
		m, err = transport.ParseManifest(m.Manifests[2].MediaType, content[m.Manifests[2].Digest])
		must(t, err)
		if got := m.Manifests; len(got) != 1 || got[0].Digest != v7.Digest {
			t.Errorf("the index in it lists %+v", got)
		}
		// The same every time.
		again, err := transport.Copy(t.Context(), all(lib.Source(), img), (&conformance.Memory{}).Sink(), transport.Options{Platforms: []v1.Platform{armV7, amd64}})
		must(t, err)
		if again.Images[0].Target.Root.Digest != p.Target.Root.Digest {
			t.Error("another index for the same platforms")
		}
	}
}

// placed returns which of some manifests are not at a place.
func placed(t *testing.T, place *conformance.Memory, img transport.Image, list ...v1.Descriptor) (missing []digest.Digest) {
	t.Helper()
	for _, d := range list {
		if _, err := place.Source().Manifest(t.Context(), img, d); err != nil {
			missing = append(missing, d.Digest)
		}
	}
	return missing
}

// All platforms that there are leave the index as it is.
func TestAllPlatformsByName(t *testing.T) {
	lib := newLibrary(t)
	img := lib.name(team+"/app:1", lib.index(lib.entry(amd64, "amd64"), lib.entry(arm64, "arm64")))
	var place conformance.Memory
	plan, err := transport.Copy(t.Context(), all(lib.Source(), img), place.Sink(), transport.Options{Platforms: []v1.Platform{arm64, amd64}})
	must(t, err)
	if p := plan.Images[0]; p.Reindexed() || p.Part() || len(p.Platforms) > 0 || len(p.Omitted) > 0 {
		t.Errorf("planned %+v", p)
	}
	wantWhole(t, &place, &lib.Set, img)
}

// A member that bale does not know stays in a new index; one that is written
// in another way than everybody does is not lost without a word.
func TestNewIndexKeepsWhatItDoesNotKnow(t *testing.T) {
	lib := newLibrary(t)
	amd, arm := lib.entry(amd64, "amd64"), lib.entry(arm64, "arm64")
	amd.Annotations = map[string]string{"org.example": "kept"}
	for list, kind := range map[string]error{"manifests": nil, "Manifests": fault.ErrDamaged} {
		root := lib.json(v1.MediaTypeImageIndex, map[string]any{
			"schemaVersion": 2, list: []v1.Descriptor{arm, amd}, "annotations": map[string]string{"org.example": "kept too"}, "unheardOf": []int{1, 2},
		})
		img := lib.name(team+"/app:1", root)
		var place conformance.Memory
		plan, err := transport.Copy(t.Context(), all(lib.Source(), img), place.Sink(), transport.Options{Platforms: []v1.Platform{amd64}})
		if !errors.Is(err, kind) || (err == nil) != (kind == nil) {
			t.Errorf("%s: %v, want %v", list, err, kind)
		}
		if err != nil {
			wantEmpty(t, &place)
			continue
		}
		got := string(placeContent(t, &place, plan.Images[0].Target)[plan.Images[0].Target.Root.Digest])
		want := `{"annotations":{"org.example":"kept too"},"manifests":[{"annotations":{"org.example":"kept"},"digest":"` + amd.Digest.String() + `"`
		if got[:len(want)] != want || got[len(got)-len(`"unheardOf":[1,2]}`):] != `"unheardOf":[1,2]}` {
			t.Errorf("the new index is %s", got)
		}
	}
}

// A source that was never given all of an index is in order.
func TestSourcesWithAPartOfAnIndex(t *testing.T) {
	setup := func(t *testing.T) (*library, *referring, transport.Image, v1.Descriptor, v1.Descriptor) {
		lib := newLibrary(t)
		amd, arm := lib.entry(amd64, "amd64"), lib.entry(arm64, "arm64")
		img := lib.name(team+"/app:1", lib.index(amd, arm))
		delete(lib.Content, arm.Digest)
		src := newReferring(lib)
		src.lacks[arm.Digest] = true
		return lib, src, img, amd, arm
	}
	t.Run("what there is", func(t *testing.T) {
		_, src, img, amd, arm := setup(t)
		var place conformance.Memory
		sink := &sparse{Sink: place.Sink(), takes: true}
		plan, err := transport.Copy(t.Context(), all(src, img), sink, transport.Options{})
		must(t, err)
		p := plan.Images[0]
		if !p.Part() || len(p.Omitted) != 1 || p.Omitted[0].Reason != transport.NotAtSource || p.Omitted[0].Descriptor.Digest != arm.Digest {
			t.Errorf("planned %+v", p)
		}
		if got := placed(t, &place, img, img.Root, amd); len(got) > 0 {
			t.Errorf("not at the target: %v", got)
		}
	})
	for what, o := range map[string]transport.Options{"all that should be there": {Complete: true}, "what is not there": {Platforms: []v1.Platform{amd64, arm64}}} {
		t.Run(what, func(t *testing.T) {
			_, src, img, _, _ := setup(t)
			var place conformance.Memory
			_, err := transport.Copy(t.Context(), all(src, img), &sparse{Sink: place.Sink(), takes: true}, o)
			if !errors.Is(err, fault.ErrMissing) || fault.Hint(err) == "" {
				t.Errorf("%v (hint %q), want an ErrMissing", err, fault.Hint(err))
			}
			wantEmpty(t, &place)
		})
	}
	t.Run("the platform of the sink", func(t *testing.T) {
		_, src, img, amd, _ := setup(t)
		var place conformance.Memory
		s := spy{props: transport.Properties{Platform: &amd64}}
		plan, err := transport.Copy(t.Context(), all(src, img), s.sink(&place), transport.Options{})
		must(t, err)
		if plan.Images[0].Target.Root.Digest != amd.Digest {
			t.Errorf("planned %+v", plan.Images[0])
		}
		s.props.Platform = &arm64
		if _, err := transport.Copy(t.Context(), all(src, img), s.sink(&place), transport.Options{}); !errors.Is(err, fault.ErrMissing) {
			t.Errorf("%v, want an ErrMissing", err)
		}
	})
	t.Run("nothing of it", func(t *testing.T) {
		_, src, img, amd, _ := setup(t)
		src.lacks[amd.Digest] = true
		if _, err := transport.Copy(t.Context(), all(src, img), (&conformance.Memory{}).Sink(), transport.Options{}); !errors.Is(err, fault.ErrMissing) {
			t.Errorf("%v, want an ErrMissing", err)
		}
	})
	t.Run("damage", func(t *testing.T) {
		_, src, img, _, arm := setup(t)
		delete(src.lacks, arm.Digest)
		if _, err := transport.Copy(t.Context(), all(src, img), (&conformance.Memory{}).Sink(), transport.Options{}); !errors.Is(err, fault.ErrMissing) {
			t.Errorf("%v, want an ErrMissing", err)
		}
	})
}

// A place that keeps one platform of an image cannot get two.
func TestOnePlatformOfTwo(t *testing.T) {
	lib := newLibrary(t)
	img := lib.name(team+"/app:1", lib.index(lib.entry(amd64, "amd64"), lib.entry(arm64, "arm64")))
	var place conformance.Memory
	s := spy{props: transport.Properties{Platform: &amd64}}
	_, err := transport.Copy(t.Context(), all(lib.Source(), img), s.sink(&place), transport.Options{Platforms: []v1.Platform{arm64, amd64}})
	if !errors.Is(err, fault.ErrUsage) || fault.Hint(err) == "" {
		t.Errorf("%v, want a usage error", err)
	}
	wantEmpty(t, &place)
}

// An index may list what is neither manifest nor index, as BuildKit's caches
// do: to us that is a blob.
func TestChildrenThatAreNoManifests(t *testing.T) {
	for _, w := range ways {
		lib := newLibrary(t)
		layer, other := lib.layer("cached"), lib.blob("application/vnd.buildkit.cacheconfig.v0", []byte(`{"layers":[]}`))
		img := lib.name(team+"/cache:1", lib.index(layer, other, lib.entry(amd64, "x"), layer))
		s := newSpy(w)
		var place conformance.Memory
		plan, err := transport.Copy(t.Context(), all(s.source(lib.Source()), img), s.sink(&place), transport.Options{})
		must(t, err)
		if n, _ := plan.Blobs(); n != 4 {
			t.Errorf("%s: %d blobs, want 4", w.name, n)
		}
		if got := placed(t, &place, img, layer, other); len(got) > 0 {
			t.Errorf("%s: not at the target: %v", w.name, got)
		}
	}
}

// Foreign layers are fetched if that is wanted; the source learns where from.
func TestForeignLayersMayBeFetched(t *testing.T) {
	lib := newLibrary(t)
	foreign := lib.blob(ociForeign, []byte("for windows only"))
	foreign.URLs = []string{"https://publisher.example/layer"}
	img := lib.name(team+"/windows:1", lib.image(amd64, foreign))
	src := &urls{Source: lib.Source()}
	var place conformance.Memory
	plan, err := transport.Copy(t.Context(), all(src, img), place.Sink(), transport.Options{ForeignLayers: true})
	must(t, err)
	if len(plan.Images[0].Omitted) > 0 || !slices.Equal(src.urls, foreign.URLs) {
		t.Errorf("left out %v, fetched from %v", plan.Images[0].Omitted, src.urls)
	}
	wantWhole(t, &place, &lib.Set, img)
}

// Where a source does not have them, whoever can fetch them does.
func TestForeignLayersOfAnotherPlace(t *testing.T) {
	for _, w := range ways {
		lib := newLibrary(t)
		foreign := lib.blob(ociForeign, []byte("for windows only"))
		foreign.URLs = []string{"https://publisher.example/layer"}
		img := lib.name(team+"/windows:1", lib.image(amd64, foreign))
		content := lib.Content[foreign.Digest]
		delete(lib.Content, foreign.Digest)
		s := newSpy(w)
		for what, o := range map[string]transport.Options{
			"nobody": {ForeignLayers: true},
			"lies": {ForeignLayers: true, Foreign: func(context.Context, transport.Image, v1.Descriptor, error) (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader("for someone else")), nil
			}},
			"right": {ForeignLayers: true, Foreign: func(_ context.Context, in transport.Image, d v1.Descriptor, refused error) (io.ReadCloser, error) {
				if in.Name != img.Name || !slices.Equal(d.URLs, foreign.URLs) || !errors.Is(refused, fault.ErrMissing) {
					t.Errorf("asked for %+v of %s after %v", d, in.Name, refused)
				}
				return io.NopCloser(bytes.NewReader(content)), nil
			}},
		} {
			var place conformance.Memory
			o.SpoolDir = t.TempDir()
			_, err := transport.Copy(t.Context(), all(s.source(lib.Source()), img), s.sink(&place), o)
			want := map[string]error{"nobody": fault.ErrMissing, "lies": fault.ErrDamaged}[what]
			if !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("%s, %s: %v, want %v", w.name, what, err, want)
			}
			if err != nil {
				wantEmpty(t, &place)
			}
		}
	}
}

type urls struct {
	transport.Source
	urls []string
}

func (s *urls) Blob(ctx context.Context, in transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	s.urls = append(s.urls, d.URLs...)
	return s.Source.Blob(ctx, in, d)
}

// A sink that must know an image is told its config before it is asked what it
// has.
func TestSinksThatPlan(t *testing.T) {
	lib := newLibrary(t)
	img := lib.name(team+"/app:1", lib.image(amd64, lib.layer("x")))
	note := lib.name(team+"/note:1", lib.attach(img.Root, "note"))
	multi := lib.name(team+"/multi:1", lib.index(lib.entry(amd64, "y")))
	held := lib.name(team+"/held:1", lib.entry(arm64, "z"))
	var place conformance.Memory
	s := &planning{spy: &spy{}}
	s.holds = func(i transport.Image) bool { return i.Root.Digest == held.Root.Digest }
	s.Sink = s.spy.sink(&place)
	place.Add(&conformance.Set{Content: lib.Content})
	_, err := transport.Copy(t.Context(), all(lib.Source(), img, note, multi, held), s, transport.Options{})
	must(t, err)
	m, err := transport.ParseManifest(img.Root.MediaType, lib.Content[img.Root.Digest])
	must(t, err)
	if len(s.told) != 1 || s.told[0] != string(lib.Content[img.Root.Digest])+string(lib.Content[m.Config.Digest]) {
		t.Errorf("told of %v", s.told)
	}
	if s.early > 0 {
		t.Errorf("asked what it has %d times before", s.early)
	}
}

type planning struct {
	transport.Sink
	*spy
	told  []string
	early int
}

func (s *planning) Plan(_ context.Context, _ transport.Image, manifest, config []byte) error {
	s.told = append(s.told, string(manifest)+string(config))
	s.early += len(s.of("has"))
	return nil
}
