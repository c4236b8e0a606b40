package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"bale/bundle/index"
	"bale/bundle/spill"
)

// Candidate is a recipe for a blob that somebody claims to be right.
type Candidate struct {
	Params      []byte    // for package deflate
	RawSize     int64     // what the blob decompresses to, in bytes
	Corrections io.Reader // is read once, to its end
	// Raw, if not nil, opens what the blob decompresses to, which saves opening
	// and decompressing the blob. It works until the recipe is closed.
	Raw Opener
}

// Candidate returns how the bundle rebuilds a blob, nil if it is stored as it
// came, and false if the bundle does not tell. It is meant for [Preparer.Known].
func (r *Reader) Candidate(ctx context.Context, d digest.Digest) (*Candidate, bool) {
	b, ok := r.index.Blob(d)
	switch {
	case !ok || b.Recipe == index.Listed:
		return nil, false
	case b.Recipe == index.Stored:
		return nil, true
	}
	recipe, err := parseRecipe(r.index, b)
	if err != nil {
		return nil, false // Open has checked it
	}
	c := &Candidate{
		Params: recipe.Params, RawSize: recipe.RawSize, Corrections: bytes.NewReader(recipe.inline),
		Raw: func(ctx context.Context) (io.ReadCloser, error) {
			rc, _, err := r.OpenRaw(ctx, d)
			return rc, err
		},
	}
	if len(b.Extra) > 0 {
		c.Corrections = &laneReader{ctx: ctx, r: r, runs: b.Extra}
	}
	return c, true
}

// try proves a candidate. One that does not rebuild the blob is nothing, and no
// error.
func (c *Candidate) try(ctx context.Context, e *examination) (_ *Prepared, err error) {
	r := &Prepared{
		digest: e.digest, size: e.size, params: c.Params, rawSize: c.RawSize,
		corrections: &spill.Buffer{Dir: e.p.Scratch, Limit: e.p.memory},
	}
	defer func() {
		if err != nil {
			_ = r.Close() // the first error says more
		}
		if errors.Is(err, ErrUnproven) {
			err = nil
		}
	}()
	// No recipe has more corrections than the blob has bytes.
	if _, err := io.Copy(r.corrections, io.LimitReader(c.Corrections, e.size+1)); err != nil {
		return nil, fmt.Errorf("read corrections: %w", err)
	}
	if err := checkRecipe(r.params, r.rawSize, r.size, r.corrections.Len()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnproven, err)
	}
	if c.Raw == nil {
		if err := e.read(ctx, func(gz io.Reader) error { return r.prove(ctx, gz) }); err != nil {
			return nil, err
		}
		return r, nil
	}
	rc, err := c.Raw(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rc.Close() }() // it was only read
	sum := sha256.New()
	if err := r.proveFrom(ctx, io.TeeReader(&source{ctx: ctx, r: rc}, sum)); err != nil {
		return nil, err
	}
	r.raw, r.rawHash = c.Raw, index.Hash(sum.Sum(nil))
	return r, nil
}
