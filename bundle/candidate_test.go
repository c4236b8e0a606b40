package bundle

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/bundle/deflate"
	"bale/bundle/fault"
)

// told is a Preparer's Known that knows one answer.
func told(c func() *Candidate) func(context.Context, digest.Digest, int64) (*Candidate, bool) {
	return func(context.Context, digest.Digest, int64) (*Candidate, bool) { return c(), true }
}

// unanalysed fails the test if anything is analysed.
func unanalysed(t testing.TB) analysis {
	return func(context.Context, io.Reader, int64, io.Writer) (*deflate.Recipe, error) {
		t.Error("analysed")
		return nil, deflate.ErrNotWorth
	}
}

// What another bundle says of a blob is taken once it is proven, and nothing is
// analysed: with few corrections, which stand beside the parameters, with many,
// and with a blob that is stored as it came.
func TestCandidatesOfABundle(t *testing.T) {
	few, many, stored := gz(t, 6, layer(t)), gzipWithCorrections(t), gz(t, 6, noise(1, 1<<20))
	old, err := open(makeBundle(t, fixed(), []content{
		{data: few, prepared: takenApart(t, few)}, {data: many, prepared: takenApart(t, many)}, {data: stored},
	}))
	if err != nil {
		t.Fatal(err)
	}
	p := &Preparer{analyze: unanalysed(t), Known: func(ctx context.Context, d digest.Digest, _ int64) (*Candidate, bool) {
		return old.Candidate(ctx, d)
	}}
	why := asked(t, p)
	for name, data := range map[string][]byte{"few": few, "many": many} {
		got, want := prepare(t, p, data), takenApart(t, data)
		if got == nil {
			t.Errorf("%s: not taken: %v", name, *why)
			continue
		}
		if !bytes.Equal(got.params, want.params) || got.rawSize != want.rawSize || !bytes.Equal(correctionsOf(t, got), correctionsOf(t, want)) {
			t.Errorf("%s: another recipe", name)
		}
	}
	opens := func(context.Context) (io.ReadCloser, error) { return nil, errSource }
	if r, err := p.Prepare(t.Context(), digest.FromBytes(stored), int64(len(stored)), opens); r != nil || err != nil {
		t.Errorf("stored: %v, %v", r, err)
	}
	if len(*why) != 1 || !errors.Is((*why)[0], ErrRemembered) {
		t.Errorf("kept: %v", *why)
	}
	if _, known := old.Candidate(t.Context(), digest.FromString("another")); known {
		t.Error("knows a blob that it does not have")
	}
}

