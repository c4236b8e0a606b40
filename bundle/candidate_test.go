package bundle

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/bundle/deflate"
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
		"that of another blob":  {other.params, other.rawSize, other.corrections.Reader()},
		"no parameters":         {nil, good.rawSize, bytes.NewReader(corrections)},
		"parameters of nothing": {[]byte("nonsense"), good.rawSize, bytes.NewReader(corrections)},
		"corrections cut short": {good.params, good.rawSize, bytes.NewReader(corrections[:len(corrections)-1])},
		"a corrected bit":       {good.params, good.rawSize, bytes.NewReader(flip)},
		"endless corrections":   {good.params, good.rawSize, endless{}},
		"too much raw":          {good.params, 1 << 60, bytes.NewReader(corrections)},
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
			return &Candidate{good.params, good.rawSize + by, good.corrections.Reader()}
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
		return &Candidate{good.params, good.rawSize, failing{}}
	})}
	if _, err := p.Prepare(t.Context(), digest.FromBytes(data), int64(len(data)), opener(data)); !errors.Is(err, errSource) {
		t.Errorf("%v, want %v", err, errSource)
	}
	// And damaged content is called that, with the right recipe as well.
	p.Known = told(func() *Candidate { return &Candidate{good.params, good.rawSize, good.corrections.Reader()} })
	if r, err := p.Prepare(t.Context(), digest.FromBytes(data), int64(len(data)), opener(flipped(data, len(data)/2))); err == nil {
		t.Errorf("%+v of damaged content", r)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errSource }
