package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"

	"bale/bundle/chunk"
	"bale/bundle/pack"
)

// trial finds out what raw bytes take in a bundle at the default level, by
// doing all that the Writer does, except that it keeps nothing. Samples would
// be cheaper than the fifth to which this slows down an analysis, but they are
// wrong by 5 to 10 % of the gzip bytes, and that is more than there is to
// decide about (FORMAT.md, section 13).
type trial struct {
	splitter *chunk.Splitter
	with     encoders
	open     [classes][]byte
	stored   []byte // room for a frame
	seen     map[uint64]struct{}
	result   trialResult
}

// trialResult is what raw bytes take.
type trialResult struct{ raw, stored int64 }

const (
	// chunkCost is about what a chunk takes in the index: its hash, its
	// length, and its share of runs and weave.
	chunkCost = 36
	// maxSeen bounds the chunks that are recognised when they come again.
	maxSeen = 1 << 18
)

func newTrial() (*trial, error) {
	t := &trial{seen: make(map[uint64]struct{})}
	var err error
	if t.splitter, err = chunk.NewSplitter(); err != nil {
		return nil, err
	}
	t.with, err = newEncoders(pack.Default)
	return t, err
}

// run reads raw to its end.
func (t *trial) run(ctx context.Context, raw io.Reader) (trialResult, error) {
	t.result = trialResult{}
	clear(t.seen)
	for c := range t.open {
		t.open[c] = t.open[c][:0]
	}
	_, err := t.splitter.Split(raw, func(p chunk.Piece) error {
		t.put(classOf(p.Kind, false), p.Data)
		return ctx.Err()
	})
	for c := range classes {
		t.close(c)
	}
	return t.result, err
}

func (t *trial) put(c class, data []byte) {
	t.result.raw += int64(len(data))
	h := sha256.Sum256(data)
	key := binary.LittleEndian.Uint64(h[:8])
	if _, ok := t.seen[key]; ok {
		return
	}
	if len(t.seen) < maxSeen {
		t.seen[key] = struct{}{}
	}
	t.result.stored += chunkCost
	if len(t.open[c])+len(data) > frameSize {
		t.close(c)
	}
	t.open[c] = append(t.open[c], data...)
}

// close compresses what was collected of a class.
func (t *trial) close(c class) {
	if len(t.open[c]) == 0 {
		return
	}
	t.stored = t.with.of(c).Encode(t.stored[:0], t.open[c])
	t.result.stored += int64(len(t.stored))
	t.open[c] = t.open[c][:0]
}

const (
	// minSaving is what must be saved at least, in per cent of the gzip bytes.
	minSaving = 5
	// bestGain is what level best saves beyond level default, in thousandths of
	// what default leaves, when default leaves next to nothing; when it leaves
	// all, best saves nothing either. In between it is nearly a straight line.
	bestGain = 120
)

// worth reports whether gzip of so many bytes is worth taking apart: whether at
// the level that saves most it saves enough. A level that saves less still
// shares content between images, which no blob tells by itself.
func (r trialResult) worth(gz, corrections int64) bool {
	if r.raw == 0 {
		return false
	}
	saved := (r.raw - r.stored) / (r.raw/1000 + 1) // in thousandths
	best := r.stored - r.stored/1000*max(saved, 0)/1000*bestGain
	return best+corrections <= gz-gz/100*minSaving
}
