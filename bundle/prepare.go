package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/opencontainers/go-digest"

	"bale/bundle/blob"
	"bale/bundle/deflate"
	"bale/bundle/index"
	"bale/bundle/recipe"
	"bale/bundle/spill"
)

// Opener gives the content of one blob, from its beginning.
type Opener = func(context.Context) (io.ReadCloser, error)

// minApart is the least size of a blob that is taken apart, in bytes: on a
// smaller one the recipe and the index take what could be saved.
const minApart = 4 << 10

// Preparer finds out how blobs are best stored: gzip is taken apart if that is
// proven to give back the same bytes, and worth it. What it decides depends on
// the blob only, unless it is told what is Known. It is safe for concurrent use;
// its fields must not be changed any more then.
type Preparer struct {
	Recipes *recipe.Store // may be nil
	Scratch string        // folder for scratch files; "" is the system's
	Workers int           // blobs looked at side by side; 0: as many as there are cores
	// Kept, if not nil, is told why a blob is kept as it came. A reason that is
	// an [ErrUnproven] is a bug of bale's.
	Kept func(d digest.Digest, size int64, why error)
	// Known, if not nil, is asked for a recipe before a blob is analysed: one
	// that rebuilds the blob is taken without looking for a better one, and one
	// that does not is not used. With nil and true the blob is kept as it came.
	Known func(ctx context.Context, d digest.Digest, size int64) (c *Candidate, known bool)

	start sync.Once
	turns chan struct{}
	tries sync.Pool // of *trial

	// What tests change.
	analyze func(ctx context.Context, gz io.Reader, size int64, corrections io.Writer) (*deflate.Recipe, error)
	memory  int // for corrections, before they go to the scratch folder
}

// Reasons for which a blob is kept as it came, besides those of package deflate.
var (
	// ErrUnproven says that a recipe did not give back the blob.
	ErrUnproven = errors.New("recipe does not rebuild the blob")
	// ErrNoGain says that taken apart the blob would hardly be smaller.
	ErrNoGain = errors.New("taking it apart saves too little")
	// ErrSmall says that the blob is too small to be looked at.
	ErrSmall = errors.New("too small to be taken apart")
	// ErrRemembered says that it was found before that the blob is better kept.
	ErrRemembered = errors.New("found before to be better kept as it came")
)

// Prepared is a proven recipe for one blob.
type Prepared struct {
	digest      digest.Digest
	size        int64
	params      []byte
	rawSize     int64
	corrections *spill.Buffer
	raw         Opener     // if the raw bytes can be had without the blob
	rawHash     index.Hash // theirs, then
}

// HasRaw reports whether the raw bytes can be had without the blob, which need
// not be opened then.
func (p *Prepared) HasRaw() bool { return p != nil && p.raw != nil }

// RawSize returns what the blob decompresses to, in bytes.
func (p *Prepared) RawSize() int64 { return p.rawSize }

// Corrections returns how many bytes the recipe takes besides its parameters.
func (p *Prepared) Corrections() int64 { return p.corrections.Len() }

// Params returns the parameters, for [deflate.Describe].
func (p *Prepared) Params() []byte { return p.params }

// Close frees what the recipe holds. A nil Prepared can be closed.
func (p *Prepared) Close() error {
	if p == nil {
		return nil
	}
	return p.corrections.Close()
}

// Prepare reads the blob and returns a proven recipe, or nil if the blob is to
// be stored as it came. The content is opened up to three times, or not at all.
// The caller closes what it gets. An error is one of the content, of the
// scratch folder, or ctx's.
func (p *Preparer) Prepare(ctx context.Context, d digest.Digest, size int64, open Opener) (*Prepared, error) {
	if err := blob.Check(d, size); err != nil {
		return nil, err
	}
	if size < minApart {
		p.kept(d, size, ErrSmall)
		return nil, nil
	}
	if r, known := p.remembered(ctx, d, size); known {
		return r, nil
	}
	var c *Candidate
	if p.Known != nil {
		var known bool
		if c, known = p.Known(ctx, d, size); known && c == nil {
			p.kept(d, size, ErrRemembered)
			return nil, nil
		}
	}
	done, err := p.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	e := &examination{p: p, digest: d, size: size, open: open}
	r, err := e.run(ctx, c)
	switch {
	case err == nil:
		// A store that fails only makes the next save slower.
		_ = p.Recipes.Put(ctx, d, size, &recipe.Entry{Params: r.params, RawSize: r.rawSize, Corrections: r.corrections})
		return r, nil
	case isReason(err):
		if !errors.Is(err, errNoGzip) { // this costs nothing to find out
			_ = p.Recipes.Put(ctx, d, size, nil)
		}
		p.kept(d, size, err)
		return nil, nil
	}
	return nil, fmt.Errorf("look into %s: %w", d, err)
}

func (p *Preparer) kept(d digest.Digest, size int64, why error) {
	if p.Kept != nil {
		p.Kept(d, size, why)
	}
}

// remembered asks the store.
func (p *Preparer) remembered(ctx context.Context, d digest.Digest, size int64) (*Prepared, bool) {
	e, known := p.Recipes.Get(ctx, d, size, p.Scratch)
	if !known {
		return nil, false
	}
	if e == nil {
		p.kept(d, size, ErrRemembered)
		return nil, true
	}
	if checkRecipe(e.Params, e.RawSize, size, e.Corrections.Len()) != nil {
		_ = e.Corrections.Close() // it was only read
		return nil, false
	}
	return &Prepared{digest: d, size: size, params: e.Params, rawSize: e.RawSize, corrections: e.Corrections}, true
}

// turn waits until a blob may be looked at: each takes some tens of MB.
func (p *Preparer) turn(ctx context.Context) (done func(), err error) {
	p.start.Do(func() {
		n := p.Workers
		if n <= 0 {
			n = runtime.GOMAXPROCS(0)
		}
		p.turns = make(chan struct{}, min(n, maxWorkers))
	})
	select {
	case p.turns <- struct{}{}:
		return func() { <-p.turns }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
