package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

// shelf is a source of a library's content that remembers what was asked, and
// fails with errors for some of it.
type shelf struct {
	transport.Source
	lib *library
	err map[digest.Digest]error

	mu        sync.Mutex
	manifests []digest.Digest
	blobs     []digest.Digest
	stats     []v1.Descriptor
}

func newShelf(lib *library) *shelf {
	return &shelf{Source: lib.Source(), lib: lib, err: map[digest.Digest]error{}}
}

func (s *shelf) Manifest(ctx context.Context, in transport.Image, d v1.Descriptor) ([]byte, error) {
	s.mu.Lock()
	s.manifests = append(s.manifests, d.Digest)
	s.mu.Unlock()
	if err := s.err[d.Digest]; err != nil {
		return nil, err
	}
	return s.Source.Manifest(ctx, in, d)
}

func (s *shelf) Blob(ctx context.Context, in transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	s.mu.Lock()
	s.blobs = append(s.blobs, d.Digest)
	s.mu.Unlock()
	if err := s.err[d.Digest]; err != nil {
		return nil, err
	}
	return s.Source.Blob(ctx, in, d)
}

func (s *shelf) stat(_ context.Context, _ transport.Image, d v1.Descriptor) (int64, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats = append(s.stats, d)
	if err := s.err[d.Digest]; err != nil && !errors.Is(err, fault.ErrMissing) {
		return 0, false, err
	}
	c, ok := s.lib.Content[d.Digest]
	return int64(len(c)), ok && s.err[d.Digest] == nil, nil
}

// indices returns which layers were found.
func indices(found []transport.FoundLayer) []int {
	var out []int
	for _, f := range found {
		out = append(out, f.Index)
	}
	return out
}

// unpacking makes an image whose config says what its layers unpack to.
func (l *library) unpacking(diffIDs []digest.Digest, layers ...v1.Descriptor) v1.Descriptor {
	l.Helper()
	c := v1.Image{Platform: amd64, RootFS: v1.RootFS{Type: "layers", DiffIDs: diffIDs}}
	return l.json(v1.MediaTypeImageManifest, v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		Config: l.json(v1.MediaTypeImageConfig, c), Layers: layers,
	})
}

// What is wrong with some images of an index hides nothing in the others.
func TestFinderPassesOverOddImages(t *testing.T) {
	lib := newLibrary(t)
	a, b, c := lib.layer("a"), lib.layer("b"), lib.layer("c")
	ua, ub, uc := digest.FromString("raw a"), digest.FromString("raw b"), digest.FromString("raw c")
	want := []transport.Layer{{DiffID: ua}, {DiffID: ub}, {DiffID: uc}}

	missing, damaged := lib.unpacking([]digest.Digest{ua}, a), lib.unpacking([]digest.Digest{ub}, b)
	lib.Content[damaged.Digest] = []byte(strings.Repeat("x", int(damaged.Size)))
	noConfig := lib.unpacking([]digest.Digest{ua, ub}, a, b)
	less := lib.unpacking([]digest.Digest{ub}, a, b)
	more := lib.unpacking([]digest.Digest{uc, ub}, a)
	artifact := lib.json(v1.MediaTypeImageManifest, v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, ArtifactType: "application/x",
		Config: lib.blob(v1.MediaTypeEmptyJSON, []byte(`{"rootfs":{"diff_ids":["`+ua.String()+`"]}}`)), Layers: []v1.Descriptor{b},
	})
	unknown := lib.blob("application/x", []byte("{}"))
	huge := lib.json(v1.MediaTypeImageManifest, v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		Config: v1.Descriptor{MediaType: v1.MediaTypeImageConfig, Digest: digest.FromString("huge"), Size: 1 << 30}, Layers: []v1.Descriptor{a},
	})
	good := lib.unpacking([]digest.Digest{uc, ub}, c, b)
	img := lib.name(team+"/app:1", lib.index(missing, damaged, noConfig, less, more, artifact, unknown, huge, lib.index(good)))

	s := newShelf(lib)
	s.err[missing.Digest] = fault.Missing("no manifest")
	var m v1.Manifest
	lib.parse(noConfig, &m)
	s.err[m.Config.Digest] = fault.Missing("no config")
	f := transport.NewFinder(s, want, s.stat)
	must(t, f.Look(t.Context(), img))
	found := f.Found()
	if got := indices(found); !slices.Equal(got, []int{1, 2}) {
		t.Fatalf("found %v, want 1 and 2", got)
	}
	if found[0].Digest != b.Digest || found[1].Digest != c.Digest {
		t.Errorf("found as %s and %s", found[0].Digest, found[1].Digest)
	}
	if f.Done() {
		t.Error("done, with one left")
	}
	for _, d := range s.blobs {
		if d == a.Digest || d == b.Digest || d == c.Digest || d == digest.FromString("huge") {
			t.Errorf("blob %s was opened", d)
		}
	}
}

func (l *library) parse(d v1.Descriptor, m *v1.Manifest) {
	l.Helper()
	must(l.T, json.Unmarshal(l.Content[d.Digest], m))
}

