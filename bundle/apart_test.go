package bundle

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/flate"
	kgzip "github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"

	"bale/bundle/deflate"
	"bale/bundle/fault"
	"bale/bundle/index"
)

func kgz(t testing.TB, level int, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := kgzip.NewWriterLevel(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	w.Name, w.Comment, w.Extra = "layer.tar", "made by a test", []byte{1, 2, 3}
	writeAll(t, w, data)
	return b.Bytes()
}

// gzips are layers of all kinds, all with the same raw bytes.
func gzips(t testing.TB) (raw []byte, all map[string][]byte) {
	t.Helper()
	raw = layer(t)
	all = map[string][]byte{
		"stored blocks": gz(t, 0, raw), "go 9": gz(t, 9, raw), "klauspost 9": kgz(t, 9, raw),
		"go 6": gz(t, 6, raw), "huffman only": kgz(t, flate.HuffmanOnly, raw),
		"two members": append(gz(t, 6, raw[:100_000]), gz(t, 9, raw[100_000:])...),
		"trailing":    append(gz(t, 6, raw), "\x00\x00trailing"...),
	}
	return raw, all
}

func TestGzipRoundTrip(t *testing.T) {
	ctx := context.Background()
	raw, all := gzips(t)
	recipes := make(map[string]*Prepared)
	var in []content
	for name, data := range all {
		analyze := deflate.Analyze
		if name == "huffman only" {
			analyze = generic // so that it is rebuilt, too
		}
		recipes[name] = takenApartBy(t, analyze, data)
		in = append(in, content{data: data, prepared: recipes[name]})
	}
	in = append(in, content{data: raw}, content{data: []byte("{}"), meta: true})
	b := makeBundle(t, fixed(), in)
	if err := readAll(b); err != nil {
		t.Fatal(err)
	}
	r, err := open(b)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range all {
		d := digest.FromBytes(data)
		rc, err := r.OpenBlob(ctx, d)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(rc); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if err := rc.Close(); err != nil {
			t.Error(err)
		}
		rc, n, err := r.OpenRaw(ctx, d)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(rc); err != nil || !bytes.Equal(got, raw) || n != int64(len(raw)) {
			t.Errorf("%s: %d raw bytes of %d, %v", name, len(got), n, err)
		}
		p := recipes[name]
		if got, ok := r.Recipe(d); !ok || !bytes.Equal(got.Params, p.params) || got.RawSize != p.rawSize || got.Corrections != p.Corrections() {
			t.Errorf("%s: recipe %+v", name, got)
		}
	}
	// One tar, however it was compressed, is stored once.
	var stored int64
	for _, f := range r.Index().Frames {
		stored += f.Raw
	}
	for _, c := range in {
		if c.prepared != nil {
			stored -= c.prepared.Corrections()
		}
	}
	if stored > int64(len(raw)) {
		t.Errorf("%d raw bytes for one tar of %d", stored, len(raw))
	}
	plain := digest.FromBytes(raw)
	if _, _, err := r.OpenRaw(ctx, plain); !errors.Is(err, ErrStored) {
		t.Errorf("raw bytes of what is stored: %v", err)
	}
	if _, ok := r.Recipe(plain); ok {
		t.Error("a stored blob has a recipe")
	}
	if _, _, err := r.OpenRaw(ctx, digest.FromString("no")); !errors.Is(err, fault.ErrMissing) {
		t.Error(err)
	}
}

func TestGzipBundleDoesNotDependOnWorkers(t *testing.T) {
	_, all := gzips(t)
	var in []content
	for _, name := range []string{"go 6", "two members", "trailing"} {
		in = append(in, content{data: all[name], prepared: takenApart(t, all[name])})
	}
	o := fixed()
	o.Workers = 1
	one := makeBundle(t, o, in)
	o.Workers = 4
	if !bytes.Equal(one, makeBundle(t, o, in)) {
		t.Error("4 workers give other bytes than 1")
	}
}

func TestAddBlobChecksTheRecipe(t *testing.T) {
	ctx := context.Background()
	data := gzipWithCorrections(t)
	d, size := digest.FromBytes(data), int64(len(data))
	other := gz(t, 6, words(9, 100_000))
	lying := *takenApart(t, data)
	lying.rawSize++
	for name, c := range map[string]struct {
		data []byte
		p    *Prepared
		kind error
	}{
		"altered":           {flipped(data, len(data)/2), takenApart(t, data), fault.ErrDamaged},
		"header altered":    {flipped(data, 0), takenApart(t, data), fault.ErrDamaged},
		"trailer altered":   {flipped(data, len(data)-1), takenApart(t, data), fault.ErrDamaged},
		"short":             {data[:len(data)-9], takenApart(t, data), fault.ErrDamaged},
		"long":              {append(bytes.Clone(data), 0), takenApart(t, data), fault.ErrDamaged},
		"empty":             {nil, takenApart(t, data), fault.ErrDamaged},
		"recipe of another": {data, takenApart(t, other), nil},
		"other raw size":    {data, &lying, nil},
	} {
		w, err := NewWriter(ctx, io.Discard, fixed())
		if err != nil {
			t.Fatal(err)
		}
		err = w.AddBlob(ctx, d, size, bytes.NewReader(c.data), BlobOptions{Prepared: c.p})
		if err == nil || c.kind != nil && !errors.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := w.Finish(ctx); err == nil {
			t.Errorf("%s: finished nevertheless", name)
		}
	}
}

// gzipBundle has one blob with inline corrections, if there are any, and one
// with corrections in chunks.
func gzipBundle(t testing.TB) (files []entryFile, inline, extra digest.Digest) {
	t.Helper()
	small := takenApart(t, gz(t, 0, words(4, 200_000)))
	data := gzipWithCorrections(t)
	large := takenApart(t, data)
	if small.Corrections() > maxInline || large.Corrections() <= maxInline {
		t.Fatalf("corrections of %d and %d bytes", small.Corrections(), large.Corrections())
	}
	b := makeBundle(t, fixed(), []content{
		{data: gz(t, 0, words(4, 200_000)), prepared: small},
		{data: data, prepared: large},
		{data: []byte("{}"), meta: true},
	})
	return entriesOf(t, b), small.digest, large.digest
}

// The signer of a bundle may be an enemy too: no recipe makes a reader fail in
// any other way than by saying so.
func TestHostileRecipesAreRefused(t *testing.T) {
	good, inline, extra := gzipBundle(t)
	blobOf := func(x *index.Index, d digest.Digest) *index.Blob {
		b, ok := x.Blob(d)
		if !ok {
			t.Fatalf("no blob %s", d)
		}
		return b
	}
	model := func(b *index.Blob) []byte { // a copy of the parameters, without what is around them
		n, k := binary.Uvarint(b.Params)
		return bytes.Clone(b.Params[k : k+int(n)])
	}
	for name, c := range map[string]struct {
		change func(x *index.Index)
		kind   error
	}{
		"control":       {func(*index.Index) {}, nil},
		"no parameters": {func(x *index.Index) { blobOf(x, extra).Params = nil }, fault.ErrDamaged},
		"no model":      {func(x *index.Index) { blobOf(x, extra).Params = encodeParams(nil, nil) }, fault.ErrDamaged},
		"model cut off": {func(x *index.Index) { b := blobOf(x, extra); b.Params = b.Params[:len(b.Params)-1] }, fault.ErrDamaged},
		"length in two bytes": {func(x *index.Index) {
			b := blobOf(x, extra)
			b.Params = append([]byte{b.Params[0] | 0x80, 0}, b.Params[1:]...)
		}, fault.ErrDamaged},
		"length that overflows": {func(x *index.Index) { blobOf(x, extra).Params = bytes.Repeat([]byte{0xff}, 11) }, fault.ErrDamaged},
		"newer model": {func(x *index.Index) {
			b := blobOf(x, extra)
			m := model(b)
			m[0] = 0xee
			b.Params = encodeParams(m, nil)
		}, fault.ErrUnsupported},
		"model too large": {func(x *index.Index) {
			b := blobOf(x, extra)
			b.Params = encodeParams(append(model(b), make([]byte, maxModel)...), nil)
		}, fault.ErrDamaged},
		"corrections in both places": {func(x *index.Index) {
			b := blobOf(x, extra)
			b.Params = append(b.Params, 1, 2, 3)
		}, fault.ErrDamaged},
		"too many corrections inline": {func(x *index.Index) {
			b := blobOf(x, inline)
			b.Params = append(b.Params, make([]byte, maxInline+1)...)
		}, fault.ErrDamaged},
		"more corrections than gzip": {func(x *index.Index) {
			b := blobOf(x, extra)
			for range b.Size/x.Chunks.Length(b.Extra[0].First) + 1 {
				b.Extra = append(b.Extra, b.Extra[0])
			}
		}, fault.ErrDamaged},
		"no corrections": {func(x *index.Index) { blobOf(x, extra).Extra = nil }, fault.ErrDamaged},
		"corrections left over": {func(x *index.Index) {
			b := blobOf(x, inline)
			b.Params = append(b.Params, "left over"...)
		}, fault.ErrDamaged},
		"corrections twice": {func(x *index.Index) {
			b := blobOf(x, extra)
			b.Extra = append(b.Extra, b.Extra[0])
		}, fault.ErrDamaged},
		"corrections that are something else": {func(x *index.Index) {
			b := blobOf(x, extra)
			b.Extra = b.Lanes[len(b.Lanes)-1][:1]
		}, fault.ErrDamaged},
		"corrections past the chunks": {func(x *index.Index) {
			blobOf(x, extra).Extra = []index.Run{{First: uint32(x.Chunks.Len()), Count: 1}}
		}, fault.ErrDamaged},
		"recipe of another": {func(x *index.Index) {
			a, b := blobOf(x, inline), blobOf(x, extra)
			a.Params, b.Params, a.Extra, b.Extra = b.Params, a.Params, b.Extra, a.Extra
		}, fault.ErrDamaged},
		"raw bytes of another": {func(x *index.Index) {
			a, b := blobOf(x, inline), blobOf(x, extra)
			a.Lanes, b.Lanes, a.Weave, b.Weave, a.RawSize, b.RawSize = b.Lanes, a.Lanes, b.Weave, a.Weave, b.RawSize, a.RawSize
		}, fault.ErrDamaged},
		"raw bytes left over": {func(x *index.Index) {
			b := blobOf(x, inline)
			last := &b.Lanes[0][len(b.Lanes[0])-1]
			b.RawSize += x.Chunks.Length(last.First)
			b.Lanes[0] = append(b.Lanes[0], index.Run{First: last.First, Count: 1})
		}, fault.ErrDamaged},
		"raw bytes run out": {func(x *index.Index) {
			b := blobOf(x, inline)
			last := &b.Lanes[0][len(b.Lanes[0])-1]
			last.Count--
			b.RawSize -= x.Chunks.Length(last.First + last.Count)
		}, fault.ErrDamaged},
		"raw bytes without end": {func(x *index.Index) {
			b := blobOf(x, inline)
			for b.RawSize <= maxRaw(b.Size) {
				b.RawSize += x.Chunks.Length(b.Lanes[0][0].First)
				b.Lanes[0] = append(b.Lanes[0], index.Run{First: b.Lanes[0][0].First, Count: 1})
			}
		}, fault.ErrDamaged},
		"blob shorter than its recipe": {func(x *index.Index) { blobOf(x, extra).Size-- }, fault.ErrDamaged},
		"blob longer than its recipe":  {func(x *index.Index) { blobOf(x, extra).Size++ }, fault.ErrDamaged},
		"stored as a recipe": {func(x *index.Index) {
			b := blobOf(x, digest.FromString("{}"))
			b.Recipe, b.Params = index.Deflate, blobOf(x, inline).Params
			x.SetRawHash(b.Digest, index.Hash{})
		}, fault.ErrDamaged},
		"recipe as stored": {func(x *index.Index) {
			b := blobOf(x, inline)
			b.Recipe, b.Params, b.Size = index.Stored, nil, b.RawSize
		}, fault.ErrDamaged},
	} {
		files := append([]entryFile(nil), good...)
		for i, f := range files {
			if f.name != "index.zst" {
				continue
			}
			x, err := index.Read(context.Background(), bytes.NewReader(f.data), int64(len(f.data)))
			if err != nil {
				t.Fatal(err)
			}
			c.change(x)
			var b bytes.Buffer
			if err := x.Write(&b); err != nil {
				t.Fatal(err)
			}
			files[i].data = b.Bytes()
		}
		err := readAll(assemble(t, files, true))
		if !errors.Is(err, c.kind) || (c.kind == nil) != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
		if c.kind == fault.ErrUnsupported && !strings.Contains(fault.Hint(err), "newer bale") {
			t.Errorf("%s: hint %q", name, fault.Hint(err))
		}
	}
}

// What is closed before its end leaves nothing running, and an ended context
// ends reading.
func TestRebuildingEndsEarly(t *testing.T) {
	good, _, extra := gzipBundle(t)
	r, err := open(assemble(t, good, false))
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	for _, n := range []int64{0, 1, 100, 50_000} {
		rc, err := r.OpenBlob(context.Background(), extra)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, rc, n); err != nil {
			t.Fatal(err)
		}
		if err := rc.Close(); err != nil {
			t.Error(err)
		}
		if _, err := io.Copy(io.Discard, rc); err == nil {
			t.Error("read to the end after Close")
		}
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, before it were %d", n, before)
	}
	ctx, cancel := context.WithCancel(context.Background())
	rc, err := r.OpenBlob(ctx, extra)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, rc, 10); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, rc); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := rc.Close(); err != nil {
		t.Error(err)
	}
}

