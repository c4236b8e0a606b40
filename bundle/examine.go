package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"bale/bundle/blob"
	"bale/bundle/deflate"
	"bale/bundle/spill"
)

// errNoGzip says that a blob does not even begin like gzip.
var errNoGzip = fmt.Errorf("%w: it does not begin like one", deflate.ErrNotGzip)

// isReason tells why a blob is better kept from what is a failure.
func isReason(err error) bool {
	for _, why := range []error{deflate.ErrNotGzip, deflate.ErrIrregular, deflate.ErrNotWorth, ErrNoGain, ErrUnproven} {
		if errors.Is(err, why) {
			return true
		}
	}
	return false
}

// examination is one blob being looked at.
type examination struct {
	p      *Preparer
	digest digest.Digest
	size   int64
	open   Opener
}

// run finds a recipe: c if that is one, which may be nil, or by analysis.
func (e *examination) run(ctx context.Context, c *Candidate) (*Prepared, error) {
	if c != nil {
		if r, err := c.try(ctx, e); err != nil || r != nil {
			return r, err
		}
	}
	return e.analyse(ctx)
}

func (e *examination) analyse(ctx context.Context) (_ *Prepared, err error) {
	var alone trialResult
	err = e.read(ctx, func(gz io.Reader) (err error) {
		alone, err = e.try(ctx, gz)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !alone.worth(e.size, 0) {
		return nil, fmt.Errorf("%w: %d bytes of gzip would be %d", ErrNoGain, e.size, alone.stored)
	}
	r := &Prepared{digest: e.digest, size: e.size, corrections: &spill.Buffer{Dir: e.p.Scratch, Limit: e.p.memory}}
	defer func() {
		if err != nil {
			_ = r.Close() // the first error says more
		}
	}()
	err = e.read(ctx, func(gz io.Reader) error {
		analyze := e.p.analyze
		if analyze == nil {
			analyze = deflate.Analyze
		}
		found, err := analyze(ctx, gz, e.size, r.corrections)
		if err != nil {
			return err
		}
		r.params, r.rawSize = found.Params, found.RawSize
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !alone.worth(e.size, r.corrections.Len()) {
		return nil, fmt.Errorf("%w: %d bytes of gzip would be %d and %d of corrections", ErrNoGain, e.size, alone.stored, r.corrections.Len())
	}
	if r.rawSize != alone.raw {
		return nil, fmt.Errorf("%w: it is for %d raw bytes, not %d", ErrUnproven, r.rawSize, alone.raw)
	}
	if err := checkRecipe(r.params, r.rawSize, r.size, r.corrections.Len()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnproven, err)
	}
	return r, e.read(ctx, func(gz io.Reader) error { return r.prove(ctx, gz) })
}

// gzipMagic is what a gzip stream begins with (RFC 1952, deflate).
const gzipMagic = "\x1f\x8b\x08"

// try finds out what the raw bytes of a gzip stream take.
func (e *examination) try(ctx context.Context, gz io.Reader) (trialResult, error) {
	head := make([]byte, len(gzipMagic))
	if _, err := io.ReadFull(gz, head); err != nil {
		return trialResult{}, err
	}
	if string(head) != gzipMagic {
		return trialResult{}, errNoGzip
	}
	t, _ := e.p.tries.Get().(*trial)
	if t == nil {
		var err error
		if t, err = newTrial(); err != nil {
			return trialResult{}, err
		}
	}
	defer e.p.tries.Put(t)
	raw := deflate.NewInflater(io.MultiReader(bytes.NewReader(head), gz))
	return t.run(ctx, &bounded{r: raw, left: maxRaw(e.size)})
}

// prove rebuilds the blob from what it decompresses to.
func (p *Prepared) prove(ctx context.Context, gz io.Reader) error {
	return p.proveFrom(ctx, deflate.NewInflater(gz))
}

// proveFrom rebuilds the blob from its raw bytes and compares it with its digest,
// and the raw bytes with how many there should be.
func (p *Prepared) proveFrom(ctx context.Context, from io.Reader) error {
	raw := &counted{r: &bounded{r: from, left: maxRaw(p.size)}}
	z, err := deflate.NewReader(p.params, p.size, raw, p.corrections.Reader())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnproven, err)
	}
	defer func() { _ = z.Close() }() // nothing is written
	again, err := blob.NewReader(z, p.digest, p.size)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, again); err != nil {
		if err := ctx.Err(); err != nil {
			return err
		}
		return fmt.Errorf("%w: %w", ErrUnproven, err)
	}
	if _, err := io.Copy(io.Discard, raw); err != nil {
		return err
	}
	if raw.n != p.rawSize {
		return fmt.Errorf("%w: it is for %d raw bytes, not %d", ErrUnproven, p.rawSize, raw.n)
	}
	return nil
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// read opens the blob for f. When f is through, or finds a reason to keep the
// blob, the rest is read too: damaged content is nobody's reason for anything.
func (e *examination) read(ctx context.Context, f func(gz io.Reader) error) error {
	rc, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = rc.Close() }() // it was only read
	v, err := blob.NewReader(io.NopCloser(&source{ctx: ctx, r: rc}), e.digest, e.size)
	if err != nil {
		return err
	}
	err = f(v)
	if err == nil || isReason(err) {
		if _, verr := io.Copy(io.Discard, v); verr != nil {
			return verr
		}
	}
	return err
}

// source looks at ctx whenever something is read.
type source struct {
	ctx context.Context
	r   io.Reader
}

func (s *source) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}

// bounded ends a stream that decompresses to more than it may.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("%w: it decompresses to more than %d times its size", deflate.ErrIrregular, maxRatio)
	}
	return n, err
}
