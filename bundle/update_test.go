package bundle

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
	"bale/bundle/index"
	"bale/bundle/pack"
)

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
	// The noise is more than a pack and what may be on its way to the next one, so
	// that the file before it has to be read back.
	items := layers(small(2).tar(t, 2), noise(8, 128<<20), small(3).tar(t, 3))
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