// A place that cannot be asked is an error at every step.
func TestFinderFails(t *testing.T) {
	lib := newLibrary(t)
	layer, raw := lib.layer("packed"), digest.FromString("raw")
	root := lib.unpacking([]digest.Digest{raw}, layer)
	img := lib.name(team+"/app:1", lib.index(root))
	var m v1.Manifest
	lib.parse(root, &m)
	want := []transport.Layer{{Digest: digest.FromString("another"), Size: 7, DiffID: raw}}
	for name, d := range map[string]digest.Digest{
		"index": img.Root.Digest, "manifest": root.Digest, "config": m.Config.Digest, "stat": layer.Digest,
	} {
		s := newShelf(lib)
		s.err[d] = errBoom
		f := transport.NewFinder(s, want, s.stat)
		if err := f.Look(t.Context(), img); !errors.Is(err, errBoom) || len(f.Found()) != 0 {
			t.Errorf("%s: %v, found %v", name, err, f.Found())
		}
	}
	s := newShelf(lib)
	s.err[want[0].Digest] = errBoom
	if err := transport.NewFinder(s, want, s.stat).Ask(t.Context(), img); !errors.Is(err, errBoom) {
		t.Errorf("ask: %v", err)
	}

	// A layer that the manifest names and the place does not have is not found.
	s = newShelf(lib)
	s.err[layer.Digest] = fault.Missing("no blob")
	f := transport.NewFinder(s, want, s.stat)
	if err := f.Look(t.Context(), img); err != nil || len(f.Found()) != 0 {
		t.Errorf("layer that is not there: %v, %v", f.Found(), err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f = transport.NewFinder(newShelf(lib), want, s.stat)
	if err := f.Look(ctx, img); err != context.Canceled {
		t.Errorf("Look: %v", err)
	}
	if err := f.Ask(ctx, img); err != context.Canceled {
		t.Errorf("Ask: %v", err)
	}
}

// What is asked for is asked once, by what is known of it.
func TestFinderAsks(t *testing.T) {
	lib := newLibrary(t)
	packed, raw := lib.layer("packed"), lib.layer("raw")
	no := digest.FromString("no")
	want := []transport.Layer{
		{Digest: packed.Digest, Size: packed.Size, DiffID: no},
		{Digest: digest.FromString("raw, compressed"), Size: 9, DiffID: raw.Digest},
		{Digest: raw.Digest, Size: raw.Size, DiffID: raw.Digest},
		{Digest: "sha256:../../etc", Size: 3, DiffID: "md5:00"},
		{Digest: no, Size: 2},
	}
	s := newShelf(lib)
	f := transport.NewFinder(s, want, s.stat)
	must(t, f.Ask(t.Context(), transport.Image{}))
	if got := indices(f.Found()); !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("found %v", got)
	}
	sizes := map[digest.Digest]int64{}
	for _, d := range s.stats {
		if _, ok := sizes[d.Digest]; ok {
			t.Errorf("%s was asked for again", d.Digest)
		}
		sizes[d.Digest] = d.Size
	}
	if sizes[packed.Digest] != packed.Size || sizes[raw.Digest] != raw.Size || sizes[no] != 2 || sizes["sha256:../../etc"] != 0 {
		t.Errorf("asked for %v", sizes)
	}
	n := len(s.stats)
	must(t, f.Ask(t.Context(), transport.Image{}))
	for _, d := range s.stats[n:] {
		if d.Digest == packed.Digest || d.Digest == raw.Digest {
			t.Errorf("%s was asked for although it is found", d.Digest)
		}
	}
	s = newShelf(lib)
	f = transport.NewFinder(s, []transport.Layer{{DiffID: raw.Digest}}, s.stat)
	must(t, f.Ask(t.Context(), transport.Image{}))
	if !f.Done() || len(s.stats) != 1 || s.stats[0].Size >= 0 {
		t.Errorf("asked for %v", s.stats)
	}
	_, err := f.Found()[0].Open(t.Context())
	must(t, err)
	s.err[raw.Digest] = fault.WithHint(fault.Missing("no such blob"), "push it again")
	_, err = f.Found()[0].Open(t.Context())
	if !errors.Is(err, fault.ErrMissing) || !strings.Contains(err.Error(), raw.Digest.String()) || !strings.Contains(fault.Hint(err), "--base") {
		t.Errorf("%v (hint %q)", err, fault.Hint(err))
	}
}

// However much there is, a search ends.
func TestFinderIsBounded(t *testing.T) {
	lib := newLibrary(t)
	layer, raw := lib.layer("packed"), digest.FromString("raw")
	last := lib.unpacking([]digest.Digest{raw}, layer)
	want := []transport.Layer{{DiffID: raw}}

	deep := last
	for range transport.MaxDepth + 1 {
		deep = lib.index(deep)
	}
	s := newShelf(lib)
	f := transport.NewFinder(s, want, s.stat)
	must(t, f.Look(t.Context(), lib.name(team+"/deep:1", deep)))
	if f.Done() || len(s.manifests) != transport.MaxDepth+1 {
		t.Errorf("looked at %d manifests", len(s.manifests))
	}

	var children []v1.Descriptor
	for i := range transport.MaxLooks {
		children = append(children, lib.index(lib.blob("application/x", fmt.Append(nil, i))))
	}
	s = newShelf(lib)
	f = transport.NewFinder(s, want, s.stat)
	must(t, f.Look(t.Context(), lib.name(team+"/wide:1", lib.index(append(children, last)...))))
	if n := len(s.manifests); f.Done() || n > transport.MaxLooks {
		t.Errorf("looked at %d manifests", n)
	}

	var many []transport.Layer
	for i := range transport.MaxAsks {
		many = append(many, transport.Layer{Digest: digest.FromString(fmt.Sprint(i)), DiffID: digest.FromString(fmt.Sprint("raw", i))})
	}
	s = newShelf(lib)
	f = transport.NewFinder(s, many, s.stat)
	must(t, f.Ask(t.Context(), transport.Image{}))
	must(t, f.Ask(t.Context(), transport.Image{}))
	if len(s.stats) != transport.MaxAsks {
		t.Errorf("asked %d times", len(s.stats))
	}
}
