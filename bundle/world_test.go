package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
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

func sha(b []byte) []byte { h := sha256.Sum256(b); return h[:] }

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
