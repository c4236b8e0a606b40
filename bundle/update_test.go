package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
	"bale/bundle/index"
	"bale/bundle/pack"
)

// release is what an image holds: files by their names.
type release map[string][]byte

// tar returns the release as a layer; the time stamp is in every header.
func (r release) tar(t testing.TB, mtime int64) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(r)) {
		h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(r[name])), ModTime: time.Unix(mtime, 0)}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(r[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// program is like what a compiler makes: opcodes, and absolute addresses of
// what stands elsewhere in it. With insert > 0 so many bytes were put in at a
// third, and all that refers to what is behind has moved.
func program(seed byte, words, insert int) []byte {
	rng := rand.New(rand.NewChaCha8([32]byte{seed}))
	var b []byte
	for i := range words {
		if i == words/3 {
			b = append(b, noise(seed+100, insert)...)
		}
		op, target := rng.Uint32N(64), rng.Uint32N(uint32(8*words))
		if int(target) >= 8*words/3 {
			target += uint32(insert)
		}
		b = binary.LittleEndian.AppendUint32(b, op*0x01010101)
		b = binary.LittleEndian.AppendUint32(b, 0x400000+target)
	}
	return b
}

// edited returns content with a byte changed every so many, so that no chunk
// stays as it was.
func edited(b []byte, every int) []byte {
	b = bytes.Clone(b)
	for i := every / 2; i < len(b); i += every {
		b[i]++
	}
	return b
}

// world is an image in its releases: each changes something of everything.
// What is large in it is 6 MiB, and 18 MiB, more than fits into a dictionary.
func world(n int) release {
	huge, large, config := noise(1, 18<<20), noise(2, 6<<20), text(200_000)
	for i := range n {
		huge, large = edited(huge, 50_000+i), edited(large, 20_000+i)
		at := 50_000 * (i + 1) % len(config)
		config = slices.Insert(bytes.Clone(config), at, fmt.Appendf(nil, "a line of release %d\n", i)...)
	}
	r := release{
		"etc/app.conf":                           config,
		"usr/lib/huge.db":                        huge,
		"usr/lib/large.db":                       large,
		"usr/share/same":                         noise(3, 300_000),
		fmt.Sprintf("usr/lib/libx.so.1.2.%d", n): program(4, 60_000, 100*n),
		fmt.Sprintf("opt/v%d/bin/tool", n):       program(5, 30_000, 36*n),
		"usr/share/data.gz":                      append([]byte("\x1f\x8b\x08"), noise(byte(50+n), 60_000)...),
		fmt.Sprintf("new/in/%d", n):              noise(byte(60+n), 20_000),
	}
	for i := range 200 {
		r[fmt.Sprintf("etc/small/%d", i)] = fmt.Appendf(nil, "value %d of release %d\n", i, n*(i%3))
	}
	return r
}

// small is a world without what is large.
func small(n int) release {
	r := world(n)
	delete(r, "usr/lib/huge.db")
	delete(r, "usr/lib/large.db")
	return r
}

// medium is a file that a bundle is written to, and read back from.
type medium struct {
	mu sync.Mutex
	b  []byte
}

func (m *medium) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.b = append(m.b, p...)
	return len(p), nil
}

func (m *medium) ReadAt(p []byte, off int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if off >= int64(len(m.b)) {
		return 0, io.EOF
	}
	n := copy(p, m.b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// item is a blob on its way into a bundle.
type item struct {
	data []byte
	BlobOptions
	adopt bool // without content, from a base
}

// layers returns layers, and a manifest that is the root of an image.
func layers(data ...[]byte) []item {
	var out []item
	h := digest.Canonical.Digester()
	for _, d := range data {
		out = append(out, item{data: d})
		_, _ = h.Hash().Write(d)
	}
	return append(out, meta(fmt.Sprintf(`{"layers":%q}`, h.Digest())))
}

func meta(s string) item { return item{data: []byte(s), BlobOptions: BlobOptions{Meta: true}} }

// write writes a bundle whose last item is an image.
func write(ctx context.Context, m io.Writer, o WriterOptions, items []item) error {
	w, err := NewWriter(ctx, m, o)
	if err != nil {
		return err
	}
	defer w.Abort()
	for _, i := range items {
		d := digest.FromBytes(i.data)
		if i.adopt {
			if !Adoptable(o.Bases, d, int64(len(i.data))) {
				return fmt.Errorf("blob %s cannot be adopted", d)
			}
			err = w.Adopt(d)
		} else {
			err = w.AddBlob(ctx, d, int64(len(i.data)), bytes.NewReader(i.data), i.BlobOptions)
		}
		if err != nil {
			return err
		}
	}
	root := items[len(items)-1].data
	if err := w.AddImage(index.Image{Name: "docker.io/library/x:1", MediaType: "m", Digest: digest.FromBytes(root), Size: int64(len(root))}); err != nil {
		return err
	}
	if _, err := w.Finish(ctx); err != nil {
		return err
	}
	return w.Close()
}

// as returns options for a bundle that goes by a number.
func as(id byte, bases ...*Reader) WriterOptions {
	o := fixed()
	o.ID, o.Bases = [16]byte{id}, bases
	return o
}

// made is a bundle with what went into it.
type made struct {
	*Reader
	file  []byte
	size  int
	items []item
}

// save writes a bundle, which is compared with what was written before, and opens it.
func save(t testing.TB, o WriterOptions, items ...item) *made {
	t.Helper()
	m := &medium{}
	if !o.Inventory {
		o.ReadBack = m
	}
	if err := write(t.Context(), m, o, items); err != nil {
		t.Fatal(err)
	}
	return &made{openIndex(t, m.b), m.b, len(m.b), items}
}

func openIndex(t testing.TB, b []byte) *Reader {
	t.Helper()
	r, err := tryIndex(b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func tryIndex(b []byte) (*Reader, error) {
	ctx := context.Background()
	e, err := Scan(ctx, bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	return OpenIndex(ctx, e, trustAll{})
}

// again opens the bundle once more: with nothing to build on, and nothing in memory.
func (m *made) again(t testing.TB) *made {
	t.Helper()
	out := *m
	out.Reader = openIndex(t, m.file)
	return &out
}

// metas returns the manifests and configs of a bundle.
func (m *made) metas() []digest.Digest {
	var out []digest.Digest
	for _, i := range m.items {
		if i.Meta {
			out = append(out, digest.FromBytes(i.data))
		}
	}
	return out
}

// receipt returns the bundle's receipt, and its size.
func (m *made) receipt(t testing.TB) (*Reader, int) {
	t.Helper()
	var b bytes.Buffer
	if err := m.WriteReceipt(t.Context(), &b, m.metas()); err != nil {
		t.Fatal(err)
	}
	return openIndex(t, b.Bytes()), b.Len()
}

// on makes the bundle build on others, and returns it.
func (m *made) on(bases ...*made) *made {
	var all stack
	for _, b := range bases {
		all = append(all, b.Reader)
	}
	m.BuildOn(all)
	return m
}

// stack is content of several bundles.
type stack []Content

func (s stack) Has(h index.Hash) bool {
	return slices.ContainsFunc(s, func(c Content) bool { return c.Has(h) })
}

func (s stack) Chunk(ctx context.Context, h index.Hash, n int64) ([]byte, error) {
	for _, c := range s {
		if c.Has(h) {
			return c.Chunk(ctx, h, n)
		}
	}
	return nil, fault.Missing("no bundle has the chunk")
}

// wantWhole fails the test unless every blob is rebuilt.
func (m *made) wantWhole(t testing.TB) {
	t.Helper()
	for n, i := range m.items {
		d := digest.FromBytes(i.data)
		if !m.Carries(d) {
			t.Errorf("blob %d is said not to be at hand", n)
		}
		if got, err := readBlob(m.Reader, d); err != nil || !bytes.Equal(got, i.data) {
			t.Errorf("blob %d: %d bytes of %d, %v", n, len(got), len(i.data), err)
		}
	}
	if left, err := m.Rebuild(t.Context(), nil); left != 0 || err != nil {
		t.Errorf("rebuild leaves %d: %v", left, err)
	}
}

func readBlob(r *Reader, d digest.Digest) ([]byte, error) {
	rc, err := r.OpenBlob(context.Background(), d)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rc.Close() }()
	return io.ReadAll(rc)
}

// wantFlat fails the test if a frame builds on one that builds on something.
func (m *made) wantFlat(t testing.TB) {
	t.Helper()
	for i, f := range m.index.Frames {
		if (len(f.Dictionary) > 0) != (f.Kind != pack.Plain) {
			t.Errorf("frame %d of kind %d has a dictionary of %d runs", i, f.Kind, len(f.Dictionary))
		}
		for w := (walk{runs: f.Dictionary}); ; {
			c, ok := w.next()
			if !ok {
				break
			}
			if on, own := m.index.Frame(c); own && m.index.Frames[on].Kind != pack.Plain {
				t.Fatalf("frame %d builds on frame %d, which builds on others", i, on)
			}
		}
	}
}

// kinds counts frames by kind.
func (m *made) kinds() map[pack.Kind]int {
	out := make(map[pack.Kind]int)
	for _, f := range m.index.Frames {
		out[f.Kind]++
	}
	return out
}

// An update carries only what changed, and only how.
func TestUpdate(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	one := save(t, as(1), layers(world(1).tar(t, 1))...)
	one.wantWhole(t)
	two := layers(world(2).tar(t, 2))
	full := save(t, as(2), two...)

	up := save(t, as(2, one.Reader), two...)
	up.on(one).wantWhole(t)
	up.wantFlat(t)
	if n := up.kinds(); n[pack.Patch] == 0 {
		t.Errorf("frames by kind: %v", n)
	}
	// 80,000 bytes are new and do not compress.
	if limit := 200_000; up.size > limit {
		t.Errorf("the update has %d bytes of %d, want at most %d", up.size, full.size, limit)
	}
	if h := up.Header(); !slices.Equal(h.Bases, []string{one.Header().ID}) {
		t.Errorf("it builds on %v", h.Bases)
	}
	base := up.Index().Bases[0]
	if base.ID != [16]byte{1} || !slices.Equal(base.Images, []string{"docker.io/library/x:1"}) || len(base.Blobs) != 1 ||
		base.Blobs[0].Digest != digest.FromBytes(one.items[0].data) || base.Blobs[0].Raw != index.Hash(sha(one.items[0].data)) {
		t.Errorf("base %+v", base)
	}

	// Of a receipt only hashes are known: changed files come whole.
	receipt, size := one.receipt(t)
	if size > one.size/50 {
		t.Errorf("a receipt of %d bytes for a bundle of %d", size, one.size)
	}
	up = save(t, as(2, receipt), two...)
	up.on(one).wantWhole(t)
	if up.size >= full.size-300_000 {
		t.Errorf("the update on a receipt has %d bytes of %d", up.size, full.size)
	}
}

func sha(b []byte) []byte { h := sha256.Sum256(b); return h[:] }

// A bundle of several releases costs little more than one.
func TestReleasesInOneBundle(t *testing.T) {
	var tars [][]byte
	for n := range 5 {
		tars = append(tars, small(n).tar(t, int64(n)))
	}
	one, five := save(t, as(1), layers(tars[0])...), save(t, as(1), layers(tars...)...)
	five.wantWhole(t)
	five.wantFlat(t)
	// 80,000 new bytes each, which do not compress.
	if limit := one.size + 4*120_000; five.size > limit {
		t.Errorf("five releases have %d bytes, one %d, want at most %d", five.size, one.size, limit)
	}
	if five.kinds()[pack.Patch] == 0 {
		t.Errorf("frames by kind: %v", five.kinds())
	}
	if n := five.index.Chunks.Len(); n != five.index.Chunks.Own() {
		t.Errorf("%d chunks, %d of them its own", n, five.index.Chunks.Own())
	}
}

// What is written depends on nothing but the input, whoever is fast.
func TestUpdateSameBytes(t *testing.T) {
	one := save(t, as(1), layers(small(1).tar(t, 1))...)
	items := layers(small(2).tar(t, 2), small(3).tar(t, 3), small(5).tar(t, 4))
	var want []byte
	for _, l := range []pack.Level{pack.Default, pack.Best} {
		want = nil
		for _, workers := range []int{1, 4, 2, 4} {
			m := &medium{}
			o := as(2, one.Reader)
			o.Level, o.Workers, o.ReadBack = l, workers, m
			if err := write(t.Context(), m, o, items); err != nil {
				t.Fatal(err)
			}
			if want == nil {
				want = m.b
			} else if !bytes.Equal(want, m.b) {
				t.Errorf("level %s, %d workers: other bytes", l, workers)
			}
		}
	}
}

// Any link of a chain of updates may be built on, in whatever form it is at hand.
func TestUpdateOfUpdate(t *testing.T) {
	one := save(t, as(1), layers(small(1).tar(t, 1))...)
	two := save(t, as(2, one.Reader), layers(small(2).tar(t, 2))...)
	two.on(one)
	three := layers(small(3).tar(t, 3))
	full := save(t, as(3), three...)
	receipt1, _ := one.receipt(t)
	receipt2, _ := two.receipt(t)
	// As a writer has it: nobody has said what it builds on.
	alone := func(m *made) *Reader { return m.again(t).Reader }
	for name, c := range map[string]struct {
		bases []*Reader
		limit int // per cent of the full bundle
	}{
		"both bundles":             {[]*Reader{one.Reader, alone(two)}, 35},
		"both bundles, swapped":    {[]*Reader{alone(two), one.Reader}, 35},
		"the update":               {[]*Reader{alone(two)}, 80},
		"the update, with its own": {[]*Reader{two.Reader}, 35},
		"its receipt":              {[]*Reader{receipt2}, 80},
		"both receipts":            {[]*Reader{receipt1, receipt2}, 80},
		"bundle and receipt":       {[]*Reader{one.Reader, receipt2}, 35},
		"the same twice":           {[]*Reader{one.Reader, one.Reader}, 35},
	} {
		t.Run(name, func(t *testing.T) {
			up := save(t, as(3, c.bases...), three...)
			up.on(one, two).wantWhole(t)
			up.wantFlat(t)
			if 100*up.size > c.limit*full.size {
				t.Errorf("%d bytes of %d, over %d %%", up.size, full.size, c.limit)
			}
			if len(up.Index().Bases) != len(c.bases) {
				t.Errorf("%d bases", len(up.Index().Bases))
			}
		})
	}
}

// A layer that a base holds whole need not even be read, with the corrections
// of its recipe too.
func TestAdopt(t *testing.T) {
	zipped, recipes := twoGzips(t)
	var items []item
	for i, b := range zipped {
		items = append(items, item{data: b, BlobOptions: BlobOptions{Prepared: recipes[i]}})
	}
	items = append(items, item{data: noise(9, 50_000)}, item{data: nil}, meta("{}"))
	one := save(t, as(1), items...)
	for n, base := range map[string]*Reader{"bundle": one.Reader, "receipt": first(one.receipt(t))} {
		var again []item
		for _, i := range items {
			i.adopt, i.Prepared = len(i.data) >= minApart, nil
			again = append(again, i)
		}
		up := save(t, as(2, base), again...)
		up.on(one).wantWhole(t)
		if own := up.index.Chunks.Own(); own != 1 {
			t.Errorf("%s: %d chunks of its own, want that of the manifest", n, own)
		}
		for _, i := range items {
			d := digest.FromBytes(i.data)
			want, wantOK := one.index.RawHash(d)
			got, ok := up.index.RawHash(d)
			if got != want || ok != wantOK {
				t.Errorf("%s: raw hash %x, want %x", n, got, want)
			}
			if Adoptable(up.Index2(), d, int64(len(i.data))+1) {
				t.Errorf("%s: %s can be adopted with a wrong size", n, d)
			}
		}
		// And once more, of the update.
		third := save(t, as(3, up.Reader), again...)
		third.on(one).wantWhole(t)
	}

	w, err := NewWriter(t.Context(), io.Discard, as(2, one.Reader))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if err := w.Adopt(digest.FromString("no")); err == nil {
		t.Error("adopted a blob that no base has")
	}
}

// Index2 is the reader as the only base.
func (m *made) Index2() []*Reader { return []*Reader{m.Reader} }

func first[A, B any](a A, _ B) A { return a }

// twoGzips returns a gzip blob with few corrections and one with many, with their
// recipes.
func twoGzips(t testing.TB) ([][]byte, []*Prepared) {
	t.Helper()
	data := [][]byte{gz(t, 0, words(4, 200_000)), gzipWithCorrections(t)}
	var recipes []*Prepared
	for _, b := range data {
		recipes = append(recipes, takenApart(t, b))
	}
	return data, recipes
}

func zip(t testing.TB, raw []byte, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// An engine that has a small layer has it unpacked only: it must come along.
func TestSmallBlobsAreCarried(t *testing.T) {
	tiny := zip(t, release{"etc/entrypoint": noise(1, 2000)}.tar(t, 1), 6)
	items := layers(tiny, text(100_000))
	one := save(t, as(1), items...)
	if Adoptable(one.Index2(), digest.FromBytes(tiny), int64(len(tiny))) {
		t.Error("it can be adopted")
	}
	up := save(t, as(2, one.Reader), items...)
	if got, err := readBlob(up.Reader, digest.FromBytes(tiny)); err != nil || !bytes.Equal(got, tiny) {
		t.Error(err)
	}
	if needs, err := up.Needs([]digest.Digest{digest.FromBytes(items[1].data)}, true); err != nil || len(needs) == 0 {
		t.Errorf("the large one needs %v, %v", needs, err)
	}
}

// Whoever has a bundle only can read its manifests, whatever is like them.
func TestManifestsAreNeverExternal(t *testing.T) {
	same := fmt.Sprintf(`{"layers":["%s"]}`, bytes.Repeat([]byte("x"), 3000))
	old := release{"oci/manifest": []byte(same), "oci/changed": append([]byte(same), ",1"...)}
	one := save(t, as(1), layers(old.tar(t, 1))...)
	changed := same + ",2"
	next := release{"oci/manifest": []byte(same), "oci/changed": []byte(changed)}
	items := append([]item{{data: next.tar(t, 2)}}, meta(same), meta(changed))
	up := save(t, as(2, one.Reader), items...)
	// Without its base.
	for _, i := range items[1:] {
		got, err := readBlob(up.Reader, digest.FromBytes(i.data))
		if err != nil || !bytes.Equal(got, i.data) {
			t.Errorf("a manifest: %v", err)
		}
	}
	receipt, _ := up.receipt(t)
	for _, i := range items[1:] {
		got, err := readBlob(receipt, digest.FromBytes(i.data))
		if err != nil || !bytes.Equal(got, i.data) {
			t.Errorf("a manifest of the receipt: %v", err)
		}
	}
	up.on(one).wantWhole(t)
}

// Needs says what a blob is rebuilt from, and Carries whether that is at hand.
func TestNeeds(t *testing.T) {
	zipped, recipes := twoGzips(t)
	one := save(t, as(1), append(layers(small(1).tar(t, 1)),
		item{data: zipped[0], BlobOptions: BlobOptions{Prepared: recipes[0]}},
		item{data: zipped[1], BlobOptions: BlobOptions{Prepared: recipes[1]}}, meta("root"))...)
	up := save(t, as(2, one.Reader), append(layers(small(2).tar(t, 2)),
		item{data: zipped[0], adopt: true}, item{data: zipped[1], adopt: true}, meta("root 2"))...)

	var extra int
	for _, b := range []*index.Blob{must2(up.index.Blob(digest.FromBytes(zipped[0]))), must2(up.index.Blob(digest.FromBytes(zipped[1])))} {
		for _, run := range b.Extra {
			extra += int(run.Count)
		}
	}
	if extra == 0 {
		t.Fatal("no recipe has corrections in chunks")
	}
	all := []digest.Digest{digest.FromBytes(zipped[0]), digest.FromBytes(zipped[1])}
	whole, err := up.Needs(all, false)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := up.Needs(all, true)
	if err != nil || len(raw)+extra != len(whole) {
		t.Errorf("%d chunks raw, %d whole, %d of corrections, %v", len(raw), len(whole), extra, err)
	}
	layer := digest.FromBytes(up.items[0].data)
	needs, err := up.Needs([]digest.Digest{layer, layer}, false)
	if err != nil || len(needs) == 0 {
		t.Fatal(needs, err)
	}
	if !slices.IsSorted(needs) || len(slices.Compact(slices.Clone(needs))) != len(needs) || int(needs[0]) < up.index.Chunks.Own() {
		t.Error("not in order, or one of them twice, or one of its own")
	}
	// With all but one of them a blob cannot be rebuilt; with all it can.
	have := make(map[index.Hash]bool)
	for _, c := range needs {
		have[up.index.Chunks.Hash(c)] = true
	}
	part := &partly{one.Reader, have, nil}
	up.BuildOn(part)
	if got, err := readBlob(up.Reader, layer); err != nil || !bytes.Equal(got, up.items[0].data) {
		t.Errorf("with all that it needs: %v", err)
	}
	if !up.Carries(layer) || up.Carries(all[0]) {
		t.Error("wrong about what can be rebuilt")
	}
	for _, c := range []uint32{needs[0], needs[len(needs)/2], needs[len(needs)-1]} {
		h := up.index.Chunks.Hash(c)
		delete(have, h)
		up = up.again(t)
		up.BuildOn(part)
		if up.Carries(layer) {
			t.Errorf("without chunk %d it is said to be at hand", c)
		}
		if _, err := readBlob(up.Reader, layer); !errors.Is(err, fault.ErrMissing) {
			t.Errorf("without chunk %d: %v", c, err)
		}
		have[h] = true
	}
	for name, r := range map[string]*made{"update": up, "bundle": one} {
		if _, err := r.Needs([]digest.Digest{digest.FromString("no")}, false); !errors.Is(err, fault.ErrMissing) {
			t.Errorf("%s: a blob that is not there: %v", name, err)
		}
		if r.Carries(digest.FromString("no")) {
			t.Errorf("%s carries a blob that is not there", name)
		}
	}
}

func must2[T any](v T, ok bool) T {
	if !ok {
		panic("not there")
	}
	return v
}

// partly has some chunks of a bundle.
type partly struct {
	*Reader
	have map[index.Hash]bool
	lie  func([]byte) []byte // nil: it tells the truth
}

func (p *partly) Has(h index.Hash) bool { return p.have[h] }

func (p *partly) Chunk(ctx context.Context, h index.Hash, n int64) ([]byte, error) {
	if !p.have[h] {
		return nil, fault.Missing("not there")
	}
	b, err := p.Reader.Chunk(ctx, h, n)
	if err == nil && p.lie != nil {
		b = p.lie(bytes.Clone(b))
	}
	return b, err
}

// Content of a base is believed no more than anything else.
func TestBaseThatLies(t *testing.T) {
	one := save(t, as(1), layers(small(1).tar(t, 1))...)
	up := save(t, as(2, one.Reader), layers(small(2).tar(t, 2))...)
	want := up.items[0].data
	have := make(map[index.Hash]bool)
	for c := range uint32(one.index.Chunks.Len()) {
		have[one.index.Chunks.Hash(c)] = true
	}
	for name, lie := range map[string]func([]byte) []byte{
		"other bytes": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"shorter":     func(b []byte) []byte { return b[:len(b)-1] },
		"longer":      func(b []byte) []byte { return append(b, 0) },
		"nothing":     func([]byte) []byte { return nil },
	} {
		up = up.again(t)
		up.BuildOn(&partly{one.Reader, have, lie})
		rc, err := up.OpenBlob(t.Context(), digest.FromBytes(want))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(rc)
		if !errors.Is(err, fault.ErrDamaged) || !bytes.HasPrefix(want, got) {
			t.Errorf("%s: %v after %d bytes", name, err, len(got))
		}
		if left, err := up.Rebuild(t.Context(), nil); left != 0 || !errors.Is(err, fault.ErrDamaged) {
			t.Errorf("%s: rebuilt all but %d: %v", name, left, err)
		}
	}
	up = up.again(t)
	if _, err := readBlob(up.Reader, digest.FromBytes(want)); !errors.Is(err, fault.ErrMissing) || fault.Hint(err) == "" {
		t.Errorf("without a base: %v", err)
	}
	if left, err := up.Rebuild(t.Context(), nil); left != 1 || err != nil {
		t.Errorf("rebuilt all but %d: %v", left, err)
	}
}

// An inventory lists what there is, and is a base like others.
func TestInventory(t *testing.T) {
	raw := small(1).tar(t, 1)
	gz := zip(t, raw, 6)
	list := as(1)
	list.Inventory = true
	items := []item{
		{data: gz, BlobOptions: BlobOptions{Unpack: true}},
		{data: noise(7, 100_000), BlobOptions: BlobOptions{Unpack: true}},
		{data: nil, BlobOptions: BlobOptions{Unpack: true}},
		meta(`{"inventory":1}`),
	}
	inv := save(t, list, items...)
	if inv.size > len(gz)/10 {
		t.Errorf("%d bytes for %d of content", inv.size, len(gz))
	}
	m := &medium{}
	if err := write(t.Context(), m, list, items); err != nil {
		t.Fatal(err)
	}
	if _, err := open(m.b); !errors.Is(err, fault.ErrMissing) || fault.Hint(err) == "" {
		t.Errorf("opened to be loaded: %v", err)
	}
	for i, x := range inv.items {
		d := digest.FromBytes(x.data)
		got, err := readBlob(inv.Reader, d)
		switch {
		case len(x.data) == 0 || x.Meta:
			if err != nil || !bytes.Equal(got, x.data) || !inv.Carries(d) {
				t.Errorf("blob %d: %v", i, err)
			}
		case !errors.Is(err, fault.ErrMissing) || inv.Carries(d):
			t.Errorf("blob %d: read %d bytes, %v", i, len(got), err)
		}
	}
	if h, ok := inv.index.RawHash(digest.FromBytes(gz)); !ok || !bytes.Equal(h[:], sha(raw)) {
		t.Errorf("raw hash %x", h)
	}
	if b := inv.Index().Bases; len(b) != 1 || b[0].ID != [16]byte{1} || b[0].Chunks != inv.index.Chunks.Len()-inv.index.Chunks.Own() {
		t.Errorf("bases %+v", b)
	}

	two := layers(small(2).tar(t, 2))
	up, full := save(t, as(2, inv.Reader), two...), save(t, as(2), two...)
	if up.size >= full.size-300_000 {
		t.Errorf("%d bytes of %d", up.size, full.size)
	}
	blobs := up.Index().Bases[0].Blobs
	if len(blobs) != 1 || blobs[0].Digest != digest.FromBytes(gz) || !bytes.Equal(blobs[0].Raw[:], sha(raw)) || blobs[0].RawSize != int64(len(raw)) {
		t.Errorf("found in %+v", blobs)
	}
	up.on(save(t, as(1), layers(raw)...)).wantWhole(t)

	if Adoptable([]*Reader{inv.Reader}, digest.FromBytes(gz), int64(len(gz))) {
		t.Error("a blob without a recipe can be adopted")
	}
	list.Bases = []*Reader{inv.Reader}
	if w, err := NewWriter(t.Context(), io.Discard, list); err == nil {
		w.Abort()
		t.Error("an inventory with bases")
	}
}

// Unpack takes what begins like gzip and is none for a failure, not for content.
func TestUnpackOfDamage(t *testing.T) {
	good := zip(t, text(100_000), 6)
	for name, c := range map[string]struct {
		data   []byte
		digest digest.Digest
		kind   error
	}{
		"cut off":         {data: good[:len(good)/2]},
		"only the magic":  {data: []byte("\x1f\x8b\x08")},
		"of other digest": {data: good, digest: digest.FromString("other"), kind: fault.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := NewWriter(t.Context(), io.Discard, fixed())
			if err != nil {
				t.Fatal(err)
			}
			defer w.Abort()
			d := c.digest
			if d == "" {
				d = digest.FromBytes(c.data)
			}
			err = w.AddBlob(t.Context(), d, int64(len(c.data)), bytes.NewReader(c.data), BlobOptions{Unpack: true})
			if err == nil || c.kind != nil && !errors.Is(err, c.kind) {
				t.Errorf("%v", err)
			}
			if _, err := w.Finish(t.Context()); err == nil {
				t.Error("finished all the same")
			}
		})
	}
	for name, data := range map[string][]byte{
		"empty": nil, "short": []byte("\x1f"), "no gzip": text(50_000), "trailing bytes": append(bytes.Clone(good), 0, 0, 0),
		"wrong checksum": append(bytes.Clone(good[:len(good)-8]), "12345678"...),
		"two members":    append(bytes.Clone(good), good...), "almost the magic": []byte("\x1f\x8b\x07 something else"),
	} {
		m := save(t, as(1), item{data: data, BlobOptions: BlobOptions{Unpack: true}}, meta("{}"))
		b, ok := m.index.Blob(digest.FromBytes(data))
		if !ok || (b.Recipe == index.Listed) != bytes.HasPrefix(data, []byte(gzipMagic)) {
			t.Errorf("%s: %+v", name, b)
		}
	}
}

// sickMedium cannot be read, or lies.
type sickMedium struct {
	*medium
	reads int
	lie   bool
}

var errBroken = errors.New("medium is broken")

func (f *sickMedium) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.medium.ReadAt(p, off)
	f.reads++
	if !f.lie {
		return 0, errBroken
	}
	p[n/2] ^= 1
	return n, err
}

// What cannot be read back ends the save: what was written may be as bad.
func TestReadBackFails(t *testing.T) {
	// More than a pack lies between a file and its successor, so that it must be
	// read from the medium.
	a, b := release{"lib/x": program(1, 80_000, 0)}, release{"lib/x": program(1, 80_000, 40)}
	filler := noise(8, 70<<20)
	items := layers(a.tar(t, 1), filler, b.tar(t, 2))
	for name, lie := range map[string]bool{"fails": false, "lies": true} {
		t.Run(name, func(t *testing.T) {
			f := &sickMedium{medium: &medium{}, lie: lie}
			o := as(1)
			o.ReadBack = f
			err := write(t.Context(), f, o, items)
			if err == nil || !strings.Contains(err.Error(), "read back what was written") || !lie && !errors.Is(err, errBroken) {
				t.Error(err)
			}
			if f.reads == 0 {
				t.Error("nothing was read back")
			}
		})
	}
}

// hanging is a medium that ends a context when it is read.
type hanging struct {
	*medium
	cancel func()
}

func (h *hanging) ReadAt(p []byte, off int64) (int, error) {
	h.cancel()
	return h.medium.ReadAt(p, off)
}

// An end of the context ends a save wherever it is.
func TestUpdateCancelled(t *testing.T) {
	one := save(t, as(1), layers(small(1).tar(t, 1))...)
	items := layers(small(2).tar(t, 2), noise(8, 40<<20), small(3).tar(t, 3))
	t.Run("looking into the bases", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := write(ctx, io.Discard, as(2, one.Reader), items); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Run("reading back", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		m := &hanging{&medium{}, cancel}
		o := as(2)
		o.ReadBack = m
		if err := write(ctx, m, o, items); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Run("medium is full", func(t *testing.T) {
		o := as(2, one.Reader)
		o.ReadBack = &medium{} // there is nothing to be read
		if err := write(t.Context(), &failingWriter{2000}, o, items); !errors.Is(err, errFull) {
			t.Error(err)
		}
	})
}

// Frames of manifests are written last, so nothing may wait for them.
func TestFileLikeAManifest(t *testing.T) {
	items := []item{meta(string(text(5000)))}
	for n := range 6 {
		items = append(items, item{data: noise(byte(n), 1<<20), BlobOptions: BlobOptions{Meta: true}})
	}
	same := release{"oci/config": text(5000), "oci/new": noise(20, 5000)}
	changed := release{"oci/config": append(text(5000), "and more"...)}
	items = append(items, item{data: same.tar(t, 1)}, item{data: changed.tar(t, 2)}, meta("{}"))
	save(t, as(1), items...).wantWhole(t)
}

func TestTooManyBases(t *testing.T) {
	one := save(t, as(1), layers(text(10_000))...)
	w, err := NewWriter(t.Context(), io.Discard, as(2, slices.Repeat([]*Reader{one.Reader}, 2000)...))
	if !errors.Is(err, fault.ErrUsage) {
		t.Error(err)
	}
	if w != nil {
		w.Abort()
	}
	many := save(t, as(2, slices.Repeat([]*Reader{one.Reader}, 1000)...), layers(text(10_000))...)
	many.on(one).wantWhole(t)
}
