package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
)

func TestPlanCountsEachBlobOnce(t *testing.T) {
	lib := newLibrary(t)
	base, own, top := lib.layer("base"), lib.layer("own"), lib.layer("top")
	one := lib.name(team+"/one:1", lib.image(amd64, base, own))
	two := lib.name(team+"/two:1", lib.image(amd64, base, top, base)) // a layer may come twice
	both := lib.name(team+"/both:1", lib.index(lib.image(amd64, base, own), lib.image(arm64, base)))
	for _, has := range []bool{false, true} {
		var s spy
		s.has = func(d v1.Descriptor) bool { return has && d.Digest == base.Digest }
		var place conformance.Memory
		if has {
			place.Add(&conformance.Set{Content: map[digest.Digest][]byte{base.Digest: lib.Content[base.Digest]}})
		}
		plan, err := transport.Copy(t.Context(), all(s.source(lib.Source()), one, two, both), s.sink(&place), transport.Options{})
		must(t, err)

		g := lib.Graph(t, one, two, both)
		wantCopied := g.Blobs()
		var skipped int64
		if has {
			wantCopied = slices.DeleteFunc(wantCopied, func(d v1.Descriptor) bool { return d.Digest == base.Digest })
			skipped = 1
		}
		if got, want := sorted(s.of("blob")), sorted(digests(wantCopied)); !slices.Equal(got, want) {
			t.Errorf("has=%t: copied %v, want each once: %v", has, got, want)
		}
		if got := s.of("open"); len(got) != len(wantCopied) {
			t.Errorf("has=%t: %d blobs were opened, want %d", has, len(got), len(wantCopied))
		}
		// One's manifest is in the repository of the index as well.
		if got, want := sorted(s.of("manifest")), sorted(append(digests(g.Manifests), one.Root.Digest)); !slices.Equal(got, want) {
			t.Errorf("has=%t: asked for manifests %v, want %v", has, got, want)
		}
		if got, want := sorted(s.of("write manifest")), sorted(digests(g.Manifests)); !slices.Equal(got, want) {
			t.Errorf("has=%t: wrote manifests %v, want each once: %v", has, got, want)
		}
		copied, left := plan.Bytes()
		if copied != total(wantCopied) || left != skipped*base.Size {
			t.Errorf("has=%t: %d bytes to copy and %d not, want %d and %d", has, copied, left, total(wantCopied), skipped*base.Size)
		}
		if n, m := plan.Blobs(); n != len(wantCopied) || m != int(skipped) {
			t.Errorf("has=%t: %d blobs to copy and %d not, want %d and %d", has, n, m, len(wantCopied), skipped)
		}
		for i, img := range []transport.Image{one, both} {
			g := lib.Graph(t, img)
			want := total(g.Blobs()) + total(g.Manifests)
			if img.Name == both.Name {
				want += base.Size // both of its platforms have it
			}
			if p := plan.Images[2*i]; p.Size != want || p.Held || len(p.Platforms) > 0 || p.Target.Root.Digest != img.Root.Digest {
				t.Errorf("has=%t: planned %+v, want %d bytes", has, p, want)
			}
		}
		wantWhole(t, &place, &lib.Set, one, two, both)
	}
}

func total(list []v1.Descriptor) (n int64) {
	for _, d := range list {
		n += d.Size
	}
	return n
}

// The sink is told of all images that a blob or manifest belongs to, each once.
func TestSinkIsToldAllOwners(t *testing.T) {
	set := conformance.New(t, team)
	want := set.Graph(t, set.Images...)
	sink := &owners{Sink: (&conformance.Memory{}).Sink(), got: make(map[digest.Digest][]string)}
	_, err := transport.Copy(t.Context(), all(set.Source(), set.Images...), sink, transport.Options{})
	must(t, err)
	for d, images := range want.Owners {
		var names []string
		for _, img := range images {
			names = append(names, img.Name.String())
		}
		// Has and the write each tell them; manifests are not asked for.
		if got := sink.got[d]; !slices.Equal(got, names) && !slices.Equal(got, slices.Concat(names, names)) {
			t.Errorf("%s belongs to %v, want %v", d, got, names)
		}
	}
	if len(sink.got) != len(want.Owners) {
		t.Errorf("%d objects, want %d", len(sink.got), len(want.Owners))
	}
}

// owners notes which images the sink is told.
type owners struct {
	transport.Sink
	mu  sync.Mutex
	got map[digest.Digest][]string
}

func (s *owners) note(d v1.Descriptor, images []transport.Image) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, img := range images {
		s.got[d.Digest] = append(s.got[d.Digest], img.Name.String())
	}
}

func (s *owners) Has(ctx context.Context, d v1.Descriptor, images []transport.Image) (bool, error) {
	s.note(d, images)
	return s.Sink.Has(ctx, d, images)
}

