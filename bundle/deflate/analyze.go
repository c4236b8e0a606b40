package deflate

import (
	"context"
	"io"
)

const (
	// maxRatio bounds raw bytes for each byte of a stream, from minBomb raw
	// bytes on. What compresses better is nearly nothing but zeros: it gains
	// nothing from being taken apart, and costs a lot.
	maxRatio = 200
	minBomb  = 16 << 20

	// giveUp is the share of a stream, in per cent, that corrections may have
	// at most; it is looked at from giveUpFrom bytes on.
	giveUp     = 15
	giveUpFrom = 1 << 20
)

// A Recipe tells how a gzip stream is rebuilt from raw bytes and corrections.
type Recipe struct {
	Params      []byte // for [NewReader] and [Describe]
	RawSize     int64  // what the stream decompresses to
	Corrections int64  // bytes of corrections
	Stats       Stats
}

// Analyze takes the gzip stream gz of size bytes apart and writes the
// corrections. It returns an error that wraps [ErrNotGzip], [ErrIrregular] or
// [ErrNotWorth] if the stream is better kept as it is; any other error is one
// of gz, of corrections, or ctx's. The recipe is good if [NewReader] rebuilds
// the stream with it, which the caller proves.
func Analyze(ctx context.Context, gz io.Reader, size int64, corrections io.Writer) (*Recipe, error) {
	ch, gz, err := choose(ctx, gz)
	if err != nil {
		return nil, err
	}
	return AnalyzeAs(ctx, gz, size, corrections, ch)
}

// AnalyzeAs is [Analyze] with a given model.
func AnalyzeAs(ctx context.Context, gz io.Reader, size int64, corrections io.Writer, ch Choice) (*Recipe, error) {
	m, in, err := newAnalysis(gz, corrections, ch)
	if err != nil {
		return nil, err
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		more, err := m.step()
		if err != nil {
			return nil, err
		}
		raw := m.size + int64(m.known)
		switch {
		case raw > minBomb && raw > maxRatio*size:
			return nil, irregular("more than %d raw bytes for each of its own", maxRatio)
		case in.read > size:
			return nil, notGzip("longer than its size of %d bytes", size)
		case in.read > giveUpFrom && m.c.n > in.read*giveUp/100, !more && m.c.n > size*giveUp/100+64:
			return nil, ErrNotWorth
		}
		if !more {
			return &Recipe{Params: ch.params(), RawSize: raw, Corrections: m.c.n, Stats: m.stats}, nil
		}
	}
}

// newAnalysis returns a model that writes corrections for gz.
func newAnalysis(gz io.Reader, corrections io.Writer, ch Choice) (*model, *bitReader, error) {
	m, err := newModel(newWritingCoder(corrections), ch)
	if err != nil {
		return nil, nil, err
	}
	in := newBitReader(gz)
	m.quiet = true
	m.truth = &truth{z: newTokenizer(in), m: m}
	return m, in, nil
}
