package deflate

import (
	"bytes"
	"context"
	"errors"
	"io"
)

const (
	// sample is how much of a stream is looked at to choose a model.
	sample = 512 << 10
)

// choose finds the model that fits the beginning of a stream best. It returns a
// reader that gives the whole stream.
func choose(ctx context.Context, gz io.Reader) (Choice, io.Reader, error) {
	begin, err := io.ReadAll(io.LimitReader(gz, sample))
	if err != nil {
		return Choice{}, nil, err
	}
	if !isMember(begin) {
		return Choice{}, nil, notGzip("no gzip header")
	}
	gz = io.MultiReader(bytes.NewReader(begin), gz)
	return Choice{Family: Generic}, gz, ctx.Err()
}

// score is how well a model fits.
type score struct {
	bits   float64 // of corrections, for each token
	tokens int64
	wrong  int64
}

// try measures how a model fits the beginning of a stream, up to limit raw
// bytes.
func try(begin []byte, ch Choice, limit int) (score, error) {
	m, _, err := newAnalysis(bytes.NewReader(begin), io.Discard, ch)
	if err != nil {
		return score{}, err
	}
	for m.size+int64(m.start+m.pos) < int64(limit) {
		more, err := m.step()
		if errors.Is(err, ErrNotGzip) || errors.Is(err, ErrIrregular) {
			break // cut off
		}
		if err != nil {
			return score{}, err
		}
		if !more {
			break
		}
	}
	s := score{tokens: m.stats.Tokens, wrong: m.stats.WrongTokens + m.stats.WrongBlocks}
	s.bits = float64(8*m.c.n) / float64(max(s.tokens, 1))
	return s, nil
}
