package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"sort"

	"bale/bundle/index"
	"bale/bundle/pack"
)

// readBack gives chunks that the Writer has written already.
type readBack struct {
	pipe   *pipeline
	store  *chunkStore
	file   io.ReaderAt
	frames *frameCache // by frame in the order they were handed on
	class  map[int]emittedClass
}

type emittedClass struct {
	class class
	emitted
}

func newReadBack(p *pipeline, s *chunkStore, file io.ReaderAt) *readBack {
	b := &readBack{pipe: p, store: s, file: file, class: make(map[int]emittedClass)}
	b.frames = newFrameCache(writerCacheBytes, b.load)
	return b
}

// own returns the content of a chunk that the bundle carries.
func (s *chunkStore) own(ctx context.Context, id uint32) ([]byte, error) {
	c, n := class(id>>classShift), id%maxInClass
	cs := &s.class[c]
	if cs.open.count > 0 && n >= cs.open.first {
		end := cs.open.ends[n-cs.open.first]
		return bytes.Clone(cs.open.raw[end-int(cs.lengths[n]) : end]), nil
	}
	i := sort.Search(len(cs.emitted), func(i int) bool { return cs.emitted[i].first+cs.emitted[i].count > n })
	e := cs.emitted[i]
	s.back.class[e.seq] = emittedClass{c, e}
	raw, err := s.back.frames.get(ctx, e.seq)
	if err != nil {
		return nil, err
	}
	return raw.chunks(n-e.first, 1), nil
}

// load reads a frame again, and makes sure that it is what was written.
func (b *readBack) load(_ context.Context, seq int) (*rawFrame, error) {
	stored, size, err := b.pipe.read(seq, b.file)
	if err != nil {
		return nil, err
	}
	raw, err := pack.Decode(stored, size)
	if err != nil {
		return nil, fmt.Errorf("read back what was written: %w", err)
	}
	e := b.class[seq]
	delete(b.class, seq)
	cs := &b.store.class[e.class]
	out := &rawFrame{data: raw}
	off := uint32(0)
	for n := e.first; n < e.first+e.count; n++ {
		end := off + cs.lengths[n]
		if sha256.Sum256(raw[off:end]) != index.Hash(cs.hashes[int(n)*sha256.Size:]) {
			return nil, fmt.Errorf("read back what was written: chunk %d has other content", n)
		}
		off = end
		out.ends = append(out.ends, off)
	}
	return out, nil
}
