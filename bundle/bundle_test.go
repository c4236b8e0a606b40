package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"bale/bundle/chunk"
	"bale/bundle/container"
	"bale/bundle/delta"
	"bale/bundle/fault"
	"bale/bundle/index"
	"bale/bundle/pack"
)

// trustAll vouches for whatever it is shown; what it lets in must still be whole.
type trustAll struct{}

func (trustAll) Vouches([]byte) error { return nil }

func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func text(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "line %d of some text that compresses\n", i*i)
	}
	return b.Bytes()[:n]
}

func tarOf(t testing.TB, mtime int64, files int, big []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(name string, data []byte) {
		h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(data)), ModTime: time.Unix(mtime, 0)}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	for i := range files {
		add(fmt.Sprintf("etc/%d", i), noise(byte(i), 100+i))
	}
	add("big", big)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type content struct {
	data     []byte
	meta     bool
	prepared *Prepared
}

func contents(t testing.TB) []content {
	big := append(noise(7, 3<<20), text(7<<20)...)
	return []content{
		{data: tarOf(t, 1, 300, big)},
		{data: tarOf(t, 2, 300, big)},
		{data: append([]byte("\x1f\x8b\x08"), noise(9, 2<<20)...)},
		{data: []byte{}},
		{data: make([]byte, 1<<20)},
		{data: []byte(`{"config":true}`), meta: true},
		{data: []byte(`{"schemaVersion":2}`), meta: true},
	}
}

func fixed() WriterOptions {
	return WriterOptions{ID: [16]byte{1, 2, 3}, Created: time.Unix(1_800_000_000, 0), Creator: "test"}
}