func (s *owners) WriteBlob(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
	s.note(d, images)
	return s.Sink.WriteBlob(ctx, d, images, open)
}

func (s *owners) WriteManifest(ctx context.Context, d v1.Descriptor, images []transport.Image, content []byte) error {
	s.note(d, images)
	return s.Sink.WriteManifest(ctx, d, images, content)
}

// Of an image that the sink has, nothing is copied; it only gets its name.
func TestHeldImages(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			lib := newLibrary(t)
			base := lib.layer("base")
			held := lib.name(team+"/held:1", lib.image(amd64, base, lib.layer("held")))
			fresh := lib.name(team+"/fresh:1", lib.image(amd64, base, lib.layer("fresh")))
			again := lib.name(team+"/again:1", held.Root)
			var place conformance.Memory
			place.Add(&conformance.Set{Content: maps.Clone(lib.Content)})
			s := newSpy(w)
			s.holds = func(img transport.Image) bool { return img.Root.Digest == held.Root.Digest }
			s.has = func(v1.Descriptor) bool { return false }
			plan, err := transport.Copy(t.Context(), all(s.source(lib.Source()), held, fresh, again), s.sink(&place), transport.Options{})
			must(t, err)
			for i, want := range []bool{true, false, true} {
				if plan.Images[i].Held != want {
					t.Errorf("image %d: held is %t", i, plan.Images[i].Held)
				}
			}
			g := lib.Graph(t, fresh)
			for op, want := range map[string][]v1.Descriptor{"has": g.Blobs(), "blob": g.Blobs(), "open": g.Blobs(), "write manifest": g.Manifests} {
				if got := slices.Compact(sorted(s.of(op))); !slices.Equal(got, sorted(digests(want))) {
					t.Errorf("%s: %v, want those of the image that is not there: %v", op, got, digests(want))
				}
			}
			if len(s.committed) != 3 {
				t.Errorf("committed %v, want all three", s.committed)
			}
			// The held image shares its base and config with the other.
			if n, m := plan.Blobs(); n != 3 || m != 1 {
				t.Errorf("%d blobs to copy and %d not, want 3 and 1", n, m)
			}
		})
	}
}

func TestTwoImagesCannotGetOneName(t *testing.T) {
	lib := newLibrary(t)
	one := lib.name(team+"/one:1", lib.image(amd64, lib.layer("one")))
	two := lib.name(team+"/two:1", lib.image(amd64, lib.layer("two")))
	same := lib.name(team+"/same:1", one.Root)
	target := func(s string) transport.Name { return name(t, s) }
	for _, c := range []struct {
		name         string
		a, b         transport.Image
		nameA, nameB transport.Name
		want         int // names that are committed, 0: refused
	}{
		{"different images", one, two, target("host.example/x:1"), target("host.example/x:1"), 0},
		{"different images, one pinned", one, two, target("host.example/x:1"), target("host.example/x:1@" + two.Root.Digest.String()), 0},
		{"one image twice", one, same, target("host.example/x:1"), target("host.example/x:1"), 1},
		{"other tags", one, two, target("host.example/x:1"), target("host.example/x:2"), 2},
		{"other hosts", one, two, target("host.example/x:1"), target("other.example/x:1"), 2},
		{"by digest only", one, two, target("host.example/x@" + one.Root.Digest.String()), target("host.example/x@" + two.Root.Digest.String()), 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s spy
			var place conformance.Memory
			src := s.source(lib.Source())
			_, err := transport.Copy(t.Context(), []transport.Request{{Source: src, Image: c.a, Target: c.nameA}, {Source: src, Image: c.b, Target: c.nameB}}, s.sink(&place), transport.Options{})
			if c.want == 0 {
				if !errors.Is(err, fault.ErrUsage) || fault.Hint(err) == "" {
					t.Errorf("%v (hint %q), want a usage error", err, fault.Hint(err))
				}
				if len(s.calls) > 0 {
					t.Errorf("%d calls before it was refused", len(s.calls))
				}
				return
			}
			must(t, err)
			if len(s.committed) != c.want {
				t.Errorf("%d names were committed, want %d", len(s.committed), c.want)
			}
		})
	}
}