// A candidate that does not give back the blob is not used; what is found
// instead is right.
func TestWrongCandidates(t *testing.T) {
	data, other := gzipWithCorrections(t), takenApart(t, gz(t, 9, layer(t)))
	good := takenApart(t, data)
	corrections := correctionsOf(t, good)
	flip := bytes.Clone(corrections)
	flip[len(flip)/2] ^= 1
	for name, c := range map[string]Candidate{
		"that of another blob":  {Params: other.params, RawSize: other.rawSize, Corrections: other.corrections.Reader()},
		"no parameters":         {Params: nil, RawSize: good.rawSize, Corrections: bytes.NewReader(corrections)},
		"parameters of nothing": {Params: []byte("nonsense"), RawSize: good.rawSize, Corrections: bytes.NewReader(corrections)},
		"corrections cut short": {Params: good.params, RawSize: good.rawSize, Corrections: bytes.NewReader(corrections[:len(corrections)-1])},
		"a corrected bit":       {Params: good.params, RawSize: good.rawSize, Corrections: bytes.NewReader(flip)},
		"endless corrections":   {Params: good.params, RawSize: good.rawSize, Corrections: endless{}},
		"too much raw":          {Params: good.params, RawSize: 1 << 60, Corrections: bytes.NewReader(corrections)},
	} {
		p := &Preparer{Known: told(func() *Candidate { return &c })}
		asked(t, p)
		r := prepare(t, p, data)
		if r == nil {
			t.Errorf("%s: kept as it came", name)
			continue
		}
		if err := r.prove(t.Context(), bytes.NewReader(data)); err != nil || !bytes.Equal(r.params, good.params) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A wrong number of raw bytes is noticed before the recipe is used.
func TestCandidateWithWrongRawSize(t *testing.T) {
	data := gz(t, 6, layer(t))
	good := takenApart(t, data)
	for _, by := range []int64{-1, 1} {
		p := &Preparer{Known: told(func() *Candidate {
			return &Candidate{Params: good.params, RawSize: good.rawSize + by, Corrections: good.corrections.Reader()}
		})}
		asked(t, p)
		r := prepare(t, p, data)
		if r == nil || r.rawSize != good.rawSize {
			t.Errorf("%+d bytes: %+v", by, r)
		}
	}
}

// Failing is not the same as being wrong.
func TestCandidateThatCannotBeRead(t *testing.T) {
	data := gz(t, 6, layer(t))
	good := takenApart(t, data)
	p := &Preparer{analyze: unanalysed(t), Known: told(func() *Candidate {
		return &Candidate{Params: good.params, RawSize: good.rawSize, Corrections: failing{}}
	})}
	if _, err := p.Prepare(t.Context(), digest.FromBytes(data), int64(len(data)), opener(data)); !errors.Is(err, errSource) {
		t.Errorf("%v, want %v", err, errSource)
	}
	// And damaged content is called that, with the right recipe as well.
	p.Known = told(func() *Candidate {
		return &Candidate{Params: good.params, RawSize: good.rawSize, Corrections: good.corrections.Reader()}
	})
	if r, err := p.Prepare(t.Context(), digest.FromBytes(data), int64(len(data)), opener(flipped(data, len(data)/2))); err == nil {
		t.Errorf("%+v of damaged content", r)
	}
}

// Raw bytes that are given stand for the blob, which is not opened: they prove
// the recipe, or do not, and must be the same when they are used.
func TestCandidatesWithRawBytes(t *testing.T) {
	raw := layer(t)
	data := gz(t, 6, raw)
	good := takenApart(t, data)
	opens := func(context.Context) (io.ReadCloser, error) { return nil, errSource }
	candidate := func(raw Opener) func(context.Context, digest.Digest, int64) (*Candidate, bool) {
		return told(func() *Candidate {
			return &Candidate{Params: good.params, RawSize: good.rawSize, Corrections: good.corrections.Reader(), Raw: raw}
		})
	}
	now := raw
	p := &Preparer{analyze: unanalysed(t), Known: candidate(func(ctx context.Context) (io.ReadCloser, error) { return opener(now)(ctx) })}
	r, err := p.Prepare(t.Context(), digest.FromBytes(data), int64(len(data)), opens)
	if err != nil || !r.HasRaw() {
		t.Fatalf("%+v, %v", r, err)
	}
	in := []content{{data: data, prepared: r}}
	b := makeBundle(t, fixed(), in)
	if err := readAll(b); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(b, makeBundle(t, fixed(), []content{{data: data, prepared: good}})) {
		t.Error("another bundle than of the blob itself")
	}
	now = flipped(raw, 1000)
	w, err := NewWriter(t.Context(), io.Discard, fixed())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	err = w.AddBlob(t.Context(), digest.FromBytes(data), int64(len(data)), failing{}, BlobOptions{Prepared: r})
	if !errors.Is(err, fault.ErrDamaged) {
		t.Errorf("%v, want an ErrDamaged", err)
	}

	// Wrong from the beginning: then it is the blob that counts.
	for name, raw := range map[string][]byte{
		"altered": flipped(raw, 1000), "too short": raw[:len(raw)-1], "too long": append(bytes.Clone(raw), 0), "none": nil,
	} {
		p := &Preparer{Known: candidate(opener(raw))}
		asked(t, p)
		if r := prepare(t, p, data); r == nil || r.HasRaw() || r.rawSize != good.rawSize {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errSource }
