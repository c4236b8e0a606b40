package bale

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/bundle/index"
	"bale/transport"
)

// Bases is what an update builds on, as far as it is at hand: earlier bundles,
// and what was found in layers at a place. It is safe for concurrent use once
// bundles are added.
type Bases struct {
	dir  string // for the scratch file; "" is the system's
	kept []kept
	// Whether the frames of kept bundles can be had, with all that they build on.
	mu      sync.Mutex
	frames  map[keptFrame]state
	there   int      // frames that can be had
	changes int      // of what can be had
	file    *os.File // chunks that were fetched
	size    int64
	at      map[index.Hash]int64
	whole   map[digest.Digest]transport.Opener
	raw     map[digest.Digest]rawLayer
	looked  []string // where, in words
}

type kept struct {
	name string
	r    *bundle.Reader
}

type keptFrame struct{ bundle, frame int }

// state is whether a frame can be had. What is had later may change that it cannot.
type state struct {
	rank   int  // it can, and was found to as the rank-th, from 1; 0: not known
	asked  bool // while we find out; whoever asks again has come in a circle
	failed int  // changes there had been when it could not, and 1; 0: never
}

var _ bundle.Content = (*Bases)(nil)

// NewBases returns an empty Bases. Fetched chunks are kept in a file without a
// name in dir ("" is the system's folder for temporary files).
func NewBases(dir string) *Bases {
	return &Bases{
		dir: dir, frames: make(map[keptFrame]state), at: make(map[index.Hash]int64),
		whole: make(map[digest.Digest]transport.Opener), raw: make(map[digest.Digest]rawLayer),
	}
}

// AddBundle adds an earlier bundle, called by name in messages. It may be an
// update itself, whose bases are added too. It must stay open.
func (b *Bases) AddBundle(name string, r *bundle.Reader) {
	b.kept = append(b.kept, kept{name, r})
	b.changes++
	b.Looked(name)
	r.BuildOn(b)
	for _, k := range b.kept {
		k.r.LimitCache(cacheBytes / int64(len(b.kept)))
	}
}

// cacheBytes is how many raw bytes all earlier bundles together keep of what was
// read of them, besides the frame that each has read last.
const cacheBytes = 64 << 20

// Looked notes for messages where it was looked for bases, in words.
func (b *Bases) Looked(where string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Contains(b.looked, where) {
		b.looked = append(b.looked, where)
	}
}

// Close frees what was fetched. It does not close bundles.
func (b *Bases) Close() error {
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}

// Has implements [bundle.Content].
func (b *Bases) Has(h index.Hash) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.has(h)
}

func (b *Bases) has(h index.Hash) bool {
	if _, ok := b.at[h]; ok {
		return true
	}
	_, ok := b.holder(h)
	return ok
}

// holder returns a kept bundle that can give a chunk.
func (b *Bases) holder(h index.Hash) (kept, bool) {
	for {
		// Who was asked first may have failed for what was found out only then.
		before := b.changes
		if k, ok := b.ask(h); ok || b.changes == before {
			return k, ok
		}
	}
}

// ask returns the kept bundle that was the first that could give a chunk. What
// it builds on could be had before, and so on: this never leads in a circle,
// even if two bundles have each other's chunks as changes of their own.
func (b *Bases) ask(h index.Hash) (k kept, ok bool) {
	rank := 0
	for i := range b.kept {
		if f, ok := b.kept[i].r.FrameOf(h); ok {
			if n := b.frames[keptFrame{i, f}].rank; n > 0 && (rank == 0 || n < rank) {
				rank, k = n, b.kept[i]
			}
		}
	}
	if rank > 0 {
		return k, true
	}
	for i := range b.kept {
		if f, ok := b.kept[i].r.FrameOf(h); ok && b.frame(keptFrame{i, f}) {
			return b.kept[i], true
		}
	}
	return kept{}, false
}

// frame reports whether all that a frame builds on can be had.
func (b *Bases) frame(f keptFrame) bool {
	s := b.frames[f]
	if s.rank > 0 {
		return true
	}
	start := b.changes + 1
	if s.asked || s.failed == start {
		return false
	}
	b.frames[f] = state{asked: true}
	r := b.kept[f.bundle].r
	for _, c := range r.BuildsOn(f.frame) {
		h := r.Index().Chunks.Hash(c)
		if _, ok := b.at[h]; ok {
			continue
		}
		if _, ok := b.ask(h); !ok {
			b.frames[f] = state{failed: start}
			return false
		}
	}
	b.there++
	b.changes++
	b.frames[f] = state{rank: b.there}
	return true
}

// Chunk implements [bundle.Content].
func (b *Bases) Chunk(ctx context.Context, h index.Hash, length int64) ([]byte, error) {
	b.mu.Lock()
	off, fetched := b.at[h]
	var k kept
	ok := fetched
	if !fetched {
		k, ok = b.holder(h)
	}
	b.mu.Unlock()
	switch {
	case !ok:
		return nil, fault.Missing("chunk %x is in no base that is at hand", h[:8])
	case !fetched:
		p, err := k.r.Chunk(ctx, h, length)
		if err != nil {
			return nil, fmt.Errorf("base %s: %w", k.name, err)
		}
		return p, nil
	}
	p := make([]byte, length)
	if _, err := b.file.ReadAt(p, off); err != nil {
		return nil, fmt.Errorf("read what was fetched of a base: %w", err)
	}
	return p, nil
}

// Whole opens a blob that was found whole at the place, if it was.
func (b *Bases) Whole(d digest.Digest) (transport.Opener, bool) {
	if b == nil {
		return nil, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	open, ok := b.whole[d]
	return open, ok
}
