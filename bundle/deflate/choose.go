package deflate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"sort"
)

const (
	// sample is how much of a stream is looked at to choose a model.
	sample = 1 << 20
	// firstLook and secondLook are how many raw bytes of it models are tried
	// on: all of them, then the best few.
	firstLook  = 96 << 10
	secondLook = 1 << 20
	finalists  = 4
)

// choose finds the model that fits the beginning of a stream best. It returns a
// reader that gives the whole stream.
func choose(ctx context.Context, gz io.Reader) (Choice, io.Reader, error) {
	begin, err := io.ReadAll(io.LimitReader(gz, sample))
	if err != nil {
		return Choice{}, nil, err
	}
	if !isMember(begin) || len(begin) < 10 {
		return Choice{}, nil, notGzip("no gzip header")
	}
	ch, err := best(ctx, begin)
	return ch, io.MultiReader(bytes.NewReader(begin), gz), err
}

// A try is how well a model fits.
type try struct {
	Choice
	bits  float64 // of corrections, for each token
	wrong int64
}

// best tries the models on the beginning of a stream, the likely ones first.
func best(ctx context.Context, begin []byte) (Choice, error) {
	var tries []try
	for _, ch := range candidates(begin) {
		if err := ctx.Err(); err != nil {
			return Choice{}, err
		}
		t, err := ch.try(begin, firstLook)
		if err != nil {
			return Choice{}, err
		}
		if t.wrong == 0 {
			// most likely it: models differ much sooner than that
			if t, err = ch.try(begin, secondLook); err != nil || t.wrong == 0 {
				return ch, err
			}
		}
		tries = append(tries, t)
	}
	byBits := func(i, j int) bool { return tries[i].bits < tries[j].bits }
	sort.SliceStable(tries, byBits)
	tries = tries[:min(finalists, len(tries))]
	for i := range tries {
		t, err := tries[i].try(begin, secondLook)
		if err != nil {
			return Choice{}, err
		}
		tries[i] = t
	}
	sort.SliceStable(tries, byBits)
	return tries[0].Choice, ctx.Err()
}

// expected reports whether err only says that a stream is not to be taken apart.
func expected(err error) bool {
	return errors.Is(err, ErrNotGzip) || errors.Is(err, ErrIrregular) || errors.Is(err, ErrNotWorth)
}

// try measures how the model fits the beginning of a stream, up to limit raw
// bytes.
func (ch Choice) try(begin []byte, limit int64) (try, error) {
	m, _, err := newAnalysis(bytes.NewReader(begin), io.Discard, ch)
	if err != nil {
		return try{}, err
	}
	for more := true; more && m.size+int64(m.start+m.pos) < limit; {
		if more, err = m.step(); expected(err) {
			break // begin is cut off, or the model is astray
		} else if err != nil {
			return try{}, err
		}
	}
	t := try{
		Choice: ch, wrong: m.stats.WrongTokens + m.stats.WrongBlocks,
		bits: float64(8*m.c.n) / float64(m.stats.Tokens+1),
	}
	if errors.Is(err, ErrNotWorth) {
		t.bits = math.Inf(1)
	}
	return t, nil
}
