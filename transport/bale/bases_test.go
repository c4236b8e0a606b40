package bale_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/bundle/index"
	"bale/bundle/pack"
	"bale/transport"
	"bale/transport/bale"
)

// noise is content that does not compress.
func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// changed is content with a byte changed every 5,000.
func changed(b []byte, by byte) []byte {
	b = bytes.Clone(b)
	for i := 2500; i < len(b); i += 5000 {
		b[i] += by
	}
	return b
}

// layerOf makes a tar of files.
func layerOf(t testing.TB, mtime int64, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		must(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name])), ModTime: time.Unix(mtime, 0)}))
		_, err := w.Write(files[name])
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

// version is a layer: most of it changes a little in each version, some does not.
func version(t testing.TB, n byte) []byte {
	t.Helper()
	return layerOf(t, 1, map[string][]byte{"lib/app": changed(noise(1, 400_000), n), "share/same": noise(2, 200_000), "share/lib": changed(noise(3, 100_000), n)})
}

func gzipped(t testing.TB, raw []byte, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, level)
	must(t, err)
	_, err = z.Write(raw)
	must(t, err)
	must(t, z.Close())
	return b.Bytes()
}

func zstandard(t testing.TB, raw []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	must(t, err)
	return z.EncodeAll(raw, nil)
}

// kept is a bundle that is there, and the layers in it.
type kept struct {
	*bundle.Reader
	layers [][]byte
	size   int
}

// keep writes a bundle of layers that builds on others.
func keep(t testing.TB, id byte, unpack bool, bases []*kept, layers ...[]byte) *kept {
	t.Helper()
	ctx := context.Background()
	f, err := os.Create(filepath.Join(t.TempDir(), "kept.bale"))
	must(t, err)
	t.Cleanup(func() { _ = f.Close() })
	o := bundle.WriterOptions{ID: [16]byte{id}, Created: time.Unix(1_800_000_000, 0), Creator: "test", ReadBack: f}
	for _, b := range bases {
		o.Bases = append(o.Bases, b.Reader)
	}
	w, err := bundle.NewWriter(ctx, f, o)
	must(t, err)
	defer w.Abort()
	add := func(data []byte, o bundle.BlobOptions) {
		must(t, w.AddBlob(ctx, digest.FromBytes(data), int64(len(data)), bytes.NewReader(data), o))
	}
	for _, l := range layers {
		add(l, bundle.BlobOptions{Unpack: unpack})
	}
	root := fmt.Appendf(nil, `{"bundle":%d}`, id)
	add(root, bundle.BlobOptions{Meta: true})
	must(t, w.AddImage(index.Image{Name: fmt.Sprintf("docker.io/library/x:%d", id), MediaType: "m", Digest: digest.FromBytes(root), Size: int64(len(root))}))
	_, err = w.Finish(ctx)
	must(t, err)
	must(t, w.Close())
	return &kept{reopened(t, f.Name()), layers, int(w.Size())}
}

// again opens the bundle once more, as another process would.
func (k *kept) again(t testing.TB) *kept {
	t.Helper()
	return &kept{reopened(t, k.path(t)), k.layers, k.size}
}

var paths sync.Map // by reader

func (k *kept) path(t testing.TB) string {
	p, ok := paths.Load(k.Reader)
	if !ok {
		t.Fatal("no path")
	}
	return p.(string)
}

func reopened(t testing.TB, path string) *bundle.Reader {
	t.Helper()
	f, err := bale.Open(context.Background(), path)
	must(t, err)
	t.Cleanup(func() { _ = f.Close() })
	r, err := f.TrustIndex(context.Background(), anybody{})
	must(t, err)
	paths.Store(r, path)
	return r
}

// blobs returns the digests of all layers.
func (k *kept) blobs() []digest.Digest {
	var out []digest.Digest
	for _, l := range k.layers {
		out = append(out, digest.FromBytes(l))
	}
	return out
}

