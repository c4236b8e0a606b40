package bundle

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/bundle/container"
	"bale/bundle/fault"
	"bale/bundle/index"
	"bale/bundle/pack"
)

// A receipt is the bundle without content: it says the same, under the same sums.
func TestReceipt(t *testing.T) {
	one := save(t, as(1), layers(small(1).tar(t, 1), noise(1, 34<<20))...)
	var b bytes.Buffer
	if err := one.WriteReceipt(t.Context(), &b, one.metas()); err != nil {
		t.Fatal(err)
	}
	r := openIndex(t, b.Bytes())
	if !r.Detached() || one.Detached() {
		t.Error("wrong about content")
	}
	if _, err := open(b.Bytes()); !errors.Is(err, fault.ErrMissing) || !strings.Contains(err.Error(), "receipt") || fault.Hint(err) == "" {
		t.Errorf("opened to be loaded: %v", err)
	}
	if !bytes.Equal(r.envelope.Sums(), one.envelope.Sums()) || r.Header().ID != one.Header().ID {
		t.Error("sums or header differ")
	}
	if err := r.Check(t.Context(), nil); err != nil {
		t.Error(err)
	}
	for i, x := range one.items {
		d := digest.FromBytes(x.data)
		got, err := readBlob(r, d)
		if x.Meta && (err != nil || !bytes.Equal(got, x.data) || !r.Carries(d)) {
			t.Errorf("blob %d: %v", i, err)
		}
		if !x.Meta && (!errors.Is(err, fault.ErrMissing) || r.Carries(d)) {
			t.Errorf("blob %d, which is not there: %v; said to be there: %t", i, err, r.Carries(d))
		}
	}
	for c := range uint32(r.index.Chunks.Len()) {
		h := r.index.Chunks.Hash(c)
		b, err := r.Chunk(t.Context(), h, r.index.Chunks.Length(c))
		if r.Has(h) != (err == nil) || err != nil && !errors.Is(err, fault.ErrMissing) || err == nil && index.Hash(sha(b)) != h {
			t.Fatalf("chunk %d: %v", c, err)
		}
	}
	if left, err := r.Rebuild(t.Context(), nil); left != 2 || err != nil {
		t.Errorf("rebuilt all but %d: %v", left, err)
	}
	// A receipt of a receipt is the same.
	var again bytes.Buffer
	if err := r.WriteReceipt(t.Context(), &again, one.metas()); err != nil || !bytes.Equal(again.Bytes(), b.Bytes()) {
		t.Errorf("a receipt's receipt has %d bytes, not %d: %v", again.Len(), b.Len(), err)
	}
	if err := one.WriteReceipt(t.Context(), &again, []digest.Digest{digest.FromString("no")}); !errors.Is(err, fault.ErrMissing) {
		t.Errorf("keeps what is not there: %v", err)
	}
}

// Only the first packs may be left out, and never what names images.
func TestReceiptWithOtherPacksIsRefused(t *testing.T) {
	m := &medium{}
	items := layers(noise(1, 70<<20))
	if err := write(t.Context(), m, as(1), items); err != nil {
		t.Fatal(err)
	}
	good := entriesOf(t, m.b)
	var packs []int
	for i, e := range good {
		if _, ok := container.PackDigest(e.name); ok {
			packs = append(packs, i)
		}
	}
	if len(packs) < 4 {
		t.Fatalf("%d packs", len(packs))
	}
	last := len(packs) - 1
	for name, c := range map[string]struct {
		without []int
		kind    error // nil: it is a receipt
	}{
		"none":              {nil, nil},
		"the first":         {[]int{0}, nil},
		"the first two":     {[]int{0, 1}, nil},
		"all of content":    {[]int{0, 1, 2}, nil},
		"the second":        {[]int{1}, fault.ErrDamaged},
		"first and third":   {[]int{0, 2}, fault.ErrDamaged},
		"manifests":         {[]int{last}, fault.ErrDamaged},
		"all":               {[]int{0, 1, 2, last}, fault.ErrDamaged},
		"all but the first": {[]int{1, 2, last}, fault.ErrDamaged},
	} {
		var files []entryFile
		for i, e := range good {
			skip := false
			for _, p := range c.without {
				skip = skip || i == packs[p]
			}
			if !skip {
				files = append(files, e)
			}
		}
		b := assemble(t, files, false)
		r, err := tryIndex(b)
		if (c.kind == nil) != (err == nil) || !errors.Is(err, c.kind) {
			t.Errorf("without %s: %v", name, err)
		}
		if err == nil && r.Detached() != (len(c.without) > 0) {
			t.Errorf("without %s: detached %t", name, r.Detached())
		}
		if _, err := open(b); c.kind == nil && len(c.without) > 0 && !errors.Is(err, fault.ErrMissing) {
			t.Errorf("without %s, opened to be loaded: %v", name, err)
		}
	}
}