// An artifact may have as a layer what is another image's manifest. It is
// needed as both, in whichever order they come.
func TestManifestThatIsALayerToo(t *testing.T) {
	for _, w := range ways {
		lib := newLibrary(t)
		img := lib.name(team+"/app:1", lib.image(amd64, lib.layer("x")))
		note := lib.name(team+"/note:1", lib.image(amd64, img.Root))
		for _, images := range [][]transport.Image{{img, note}, {note, img}, {note}} {
			s := newSpy(w)
			var place conformance.Memory
			_, err := transport.Copy(t.Context(), all(s.source(lib.Source()), images...), s.sink(&place), transport.Options{})
			must(t, err)
			if !slices.Contains(s.of("blob"), img.Root.Digest) {
				t.Errorf("%s: the manifest was not written as a blob", w.name)
			}
			if got, want := slices.Contains(s.of("write manifest"), img.Root.Digest), len(images) == 2; got != want {
				t.Errorf("%s: written as a manifest: %t, want %t", w.name, got, want)
			}
			wantWhole(t, &place, &lib.Set, images...)
		}
	}
}

// A manifest may be in one repository of a source and not in another, although
// both name it.
func TestManifestIsAskedForInEachRepository(t *testing.T) {
	lib := newLibrary(t)
	root := lib.image(amd64, lib.layer("x"))
	one, two := lib.name(team+"/one:1", root), lib.name(team+"/two:1", root)
	tagged := lib.name(team+"/one:2", root)
	src := &lacking{Source: lib.Source(), repository: two.Name.Repository(), digest: root.Digest}
	var place conformance.Memory
	_, err := transport.Copy(t.Context(), all(src, one, tagged, two), place.Sink(), transport.Options{})
	wantEmpty(t, &place)
	var side *transport.Error
	if !errors.Is(err, fault.ErrMissing) || !errors.As(err, &side) || side.Object != two.Name.String() {
		t.Errorf("%v, want %s to be missing", err, two.Name)
	}
	whole := &lacking{Source: lib.Source()}
	_, err = transport.Copy(t.Context(), all(whole, one, tagged, two), place.Sink(), transport.Options{})
	must(t, err)
	if whole.asked != 2 {
		t.Errorf("asked %d times for the manifest of 2 repositories", whole.asked)
	}
}

// lacking is a source that lacks something in one repository.
type lacking struct {
	transport.Source
	repository string
	digest     digest.Digest
	mu         sync.Mutex
	asked      int
}

func (s *lacking) Manifest(ctx context.Context, in transport.Image, d v1.Descriptor) ([]byte, error) {
	s.mu.Lock()
	s.asked++
	s.mu.Unlock()
	if d.Digest == s.digest && in.Name.Repository() == s.repository {
		return nil, fault.Missing("no %s", d.Digest)
	}
	return s.Source.Manifest(ctx, in, d)
}

// Many names of one large image must not fill the memory. What is left out
// takes more than what is not.
func TestMembershipsAreBounded(t *testing.T) {
	lib := newLibrary(t)
	var layers, foreign []v1.Descriptor
	for i := range 5000 {
		d := lib.layer(fmt.Sprint(i))
		layers = append(layers, d)
		d.MediaType, d.URLs = ociForeign, []string{"https://publisher.example/layer"}
		foreign = append(foreign, d)
	}
	copied, left := lib.image(amd64, layers...), lib.image(amd64, foreign...)
	src := lib.Source()
	var requests []transport.Request
	for i, root := range slices.Concat(slices.Repeat([]v1.Descriptor{left}, 52), slices.Repeat([]v1.Descriptor{copied}, 40)) {
		img := transport.Image{Name: transport.Name{Domain: "host.example", Path: "app", Tag: fmt.Sprint("t", i)}, Root: root}
		requests = append(requests, transport.Request{Source: src, Image: img, Target: img.Name})
	}
	_, err := transport.Copy(t.Context(), requests[:52+20], discard{&spy{}}, transport.Options{})
	must(t, err)
	_, err = transport.Copy(t.Context(), requests, discard{&spy{}}, transport.Options{})
	if !errors.Is(err, fault.ErrUnsupported) || fault.Hint(err) == "" {
		t.Errorf("%v (hint %q), want an ErrUnsupported", err, fault.Hint(err))
	}
}

// Sizes of many large layers can be added up.
func TestSizesDoNotRunOver(t *testing.T) {
	lib := newLibrary(t)
	var layers []v1.Descriptor
	for i := range 1000 {
		layers = append(layers, sized(lib.layer(fmt.Sprint(i)), transport.MaxBlob))
	}
	img := lib.name(team+"/app:1", lib.image(amd64, layers...))
	var plan *transport.Plan
	_, err := transport.Copy(t.Context(), all(lib.Source(), img), discard{&spy{}}, transport.Options{
		Planned: func(p *transport.Plan) error { plan = p; return io.ErrNoProgress },
	})
	if !errors.Is(err, io.ErrNoProgress) {
		t.Fatal(err)
	}
	if n, _ := plan.Bytes(); n < 1000*transport.MaxBlob || plan.Images[0].Size < n {
		t.Errorf("%d bytes in all, %d in the image", n, plan.Images[0].Size)
	}
}