// builtOn returns what the bundle builds on: other bundles, in their order.
func (k *kept) builtOn(t testing.TB, bundles ...*kept) *bale.Bases {
	t.Helper()
	b := bale.NewBases(t.TempDir())
	t.Cleanup(func() { _ = b.Close() })
	for i, o := range bundles {
		b.AddBundle(fmt.Sprintf("kept-%d.bale", i), o.Reader)
	}
	k.BuildOn(b)
	return b
}

// wantLayers fails the test unless every layer is rebuilt.
func (k *kept) wantLayers(t testing.TB) {
	t.Helper()
	for i, l := range k.layers {
		if err := k.sameLayer(context.Background(), l); err != nil {
			t.Errorf("layer %d: %v", i, err)
		}
	}
}

func (k *kept) sameLayer(ctx context.Context, l []byte) error {
	rc, err := k.OpenBlob(ctx, digest.FromBytes(l))
	if err != nil {
		return err
	}
	defer func() { _ = rc.Close() }()
	got, err := io.ReadAll(rc)
	if err == nil && !bytes.Equal(got, l) {
		err = errors.New("other bytes")
	}
	return err
}

// wantPatches fails the test unless a bundle has frames that build on others.
func (k *kept) wantPatches(t testing.TB) {
	t.Helper()
	for _, f := range k.Index().Frames {
		if f.Kind != pack.Plain {
			return
		}
	}
	t.Fatal("no frame builds on another")
}

// within fails the test if something takes for ever.
func within(t *testing.T, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	select {
	case <-done:
	case <-time.After(60 * time.Second):
		t.Fatal("it hangs")
	}
}

// chain is a bundle, an update of it, and so on.
func chain(t testing.TB, n int) []*kept {
	t.Helper()
	all := []*kept{keep(t, 1, false, nil, version(t, 1))}
	for i := 2; i <= n; i++ {
		last := all[len(all)-1].again(t)
		all = append(all, keep(t, byte(i), false, []*kept{last}, version(t, byte(i))))
	}
	return all
}

// Kept bundles may be updates of each other, and come in any order.
func TestBasesOfUpdates(t *testing.T) {
	all := chain(t, 4)
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {2, 0, 1}} {
		var bundles []*kept
		for _, i := range order {
			bundles = append(bundles, all[i].again(t))
		}
		up := all[3].again(t)
		b := up.builtOn(t, bundles...)
		must(t, b.Provide(t.Context(), up.Reader, up.blobs(), false, nil))
		up.wantLayers(t)
		for _, k := range bundles {
			k.wantLayers(t)
		}
	}
	// With a link missing it says so, before anything is read.
	up := all[3].again(t)
	b := up.builtOn(t, all[1].again(t), all[2].again(t))
	err := b.Provide(t.Context(), up.Reader, up.blobs(), false, nil)
	if !errors.Is(err, fault.ErrMissing) || !strings.Contains(err.Error(), "kept-1.bale") || !strings.Contains(err.Error(), "docker.io/library/x:3") || fault.Hint(err) == "" {
		t.Errorf("with a link missing: %v", err)
	}
	up = all[3].again(t)
	if err := up.builtOn(t).Provide(t.Context(), up.Reader, up.blobs(), false, nil); !errors.Is(err, fault.ErrMissing) || !strings.Contains(err.Error(), "no base was given") {
		t.Errorf("with nothing: %v", err)
	}
}