func makeBundle(t testing.TB, o WriterOptions, in []content) []byte {
	t.Helper()
	ctx := context.Background()
	var out bytes.Buffer
	w, err := NewWriter(ctx, &out, o)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, c := range in {
		if err := w.AddBlob(ctx, digest.FromBytes(c.data), int64(len(c.data)), bytes.NewReader(c.data), BlobOptions{Meta: c.meta, Prepared: c.prepared}); err != nil {
			t.Fatal(err)
		}
	}
	if len(in) > 0 {
		root := in[len(in)-1].data
		if err := w.AddImage(index.Image{Name: "docker.io/library/x:1", MediaType: "m", Digest: digest.FromBytes(root), Size: int64(len(root))}); err != nil {
			t.Fatal(err)
		}
	}
	sums, err := w.Finish(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.AddSignature(container.Sigstore, []byte(fmt.Sprintf("{%q:%q}\n", "over", digest.FromBytes(sums)))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func open(b []byte) (*Reader, error) {
	ctx := context.Background()
	e, err := Scan(ctx, bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	return Open(ctx, e, trustAll{})
}

// readAll opens a bundle and reads every blob of it.
func readAll(b []byte) error {
	r, err := open(b)
	if err != nil {
		return err
	}
	if err := r.Check(context.Background(), nil); err != nil {
		return err
	}
	var n int64
	var mu sync.Mutex
	left, err := r.Rebuild(context.Background(), func(k int64) {
		mu.Lock()
		defer mu.Unlock()
		n += k
	})
	if left > 0 {
		return fault.Missing("%d blobs cannot be had from the bundle alone", left)
	}
	if err == nil && n != r.BlobBytes() {
		return fmt.Errorf("rebuilt %d bytes of %d", n, r.BlobBytes())
	}
	return err
}

func TestRoundTrip(t *testing.T) {
	in := contents(t)
	b := makeBundle(t, fixed(), in)
	r, err := open(b)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range in {
		rc, err := r.OpenBlob(context.Background(), digest.FromBytes(c.data))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(rc)
		if err != nil || !bytes.Equal(got, c.data) {
			t.Errorf("blob %d: %d bytes, %v", i, len(got), err)
		}
	}
	if h := r.Header(); h.ID != "01020300000000000000000000000000" || h.Creator != "test" {
		t.Errorf("header %+v", h)
	}
	if i := r.Index().Images; len(i) != 1 || i[0].Name != "docker.io/library/x:1" {
		t.Errorf("images %+v", i)
	}
	if _, err := r.OpenBlob(context.Background(), digest.FromString("no")); !errors.Is(err, fault.ErrMissing) {
		t.Error(err)
	}
	// The two tars share all content, and only headers differ.
	var raw int64
	for _, f := range r.Index().Frames {
		raw += f.Raw
	}
	if limit := int64(len(in[0].data) + len(in[2].data) + 1<<20 + 400*512); raw > limit {
		t.Errorf("%d raw bytes stored, expected at most %d", raw, limit)
	}
}

func TestOutputDoesNotDependOnWorkers(t *testing.T) {
	in := contents(t)
	o := fixed()
	o.Workers = 1
	one := makeBundle(t, o, in)
	o.Workers = 4
	if !bytes.Equal(one, makeBundle(t, o, in)) {
		t.Error("4 workers give other bytes than 1")
	}
}

func TestEmptyBundle(t *testing.T) {
	if err := readAll(makeBundle(t, fixed(), nil)); err != nil {
		t.Error(err)
	}
}

func TestAddBlobRefusesWrongContent(t *testing.T) {
	ctx := context.Background()
	good := text(100_000)
	d := digest.FromBytes(good)
	for name, c := range map[string]struct {
		data []byte
		size int64
	}{
		"altered":      {append(bytes.Clone(good[:99_999]), 'X'), 100_000},
		"short":        {good[:50_000], 100_000},
		"long":         {append(bytes.Clone(good), 'X'), 100_000},
		"lying size":   {good, 99_999},
		"other length": {good, 100_001},
	} {
		w, err := NewWriter(ctx, io.Discard, fixed())
		if err != nil {
			t.Fatal(err)
		}
		if err := w.AddBlob(ctx, d, c.size, bytes.NewReader(c.data), BlobOptions{}); !errors.Is(err, fault.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		w.Abort()
	}
}

type failingWriter struct{ left int }

var errFull = errors.New("medium is full")

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWriteErrorsSurface(t *testing.T) {
	ctx := context.Background()
	for _, room := range []int{100, 3000, 1 << 20, 33 << 20} {
		err := func() error {
			w, err := NewWriter(ctx, &failingWriter{room}, fixed())
			if err != nil {
				return err
			}
			defer w.Abort()
			data := noise(3, 40<<20)
			if err := w.AddBlob(ctx, digest.FromBytes(data), int64(len(data)), bytes.NewReader(data), BlobOptions{}); err != nil {
				return err
			}
			_, err = w.Finish(ctx)
			return err
		}()
		if !errors.Is(err, errFull) {
			t.Errorf("room for %d: %v", room, err)
		}
	}
}

func TestCancelledContextEndsWriting(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	w, err := NewWriter(ctx, io.Discard, fixed())
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	data := noise(3, 1<<20)
	if err := w.AddBlob(ctx, digest.FromBytes(data), int64(len(data)), bytes.NewReader(data), BlobOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := w.Finish(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Every bit of everything but the signature (which package verify looks at)
// is covered by some check.
func TestEveryFlippedByteIsRefused(t *testing.T) {
	in := []content{{data: tarOf(t, 1, 3, text(3000))}, {data: []byte(`{"a":1}`), meta: true}}
	good := makeBundle(t, fixed(), in)
	if err := readAll(good); err != nil {
		t.Fatal(err)
	}
	c, err := container.Scan(context.Background(), bytes.NewReader(good), int64(len(good)))
	if err != nil {
		t.Fatal(err)
	}
	sig, _ := c.Find(container.SigstoreName)
	for i := range good {
		if o := int64(i) - sig.Offset; o >= 0 && o < sig.Size {
			continue
		}
		for _, mask := range []byte{1, 0x80} {
			b := bytes.Clone(good)
			b[i] ^= mask
			if err := readAll(b); !errors.Is(err, fault.ErrDamaged) {
				t.Fatalf("byte %d ^ %#x: %v", i, mask, err)
			}
		}
	}
}

func TestEveryTruncationIsRefused(t *testing.T) {
	good := makeBundle(t, fixed(), []content{{data: text(2000)}, {data: []byte("{}"), meta: true}})
	for n := range good {
		if err := readAll(good[:n]); !errors.Is(err, fault.ErrDamaged) {
			t.Fatalf("first %d bytes: %v", n, err)
		}
	}
}

// entries rebuilds a bundle from entries, with sums that fit, as somebody with
// a trusted key could.
type entryFile struct {
	name string
	data []byte
}

func entriesOf(t testing.TB, b []byte) []entryFile {
	t.Helper()
	c, err := container.Scan(context.Background(), bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var out []entryFile
	for _, e := range c.Entries() {
		data, err := c.ReadFile(e, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, entryFile{e.Name, data})
	}
	return out
}

func assemble(t testing.TB, files []entryFile, resum bool) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := container.NewWriter(&out, fixed().Created)
	if err != nil {
		t.Fatal(err)
	}
	var sums []Sum
	for _, f := range files {
		if f.name == container.SumsName && resum {
			f.data = encodeSums(sums)
		}
		if err := w.Add(f.name, f.data); err != nil {
			t.Fatal(err)
		}
		sums = append(sums, Sum{sha256.Sum256(f.data), f.name})
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestHostileBundlesAreRefused(t *testing.T) {
	good := entriesOf(t, makeBundle(t, fixed(), contents(t)))
	at := func(name string) int {
		for i, f := range good {
			if strings.HasPrefix(f.name, name) {
				return i
			}
		}
		t.Fatalf("no %s", name)
		return 0
	}
	packAt, indexAt := at("packs/"), at(container.IndexName)
	edit := func(f func(e []entryFile) []entryFile) []entryFile { return f(append([]entryFile(nil), good...)) }
	reindex := func(change func(x *index.Index)) []entryFile {
		t.Helper()
		return edit(func(e []entryFile) []entryFile {
			raw := e[indexAt].data
			x, err := index.Read(context.Background(), bytes.NewReader(raw), int64(len(raw)))
			if err != nil {
				t.Fatal(err)
			}
			change(x)
			var b bytes.Buffer
			if err := x.Write(&b); err != nil {
				t.Fatal(err)
			}
			e[indexAt].data = b.Bytes()
			return e
		})
	}
	header := func(old, new string) []entryFile {
		return edit(func(e []entryFile) []entryFile {
			e[0].data = []byte(strings.Replace(string(e[0].data), old, new, 1))
			return e
		})
	}
	// withBase gives bale.json a base, 03 and 15 times 00, besides what is done to the index.
	withBase := func(change func(x *index.Index)) []entryFile {
		e := reindex(change)
		e[0] = header(`"creator": "test"`, "\"creator\": \"test\",\n  \"bases\": [\n    \"03000000000000000000000000000000\"\n  ]")[0]
		return e
	}
	base := index.Base{ID: [16]byte{3}, Chunks: 1}
	// build makes a frame build on chunks, if nothing is said to the contrary on
	// the first chunk.
	build := func(x *index.Index, frame int, k pack.Kind, on ...index.Run) *index.Frame {
		f := &x.Frames[frame]
		f.Kind, f.Dictionary = k, on
		if on == nil {
			f.Dictionary = []index.Run{{First: 0, Count: 1}}
		}
		return f
	}
	lastPack := indexAt - 1
	newPack := func(frame []byte, raw int64) []entryFile {
		var pb pack.Builder
		if _, err := pb.Add(frame); err != nil {
			t.Fatal(err)
		}
		p := pb.Finish()
		return append(edit(func(e []entryFile) []entryFile { return e[:1] }), entryFile{container.PackName(p.Digest), p.Data},
			entryFile{container.IndexName, indexOf(t, p, raw)}, good[len(good)-2], good[len(good)-1])
	}
	cases := map[string]struct {
		files []entryFile
		resum bool
		kind  error
	}{
		"control": {good, true, nil},
		"entry renamed": {edit(func(e []entryFile) []entryFile {
			e[packAt].name = "packs/" + strings.Repeat("0", 64) + ".pack"
			return e
		}), false, fault.ErrDamaged},
		"entry renamed, resummed": {edit(func(e []entryFile) []entryFile {
			e[packAt].name = "packs/" + strings.Repeat("0", 64) + ".pack"
			return e
		}), true, fault.ErrDamaged},
		"first pack removed":      {edit(func(e []entryFile) []entryFile { return append(e[:packAt], e[packAt+1:]...) }), false, fault.ErrMissing}, // a receipt
		"last pack removed":       {edit(func(e []entryFile) []entryFile { return append(e[:lastPack], e[lastPack+1:]...) }), false, fault.ErrDamaged},
		"entry removed, resummed": {edit(func(e []entryFile) []entryFile { return append(e[:packAt], e[packAt+1:]...) }), true, fault.ErrDamaged},
		"entry added": {edit(func(e []entryFile) []entryFile {
			return append(e[:packAt:packAt], append([]entryFile{{"packs/" + strings.Repeat("1", 64) + ".pack", []byte("x")}}, e[packAt:]...)...)
		}), false, fault.ErrDamaged},
		"unknown entry": {edit(func(e []entryFile) []entryFile {
			return append(e[:packAt:packAt], append([]entryFile{{"extra/file", []byte("x")}}, e[packAt:]...)...)
		}), true, fault.ErrDamaged},
		"packs swapped":          {edit(func(e []entryFile) []entryFile { e[packAt].data = append(bytes.Clone(e[packAt].data), 0); return e }), false, fault.ErrDamaged},
		"no sums":                {edit(func(e []entryFile) []entryFile { return e[:len(e)-2] }), false, fault.ErrDamaged},
		"no index":               {edit(func(e []entryFile) []entryFile { return append(e[:indexAt], e[indexAt+1:]...) }), true, fault.ErrDamaged},
		"newer version":          {header(`"version": 1`, `"version": 2`), true, fault.ErrUnsupported},
		"newer with new members": {header(`"version": 1,`, "\"version\": 9,\n  \"hologram\": true,"), true, fault.ErrUnsupported},
		"feature":                {header(`"creator": "test"`, "\"creator\": \"test\",\n  \"features\": [\n    \"x\"\n  ]"), true, fault.ErrUnsupported},
		"unknown member":         {header(`"version": 1,`, "\"version\": 1,\n  \"extra\": 1,"), true, fault.ErrDamaged},
		"other format":           {header(`"bale"`, `"tale"`), true, fault.ErrDamaged},
		"other time":             {header(`"created": "20`, `"created": "19`), true, fault.ErrDamaged},
		"no json":                {header(`{`, `[`), true, fault.ErrDamaged},
		"base in bale.json only": {withBase(func(*index.Index) {}), true, fault.ErrDamaged},
		"chunk of other length":  {reindex(func(x *index.Index) { x.Frames[0].Raw++ }), true, fault.ErrDamaged},
		"chunk that is not there": {reindex(func(x *index.Index) {
			x.Blobs[0].Lanes = [][]index.Run{{{First: uint32(x.Chunks.Len()), Count: 1}}}
		}), true, fault.ErrDamaged},
		"other chunks for a blob": {reindex(func(x *index.Index) { swapLanes(x) }), true, fault.ErrDamaged},
		"pack size lies":          {reindex(func(x *index.Index) { x.Packs[0].Size++; x.Frames[x.Packs[0].Frames-1].Stored++ }), true, fault.ErrDamaged},
		"recipe of later":         {reindex(func(x *index.Index) { x.Blobs[0].Recipe = 3 }), true, fault.ErrUnsupported},
		"only listed":             {reindex(func(x *index.Index) { x.Blobs[0].Recipe = index.Listed; x.SetRawHash(x.Blobs[0].Digest, index.Hash{}) }), true, fault.ErrMissing},
		"base in the index only": {reindex(func(x *index.Index) {
			x.Bases = []index.Base{base}
			x.Chunks.AddExternal(index.Hash{1}, 5)
		}), true, fault.ErrDamaged},
		"other base in the index": {withBase(func(x *index.Index) {
			x.Bases = []index.Base{{ID: [16]byte{4}, Chunks: 1}}
			x.Chunks.AddExternal(index.Hash{1}, 5)
		}), true, fault.ErrDamaged},
		"base that nothing needs": {withBase(func(x *index.Index) {
			x.Bases = []index.Base{base}
			x.Chunks.AddExternal(index.Hash{1}, 5)
		}), true, nil},
		"blob that needs a base": {withBase(func(x *index.Index) {
			x.Bases = []index.Base{base}
			x.Chunks.AddExternal(index.Hash{1}, int(x.Chunks.Length(0)))
			swapChunk(x, 0, uint32(x.Chunks.Len()-1))
		}), true, fault.ErrMissing},
		"external chunk without a base": {reindex(func(x *index.Index) { x.Chunks.AddExternal(index.Hash{1}, 5) }), true, fault.ErrDamaged},
		"base with more chunks": {withBase(func(x *index.Index) {
			x.Bases = []index.Base{{ID: [16]byte{3}, Chunks: 2}}
			x.Chunks.AddExternal(index.Hash{1}, 5)
		}), true, fault.ErrDamaged},
		"base with fewer chunks": {withBase(func(x *index.Index) {
			x.Bases = []index.Base{base}
			x.Chunks.AddExternal(index.Hash{1}, 5)
			x.Chunks.AddExternal(index.Hash{2}, 5)
		}), true, fault.ErrDamaged},
		"base whose blob has more chunks": {withBase(func(x *index.Index) {
			x.Bases = []index.Base{{ID: [16]byte{3}, Chunks: 1, Blobs: []index.BaseBlob{{Digest: digest.FromString("b"), Chunks: 2}}}}
			x.Chunks.AddExternal(index.Hash{1}, 5)
		}), true, fault.ErrDamaged},
		"frame of later":         {reindex(func(x *index.Index) { x.Frames[1].Kind = 3 }), true, fault.ErrUnsupported},
		"dictionary of nothing":  {reindex(func(x *index.Index) { x.Frames[1].Kind = pack.Dictionary }), true, fault.ErrDamaged},
		"dictionary of itself":   {reindex(func(x *index.Index) { build(x, 1, pack.Dictionary, index.Run{First: x.Frames[1].FirstChunk, Count: 1}) }), true, fault.ErrDamaged},
		"dictionary past chunks": {reindex(func(x *index.Index) { build(x, 1, pack.Dictionary, index.Run{First: uint32(x.Chunks.Len()), Count: 1}) }), true, fault.ErrDamaged},
		"dictionary of a dictionary": {reindex(func(x *index.Index) {
			build(x, 1, pack.Dictionary)
			build(x, 2, pack.Dictionary, index.Run{First: x.Frames[1].FirstChunk, Count: 1})
		}), true, fault.ErrDamaged},
		"loop of dictionaries": {reindex(func(x *index.Index) {
			build(x, 1, pack.Dictionary, index.Run{First: x.Frames[2].FirstChunk, Count: 1})
			build(x, 2, pack.Patch, index.Run{First: x.Frames[1].FirstChunk, Count: 1})
		}), true, fault.ErrDamaged},
		"dictionary too large": {reindex(func(x *index.Index) {
			all := index.Run{First: 0, Count: x.Frames[1].FirstChunk}
			build(x, 1, pack.Dictionary, slices.Repeat([]index.Run{all}, pack.MaxDictionary/int(x.Frames[0].Raw)+1)...)
		}), true, fault.ErrDamaged},
		"dictionary that is in a base": {withBase(func(x *index.Index) {
			x.Bases = []index.Base{base}
			x.Chunks.AddExternal(index.Hash{1}, 5)
			build(x, 1, pack.Dictionary, index.Run{First: uint32(x.Chunks.Own()), Count: 1})
		}), true, fault.ErrMissing},
		"patch too large":    {reindex(func(x *index.Index) { f := build(x, 1, pack.Patch); f.Patch = int64(delta.MaxPatch(int(f.Raw))) + 1 }), true, fault.ErrDamaged},
		"patch of no bytes":  {reindex(func(x *index.Index) { build(x, 1, pack.Patch) }), true, fault.ErrDamaged},
		"patch that is none": {reindex(func(x *index.Index) { f := build(x, 1, pack.Patch); f.Patch = f.Raw }), true, fault.ErrDamaged},
		"patch of noise":     {patched(t, good, noise(1, 500)), true, fault.ErrDamaged},
		"bomb":               {newPack(bombFrame(t, 64<<20), 1000), true, fault.ErrDamaged},
		"bomb at limit":      {newPack(bombFrame(t, 16<<20), 1000), true, fault.ErrDamaged},
		"frame of noise":     {newPack(noise(1, 500), 1000), true, fault.ErrDamaged},
	}
	for name, c := range cases {
		err := readAll(assemble(t, c.files, c.resum))
		if !errors.Is(err, c.kind) || (c.kind == nil) != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// indexOf is an index over one pack with one frame of raw zero bytes.
func indexOf(t testing.TB, p pack.Pack, raw int64) []byte {
	t.Helper()
	x := &index.Index{
		Packs:  []index.Pack{{Digest: p.Digest, Size: int64(len(p.Data)), Frames: 1}},
		Frames: []index.Frame{{Offset: pack.HeaderSize, Stored: int64(len(p.Data)) - pack.HeaderSize, Raw: raw, Chunks: 1}},
	}
	zero := make([]byte, raw)
	x.Chunks.Add(sha256.Sum256(zero), int(raw))
	x.Blobs = []index.Blob{{Digest: digest.FromBytes(zero), Size: raw, RawSize: raw, Lanes: [][]index.Run{{{First: 0, Count: 1}}}}}
	var b bytes.Buffer
	if err := x.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func bombFrame(t testing.TB, n int) []byte {
	t.Helper()
	e, err := pack.NewEncoder(pack.Best)
	if err != nil {
		t.Fatal(err)
	}
	return e.Encode(nil, make([]byte, n))
}

// swapChunk names a chunk by another ordinal wherever blobs have it.
func swapChunk(x *index.Index, c, by uint32) {
	for i := range x.Blobs {
		for l, runs := range x.Blobs[i].Lanes {
			var out []index.Run
			for w := (walk{runs: runs}); ; {
				n, ok := w.next()
				if !ok {
					break
				}
				if n == c {
					n = by
				}
				out = appendRun(out, n, 1)
			}
			x.Blobs[i].Lanes[l] = out
		}
	}
}

// patched is a bundle of one blob, whose second frame holds something as a patch.
func patched(t testing.TB, good []entryFile, patch []byte) []entryFile {
	t.Helper()
	e, err := pack.NewEncoder(pack.Fast)
	if err != nil {
		t.Fatal(err)
	}
	old, data := noise(2, 1000), noise(3, 1000)
	var pb pack.Builder
	x := &index.Index{}
	for i, f := range [][]byte{old, patch} {
		stored := e.Encode(nil, f)
		if _, err := pb.Add(stored); err != nil {
			t.Fatal(err)
		}
		x.Frames = append(x.Frames, index.Frame{FirstChunk: uint32(i), Chunks: 1, Raw: 1000, Stored: int64(len(stored))})
	}
	x.Frames[1].Kind, x.Frames[1].Patch, x.Frames[1].Dictionary = pack.Patch, int64(len(patch)), []index.Run{{First: 0, Count: 1}}
	p := pb.Finish()
	x.Packs = []index.Pack{{Digest: p.Digest, Size: int64(len(p.Data)), Frames: 2}}
	x.Chunks.Add(sha256.Sum256(old), len(old))
	x.Chunks.Add(sha256.Sum256(data), len(data))
	x.Blobs = []index.Blob{{Digest: digest.FromBytes(data), Size: 1000, RawSize: 1000, Lanes: [][]index.Run{{{First: 1, Count: 1}}}}}
	var b bytes.Buffer
	if err := x.Write(&b); err != nil {
		t.Fatal(err)
	}
	return []entryFile{good[0], {container.PackName(p.Digest), p.Data}, {container.IndexName, b.Bytes()}, good[len(good)-2], good[len(good)-1]}
}

// swapLanes gives the two tars, which are equally long, each other's content.
func swapLanes(x *index.Index) {
	for i := range x.Blobs {
		for j := range i {
			a, b := &x.Blobs[i], &x.Blobs[j]
			if a.Size == b.Size && len(a.Lanes) == int(chunk.Lanes) && len(b.Lanes) == int(chunk.Lanes) {
				a.Lanes, b.Lanes = b.Lanes, a.Lanes
			}
		}
	}
}

func TestOpenAsksTheVoucher(t *testing.T) {
	b := makeBundle(t, fixed(), nil)
	e, err := Scan(context.Background(), bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Signatures()) != 1 || e.Signatures()[0].Entry != container.SigstoreName {
		t.Errorf("signatures %+v", e.Signatures())
	}
	no := fault.Untrusted("no")
	if _, err := Open(context.Background(), e, voucherFunc(func(sums []byte) error {
		if !bytes.Equal(sums, e.Sums()) {
			t.Error("asked about other sums")
		}
		return no
	})); !errors.Is(err, fault.ErrUntrusted) {
		t.Error(err)
	}
	if _, err := Open(context.Background(), NewEnvelope(e.Sums(), nil), trustAll{}); err == nil {
		t.Error("opened an envelope without a container")
	}
}

type voucherFunc func([]byte) error

func (f voucherFunc) Vouches(b []byte) error { return f(b) }

// headerVoucher refuses by the header.
type headerVoucher struct {
	trustAll
	check func(Header) error
}

func (v headerVoucher) VouchesFor(h Header) error { return v.check(h) }

// untouchable fails where bytes from off on are read.
type untouchable struct {
	io.ReaderAt
	off int64
}

var errTouched = errors.New("read what was not to be read")

func (u untouchable) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > u.off {
		return 0, errTouched
	}
	return u.ReaderAt.ReadAt(p, off)
}

func TestHeaderVoucherIsAskedBeforeTheIndexIsRead(t *testing.T) {
	b := makeBundle(t, fixed(), nil)
	e, err := Scan(t.Context(), bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	entry, ok := e.c.Find(container.IndexName)
	if !ok {
		t.Fatal("no index")
	}
	var seen []string
	v := headerVoucher{check: func(h Header) error {
		seen = append(seen, h.ID)
		return fault.Untrusted("too old")
	}}
	u := untouchable{bytes.NewReader(b), int64(len(b))}
	if e, err = Scan(t.Context(), &u, int64(len(b))); err != nil {
		t.Fatal(err)
	}
	u.off = entry.Offset // envelope and header come before it or are read
	if r, err := Open(t.Context(), e, v); !errors.Is(err, fault.ErrUntrusted) || r != nil {
		t.Errorf("opened although the header is refused: %v", err)
	}
	if len(seen) != 1 || len(seen[0]) != 32 {
		t.Errorf("asked about %q", seen)
	}
	v.check = func(Header) error { return nil }
	if _, err := Open(t.Context(), e, v); !errors.Is(err, errTouched) {
		t.Errorf("the index was not read after that: %v", err)
	}
}

func TestManyReadersShareTheCache(t *testing.T) {
	in := contents(t)
	r, err := open(makeBundle(t, fixed(), in))
	if err != nil {
		t.Fatal(err)
	}
	errs := make(chan error)
	for range 8 {
		for _, c := range in {
			go func() {
				rc, err := r.OpenBlob(context.Background(), digest.FromBytes(c.data))
				if err == nil {
					_, err = io.Copy(io.Discard, rc)
				}
				errs <- err
			}()
		}
	}
	for range 8 * len(in) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func FuzzHeader(f *testing.F) {
	h := Header{Format: formatName, Version: 1, ID: strings.Repeat("0a", 16), Created: time.Unix(1, 0).UTC(), Creator: "bale"}
	b, err := h.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"format":"bale","version":2}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(b)
		if err != nil {
			if h != nil {
				t.Fatal("error and a result")
			}
			return
		}
		if again, err := h.encode(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("accepted, but encodes otherwise: %v", err)
		}
	})
}

func FuzzSums(f *testing.F) {
	f.Add(encodeSums([]Sum{{Name: "bale.json"}, {Hash: [32]byte{1}, Name: "index.zst"}}))
	f.Add([]byte("d41d8cd98f00b204e9800998ecf8427e  md5\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		sums, err := ParseSums(b)
		if err == nil && !bytes.Equal(encodeSums(sums), b) {
			t.Fatal("accepted, but encodes otherwise")
		}
	})
}

func FuzzOpen(f *testing.F) {
	f.Add(makeBundle(f, fixed(), []content{{data: text(2000)}, {data: []byte("{}"), meta: true}}))
	f.Add(makeBundle(f, fixed(), nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := open(b)
		if err != nil {
			if r != nil {
				t.Fatal("error and a result")
			}
			return
		}
		// One after the other: the fuzzer does not cope with goroutines.
		for i := range r.Index().Blobs {
			_ = r.rebuild(context.Background(), &r.Index().Blobs[i], nil)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	tarball := tarOf(b, 1, 1000, append(noise(1, 16<<20), text(48<<20)...))
	for _, l := range []pack.Level{pack.Fast, pack.Default, pack.Best} {
		b.Run(l.String(), func(b *testing.B) {
			b.SetBytes(int64(len(tarball)))
			o := fixed()
			o.Level = l
			for b.Loop() {
				makeBundle(b, o, []content{{data: tarball}})
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	tarball := tarOf(b, 1, 1000, append(noise(1, 16<<20), text(48<<20)...))
	raw := makeBundle(b, fixed(), []content{{data: tarball}})
	b.SetBytes(int64(len(tarball)))
	for b.Loop() {
		if err := readAll(raw); err != nil {
			b.Fatal(err)
		}
	}
}