// Many may be rebuilt at a time, and share what they need.
func TestManyAreRebuiltAtOnce(t *testing.T) {
	good, inline, extra := gzipBundle(t)
	r, err := open(assemble(t, good, false))
	if err != nil {
		t.Fatal(err)
	}
	errs := make(chan error)
	const n = 8
	for range n {
		for _, d := range []digest.Digest{inline, extra} {
			go func() {
				rc, err := r.OpenBlob(context.Background(), d)
				if err == nil {
					_, err = io.Copy(io.Discard, rc)
				}
				errs <- err
			}()
		}
	}
	for range 2 * n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// Whatever the index says of a recipe has one form, or is refused.
func FuzzRecipe(f *testing.F) {
	files, inline, extra := gzipBundle(f)
	for _, file := range files {
		if file.name == "index.zst" {
			x, err := index.Read(context.Background(), bytes.NewReader(file.data), int64(len(file.data)))
			if err != nil {
				f.Fatal(err)
			}
			for _, d := range []digest.Digest{inline, extra} {
				b, _ := x.Blob(d)
				f.Add(b.Params, b.Size, b.RawSize, uint16(len(b.Extra)))
			}
		}
	}
	x := &index.Index{}
	x.Chunks.Add(index.Hash{}, 1000)
	f.Fuzz(func(t *testing.T, params []byte, size, raw int64, extra uint16) {
		if size < 0 || raw < 0 {
			return // package index lets no such thing through
		}
		b := &index.Blob{Size: size, Recipe: index.Deflate, Params: params, RawSize: raw}
		for range extra {
			b.Extra = append(b.Extra, index.Run{First: 0, Count: 1})
		}
		r, err := parseRecipe(x, b)
		if err != nil {
			if !errors.Is(err, fault.ErrDamaged) && !errors.Is(err, fault.ErrUnsupported) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(encodeParams(r.Params, r.inline), params) || r.Corrections != int64(len(r.inline))+1000*int64(extra) {
			t.Fatalf("accepted, but means something else: %+v", r)
		}
	})
}