// Two bundles each of which has as a change what the other has as a change must
// not wait for each other, if a third one has either.
func TestBasesInACircle(t *testing.T) {
	one := keep(t, 1, false, nil, version(t, 1))
	forth := keep(t, 2, false, []*kept{one}, version(t, 2))
	full := keep(t, 3, false, nil, version(t, 2))
	back := keep(t, 4, false, []*kept{full}, version(t, 1)) // rolled back
	forth.wantPatches(t)
	back.wantPatches(t)
	up := keep(t, 5, false, []*kept{one, full}, version(t, 1), version(t, 2), version(t, 3))
	for _, order := range [][]*kept{{back, forth, one}, {forth, back, one}, {back, forth, full}, {forth, back, full}, {forth, one, back}, {one, full, back, forth}} {
		up := up.again(t)
		var bundles []*kept
		for _, k := range order {
			bundles = append(bundles, k.again(t))
		}
		within(t, func() {
			b := up.builtOn(t, bundles...)
			if err := b.Provide(t.Context(), up.Reader, up.blobs(), false, nil); err != nil {
				t.Error(err)
				return
			}
			var all sync.WaitGroup
			for _, l := range up.layers {
				all.Go(func() {
					if err := up.sameLayer(t.Context(), l); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		})
	}
	// Without a third one nothing can be had.
	within(t, func() {
		up := up.again(t)
		b := up.builtOn(t, back.again(t), forth.again(t))
		if err := b.Provide(t.Context(), up.Reader, up.blobs(), false, nil); !errors.Is(err, fault.ErrMissing) {
			t.Error(err)
		}
		if err := up.sameLayer(t.Context(), up.layers[0]); !errors.Is(err, fault.ErrMissing) {
			t.Error(err)
		}
	})
}

// Many kept bundles that all could give what none of them can must not be asked
// in every order there is.
func TestBasesInManyCircles(t *testing.T) {
	one, two := keep(t, 1, false, nil, version(t, 1)), keep(t, 2, false, nil, version(t, 2))
	var circle []*kept
	for i := range byte(8) {
		circle = append(circle, keep(t, 10+2*i, false, []*kept{one}, version(t, 2)), keep(t, 11+2*i, false, []*kept{two}, version(t, 1)))
	}
	up := keep(t, 5, false, []*kept{one, two}, version(t, 1), version(t, 2))
	within(t, func() {
		b := up.builtOn(t, circle...)
		if err := b.Provide(t.Context(), up.Reader, up.blobs(), false, nil); !errors.Is(err, fault.ErrMissing) {
			t.Error(err)
		}
		b.AddBundle("one.bale", one.again(t).Reader)
		must(t, b.Provide(t.Context(), up.Reader, up.blobs(), false, nil))
		up.wantLayers(t)
	})
}

// holding is a place that has layers.
type holding struct {
	has    map[digest.Digest][]byte // by what is looked for: blob or diff id
	as     digest.Digest            // what found blobs are called, if not by the digest of their content
	open   func(d digest.Digest) error
	asked  atomic.Int32
	opened atomic.Int32
}

func place(blobs ...[]byte) *holding {
	h := &holding{has: make(map[digest.Digest][]byte)}
	for _, b := range blobs {
		h.has[digest.FromBytes(b)] = b
	}
	return h
}

// unpackedAs adds a blob that is found by what it decompresses to.
func (h *holding) unpackedAs(blob, raw []byte) *holding {
	h.has[digest.FromBytes(raw)] = blob
	return h
}

func (h *holding) FindLayers(ctx context.Context, _ []transport.Name, want []transport.Layer) ([]transport.FoundLayer, error) {
	h.asked.Add(1)
	var out []transport.FoundLayer
	for i, l := range want {
		for _, d := range []digest.Digest{l.Digest, l.DiffID} {
			content, ok := h.has[d]
			if !ok {
				continue
			}
			is := digest.FromBytes(content)
			if h.as != "" {
				is = h.as
			}
			out = append(out, transport.FoundLayer{Index: i, Digest: is, Open: func(context.Context) (io.ReadCloser, error) {
				h.opened.Add(1)
				if h.open != nil {
					if err := h.open(d); err != nil {
						return nil, err
					}
				}
				return io.NopCloser(bytes.NewReader(content)), nil
			}})
			break
		}
	}
	return out, ctx.Err()
}

func (h *holding) at(name string) bale.Place { return bale.Place{Name: name, Holding: h} }

// Base content is taken from layers at a place, however they are compressed.
func TestBasesOfAPlace(t *testing.T) {
	raw := version(t, 1)
	gz, other, zst := gzipped(t, raw, 6), gzipped(t, raw, 9), zstandard(t, raw)
	// What an inventory of the far side says: a layer that decompresses to raw.
	listed := keep(t, 1, true, nil, gz)
	plain := keep(t, 1, false, nil, raw)
	for name, c := range map[string]struct {
		base  *kept
		place *holding
	}{
		"gzip":                        {listed, place(gz)},
		"gzip, compressed otherwise":  {listed, place().unpackedAs(other, raw)},
		"zstd":                        {listed, place().unpackedAs(zst, raw)},
		"unpacked":                    {listed, place(raw)},
		"raw in the base":             {plain, place(raw)},
		"raw in the base, zstd there": {plain, place().unpackedAs(zst, raw)},
	} {
		t.Run(name, func(t *testing.T) {
			up := keep(t, 2, false, []*kept{c.base}, version(t, 2), version(t, 3))
			b := up.builtOn(t)
			must(t, b.Provide(t.Context(), up.Reader, up.blobs(), false, []bale.Place{place().at("nowhere"), c.place.at("there")}))
			up.wantLayers(t)
			opened := c.place.opened.Load()
			must(t, b.Provide(t.Context(), up.Reader, up.blobs(), false, []bale.Place{c.place.at("there")}))
			if n := c.place.opened.Load(); n != opened {
				t.Errorf("opened %d times more, with all that is needed", n-opened)
			}
		})
	}
}

// A layer that a bundle holds as it came, though it is compressed, was cut
// as it is.
func TestBasesOfCompressedContent(t *testing.T) {
	for name, blob := range map[string][]byte{"gzip": gzipped(t, noise(5, 300_000), 6), "zstd": zstandard(t, version(t, 1))} {
		t.Run(name, func(t *testing.T) {
			base := keep(t, 1, false, nil, blob)
			up := keep(t, 2, false, []*kept{base}, blob, append(bytes.Clone(blob), "more"...))
			for _, raw := range []bool{false, true} {
				up := up.again(t)
				b := up.builtOn(t)
				must(t, b.Provide(t.Context(), up.Reader, up.blobs(), raw, []bale.Place{place(blob).at("there")}))
				if err := up.sameLayer(t.Context(), up.layers[1]); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// A blob that the place has as it is need not be rebuilt, nor its content fetched.
func TestBasesOfWholeBlobs(t *testing.T) {
	same, old := version(t, 1), layerOf(t, 1, map[string][]byte{"x": noise(9, 100_000)})
	base := keep(t, 1, false, nil, same, old)
	up := keep(t, 2, false, []*kept{base}, same, append(bytes.Clone(old), make([]byte, 512)...))
	b := up.builtOn(t)
	there := place(same, old)
	must(t, b.Provide(t.Context(), up.Reader, up.blobs(), false, []bale.Place{there.at("there")}))
	open, ok := b.Whole(digest.FromBytes(same))
	if !ok {
		t.Fatal("the place has it whole")
	}
	if _, ok := b.Whole(up.blobs()[1]); ok {
		t.Error("the place does not have the other one")
	}
	rc, err := open(t.Context())
	must(t, err)
	if got, err := io.ReadAll(rc); err != nil || !bytes.Equal(got, same) {
		t.Error(err)
	}
	if err := up.sameLayer(t.Context(), up.layers[1]); err != nil {
		t.Error(err)
	}
	if _, ok := (*bale.Bases)(nil).Whole("x"); ok {
		t.Error("nothing has a blob")
	}
}

// What a place says it has may be gone, other, or cut off: then it is not there,
// and that is said before anything is rebuilt.
func TestBasesOfAPlaceThatFails(t *testing.T) {
	raw := version(t, 1)
	gz := gzipped(t, raw, 6)
	base := keep(t, 1, true, nil, gz)
	errNet := errors.New("connection reset")
	for name, c := range map[string]struct {
		place *holding
		kind  error
	}{
		"not there":       {place(), fault.ErrMissing},
		"deleted":         {&holding{has: place(gz).has, open: func(digest.Digest) error { return fault.Missing("gone") }}, fault.ErrMissing},
		"network":         {&holding{has: place(gz).has, open: func(digest.Digest) error { return errNet }}, errNet},
		"other content":   {&holding{has: map[digest.Digest][]byte{digest.FromBytes(gz): gzipped(t, version(t, 9), 6)}}, fault.ErrMissing},
		"some of it":      {&holding{has: map[digest.Digest][]byte{digest.FromBytes(gz): gzipped(t, layerOf(t, 1, map[string][]byte{"share/same": noise(2, 200_000)}), 6)}}, fault.ErrMissing},
		"empty":           {&holding{has: map[digest.Digest][]byte{digest.FromBytes(gz): {}}}, fault.ErrMissing},
		"cut off":         {&holding{has: map[digest.Digest][]byte{digest.FromBytes(gz): gz[:len(gz)/2]}}, fault.ErrMissing},
		"damaged":         {&holding{has: map[digest.Digest][]byte{digest.FromBytes(gz): damaged(gz)}}, fault.ErrMissing},
		"not zstd at all": {&holding{has: map[digest.Digest][]byte{digest.FromBytes(gz): []byte("\x28\xb5\x2f\xfd, but no zstd")}}, fault.ErrMissing},
	} {
		t.Run(name, func(t *testing.T) {
			up := keep(t, 2, false, []*kept{base}, version(t, 2))
			b := up.builtOn(t)
			err := b.Provide(t.Context(), up.Reader, up.blobs(), false, []bale.Place{c.place.at("registry.example")})
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), "registry.example") {
				t.Fatalf("%v", err)
			}
			if c.kind == fault.ErrMissing && (!strings.Contains(err.Error(), "docker.io/library/x:1") || fault.Hint(err) == "") {
				t.Errorf("%v (%s)", err, fault.Hint(err))
			}
			// With the rest from elsewhere it goes on.
			must(t, b.Provide(t.Context(), up.Reader, up.blobs(), false, []bale.Place{place(gz).at("elsewhere")}))
			up.wantLayers(t)
		})
	}
}

func damaged(b []byte) []byte {
	b = bytes.Clone(b)
	copy(b[len(b)/3:], noise(77, 200))
	return b
}

// A kept update whose own base is only at the place will do.
func TestBasesOfKeptUpdateAndPlace(t *testing.T) {
	all := chain(t, 3)
	up, link := all[2].again(t), all[1].again(t)
	link.wantPatches(t)
	b := up.builtOn(t, link)
	must(t, b.Provide(t.Context(), up.Reader, up.blobs(), false, []bale.Place{place(all[0].layers...).at("there")}))
	up.wantLayers(t)
}

// All layers are read side by side, from whatever has their content.
func TestBasesSideBySide(t *testing.T) {
	all := chain(t, 3)
	var layers [][]byte
	for n := range byte(6) {
		layers = append(layers, version(t, n))
	}
	up := keep(t, 9, false, []*kept{all[0].again(t), all[2].again(t)}, layers...)
	b := up.builtOn(t, all[2].again(t), all[1].again(t))
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			if err := b.Provide(t.Context(), up.Reader, up.blobs(), true, []bale.Place{place(all[0].layers...).at("there")}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for range 3 {
		for _, l := range layers {
			group.Go(func() {
				if err := up.sameLayer(t.Context(), l); err != nil {
					t.Error(err)
				}
			})
		}
	}
	group.Wait()
}

func TestBasesCancelled(t *testing.T) {
	gz := gzipped(t, version(t, 1), 6)
	up := keep(t, 2, false, []*kept{keep(t, 1, true, nil, gz)}, version(t, 2))
	ctx, cancel := context.WithCancel(t.Context())
	h := place(gz)
	h.open = func(digest.Digest) error { cancel(); return nil }
	if err := up.builtOn(t).Provide(ctx, up.Reader, up.blobs(), false, []bale.Place{h.at("there")}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