// Every byte of a receipt is covered by some check.
func TestEveryFlippedByteOfAReceiptIsRefused(t *testing.T) {
	one := save(t, as(1), layers(text(5000))...)
	up := save(t, as(2, one.Reader), layers(append(text(5000), 'x'))...)
	var b bytes.Buffer
	if err := up.WriteReceipt(t.Context(), &b, up.metas()); err != nil {
		t.Fatal(err)
	}
	readReceipt := func(b []byte) error {
		r, err := tryIndex(b)
		if err == nil {
			err = r.Check(t.Context(), nil)
		}
		return err
	}
	if err := readReceipt(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	for i := range b.Len() {
		c := bytes.Clone(b.Bytes())
		c[i] ^= 4
		if err := readReceipt(c); !errors.Is(err, fault.ErrDamaged) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
}

// Whatever is opened can be asked everything without a panic.
func FuzzOpenIndex(f *testing.F) {
	one := save(f, as(1), layers(text(3000))...)
	up := save(f, as(2, one.Reader), layers(append(text(3000), 'x'))...)
	list := as(3)
	list.Inventory = true
	inv := save(f, list, item{data: zip(f, text(3000), 6), BlobOptions: BlobOptions{Unpack: true}}, meta("{}"))
	var receipt bytes.Buffer
	if err := up.WriteReceipt(context.Background(), &receipt, up.metas()); err != nil {
		f.Fatal(err)
	}
	for _, b := range [][]byte{one.file, up.file, inv.file, receipt.Bytes()} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := tryIndex(b)
		if err != nil {
			if r != nil {
				t.Fatal("error and a result")
			}
			return
		}
		askAll(r, one.Reader)
	})
}

// askAll asks a reader all that whoever builds on it asks.
func askAll(r *Reader, base *Reader) {
	ctx := context.Background()
	r.BuildOn(base)
	_ = r.Check(ctx, nil)
	for i := range r.index.Blobs {
		d := r.index.Blobs[i].Digest
		_, _ = r.Needs([]digest.Digest{d}, true)
		_ = r.Carries(d)
		_ = Adoptable([]*Reader{r}, d, r.index.Blobs[i].Size)
		_ = r.WriteReceipt(ctx, io.Discard, []digest.Digest{d})
		_, _ = readBlob(r, d)
	}
	for c := range uint32(r.index.Chunks.Len()) {
		h := r.index.Chunks.Hash(c)
		if f, ok := r.FrameOf(h); ok {
			_ = r.BuildsOn(f)
		}
		_, _ = r.Chunk(ctx, h, r.index.Chunks.Length(c))
	}
	// And as a base, whose files are looked into.
	if w, err := NewWriter(ctx, io.Discard, as(9, r)); err == nil {
		w.Abort()
	}
}

// FuzzHostileIndex makes indexes that are consistent in themselves and claim
// anything: whoever signs a bundle can.
func FuzzHostileIndex(f *testing.F) {
	one := save(f, as(1), layers(text(100_000), small(1).tar(f, 1))...)
	up := save(f, as(2, one.Reader), layers(append(text(100_000), 'x'), small(2).tar(f, 2))...)
	good := entriesOf(f, up.file)
	for seed := range uint64(40) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 1))
		files := slices.Clone(good)
		at := slices.IndexFunc(files, func(e entryFile) bool { return e.name == container.IndexName })
		x, err := index.Read(t.Context(), bytes.NewReader(files[at].data), int64(len(files[at].data)))
		if err != nil {
			t.Fatal(err)
		}
		for range 1 + rng.IntN(3) {
			claim(rng, x)
		}
		var b bytes.Buffer
		if err := x.Write(&b); err != nil {
			return // not even the writer can say that
		}
		files[at].data = b.Bytes()
		bundle := assemble(t, files, true)
		if rng.IntN(3) == 0 {
			// With the sums of all, but the first packs are not there.
			files = entriesOf(t, bundle)
			bundle = assemble(t, slices.Delete(files, 1, 2+rng.IntN(2)), false)
		}
		if r, err := tryIndex(bundle); err == nil {
			askAll(r, one.Reader)
		}
	})
}

// claim makes an index say something else.
func claim(rng *rand.Rand, x *index.Index) {
	runs := func() (out []index.Run) {
		for range rng.IntN(4) {
			first := rng.Uint32N(uint32(x.Chunks.Len()))
			out = appendRun(out, first, 1+rng.Uint32N(min(uint32(x.Chunks.Len())-first, 50)))
		}
		return out
	}
	frame, blob := &x.Frames[rng.IntN(len(x.Frames))], &x.Blobs[rng.IntN(len(x.Blobs))]
	switch rng.IntN(6) {
	case 0:
		frame.Kind, frame.Dictionary = pack.Kind(1+rng.IntN(2)), runs()
	case 1:
		frame.Kind, frame.Patch = pack.Patch, rng.Int64N(2*frame.Raw)
	case 2:
		blob.Lanes, blob.Weave, blob.RawSize = [][]index.Run{runs()}, index.Weave{}, 0
		for w := (walk{runs: blob.Lanes[0]}); ; {
			c, ok := w.next()
			if !ok {
				break
			}
			blob.RawSize += x.Chunks.Length(c)
		}
		blob.Size = blob.RawSize
	case 3:
		blob.Recipe = index.Listed
		x.SetRawHash(blob.Digest, index.Hash{1})
	case 4:
		base := &x.Bases[0]
		for i := range base.Blobs {
			base.Blobs[i].Chunks = rng.IntN(base.Chunks + 1)
		}
	case 5:
		x.Images[0].Digest, x.Images[0].Size = blob.Digest, blob.Size
	}
}
