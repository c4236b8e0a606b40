package bundle

import (
	"cmp"
	"context"
	"slices"

	"bale/bundle/pack"
)

const (
	// maxOld is how many bytes the new content of one frame is compared with.
	maxOld = pack.MaxFrame - frameSize
	// near and far are how many bytes on both sides of where old content is
	// expected are looked at: near where a chunk that both have tells how far
	// it has moved, far where only the sizes of the files do.
	near, far = 512 << 10, 3 << 20
)

// batch collects chunks of changed files, and where their predecessors are.
type batch struct {
	frame
	ends  []int // of its chunks in raw
	parts []*part
	old   int64 // bytes of the parts' ranges, at most
}

// part is what a batch takes from one predecessor.
type part struct {
	of     *oldFile
	lo, hi int64 // range of its bytes
	shared map[uint32]bool
}

// change is a file that has a predecessor, while its chunks come in.
type change struct {
	old    *oldFile
	size   int64            // of the new file; 0 if it is not known
	off    int64            // bytes of the new file so far
	shift  int64            // how far the last chunk that both have has moved
	sure   int64            // bytes since that chunk; -1 if there was none
	places map[uint32]int64 // of the predecessor's chunks, if it is large
	shared map[uint32]bool  // chunks that both have
}

// newChange looks at a predecessor. chunks turns what its runs name into what
// the chunkStore knows chunks by.
func newChange(old *oldFile, size int64, chunks func(*oldFile, func(ref uint32, length int64))) *change {
	c := &change{old: old, size: size, sure: -1, shared: make(map[uint32]bool)}
	if old.size <= far {
		return c // all of it is looked at anyway
	}
	c.places = make(map[uint32]int64)
	var off int64
	chunks(old, func(ref uint32, length int64) {
		if _, ok := c.places[ref]; !ok {
			c.places[ref] = off
		}
		off += length
	})
	return c
}

// keep takes note of a chunk that need not be stored.
func (c *change) keep(ref uint32, length int) {
	c.shared[ref] = true
	if at, ok := c.places[ref]; ok {
		c.shift, c.sure = at-c.off, 0
	}
	c.pass(length)
}

func (c *change) pass(length int) {
	c.off += int64(length)
	if c.sure >= 0 {
		c.sure += int64(length)
	}
}

// window returns the range of the predecessor that a new chunk is likely to
// have come from.
func (c *change) window(length int) (lo, hi int64) {
	at, margin := c.off, int64(far)
	switch {
	case c.sure >= 0:
		at += c.shift
		if c.sure < far {
			margin = near
		}
	case c.size > 0:
		at = int64(float64(c.off) / float64(c.size) * float64(c.old.size))
	}
	if c.old.size <= far {
		return 0, c.old.size
	}
	lo, hi = max(at-margin, 0), min(at+int64(length)+margin, c.old.size)
	if lo >= hi { // it has become longer
		lo, hi = max(c.old.size-int64(length)-margin, 0), c.old.size
	}
	return lo, hi
}

// fits reports whether a chunk may be added to the batch.
func (b *batch) fits(c *change, length int) bool {
	if b.count == 0 {
		return true
	}
	return len(b.raw)+length <= frameSize && b.old+b.grow(c, length) <= maxOld
}

// grow returns how many bytes more a chunk makes the batch look at.
func (b *batch) grow(c *change, length int) int64 {
	lo, hi := c.window(length)
	if p := b.last(c.old); p != nil && lo <= p.hi && hi >= p.lo {
		return max(p.lo-lo, 0) + max(hi-p.hi, 0)
	}
	return hi - lo
}

// last returns the last part of the batch if it is of a file.
func (b *batch) last(f *oldFile) *part {
	if n := len(b.parts); n > 0 && b.parts[n-1].of == f {
		return b.parts[n-1]
	}
	return nil
}

// want makes the batch look at where a chunk may have come from.
func (b *batch) want(c *change, length int) {
	b.old += b.grow(c, length)
	lo, hi := c.window(length)
	if p := b.last(c.old); p != nil && lo <= p.hi && hi >= p.lo {
		p.lo, p.hi = min(p.lo, lo), max(p.hi, hi)
		return
	}
	b.parts = append(b.parts, &part{c.old, lo, hi, c.shared})
}

// gather fetches what the batch's content is to be compared with, without what
// both have as the same chunk, and at most [maxOld] bytes. What is not at hand
// is done without. It comes in the order in which it is stored, not in that of
// the files: so each frame is decompressed once, here and whenever the batch is
// read (FORMAT.md, section 13).
func (b *batch) gather(ctx context.Context, s *chunkStore) error {
	type source struct {
		own bool
		ref uint32
	}
	type wanted struct {
		of  *oldFile
		ref uint32
	}
	var list []wanted
	seen := make(map[source]bool)
	var size int64
	for _, p := range b.parts {
		var off int64
		s.chunksOf(p.of, func(ref uint32, length int64) {
			start := off
			off += length
			if off <= p.lo || start >= p.hi || seen[source{p.of.base == own, ref}] || p.shared[ref] || size+length > maxOld {
				return
			}
			seen[source{p.of.base == own, ref}] = true
			size += length
			list = append(list, wanted{p.of, ref})
		})
	}
	slices.SortStableFunc(list, func(a, b wanted) int {
		return cmp.Or(cmp.Compare(min(a.of.base, 0), min(b.of.base, 0)), cmp.Compare(a.ref, b.ref))
	})
	b.files = len(b.parts)
	var refs []uint32
	kept := list[:0]
	for _, l := range list {
		if !s.readable(l.of, l.ref) {
			continue
		}
		id, err := s.refer(l.of, l.ref)
		if err != nil {
			return err
		}
		b.dictionary = appendRun(b.dictionary, id, 1)
		refs = append(refs, l.ref)
		kept = append(kept, l)
	}
	if len(kept) == 0 {
		return nil
	}
	// Bases can be read by whoever compresses the frame, beside all else; what
	// is in the bundle itself only by us.
	if kept[0].of.base != own {
		b.fetch = func(ctx context.Context) ([]byte, error) { return s.held.concat(ctx, refs, size) }
		return nil
	}
	b.frame.old = make([]byte, 0, size)
	for _, l := range kept {
		content, err := s.content(ctx, l.of, l.ref)
		if err != nil {
			return err
		}
		b.frame.old = append(b.frame.old, content...)
	}
	return nil
}

// chunksOf calls f for each chunk of an old file: with its held id if it is of a
// base, else with its id in this bundle.
func (s *chunkStore) chunksOf(old *oldFile, f func(ref uint32, length int64)) {
	w := walk{runs: old.runs}
	for c, ok := w.next(); ok; c, ok = w.next() {
		if old.base == own {
			f(c, s.length(c))
		} else {
			ref := s.held.id(old.base, c)
			f(ref, s.held.length(ref))
		}
	}
}

// refOf returns what [chunkStore.chunksOf] calls the chunk with an id, if it
// could be one of the old file's.
func (s *chunkStore) refOf(old *oldFile, id uint32) (uint32, bool) {
	external := class(id>>classShift) == externalClass
	switch {
	case old.base == own:
		return id, true
	case external && s.held != nil:
		return s.external.ids[id%maxInClass], true
	}
	return 0, false
}

// refer returns the id of a chunk of an old file.
func (s *chunkStore) refer(old *oldFile, ref uint32) (uint32, error) {
	if old.base == own {
		return ref, nil
	}
	return s.external.use(ref)
}

// heldID returns the held id of a chunk of an old file, and false if the bundle
// carries it itself.
func (s *chunkStore) heldID(old *oldFile, ref uint32) (uint32, bool) {
	if old.base != own {
		return ref, true
	}
	if class(ref>>classShift) == externalClass {
		return s.external.ids[ref%maxInClass], true
	}
	return 0, false
}

// readable reports whether the content of a chunk of an old file is at hand.
func (s *chunkStore) readable(old *oldFile, ref uint32) bool {
	if id, ok := s.heldID(old, ref); ok {
		return s.held.readable(id)
	}
	// Frames of manifests are placed last: they cannot be waited for.
	return class(ref>>classShift) != metaClass
}

// content returns the bytes of a chunk of an old file.
func (s *chunkStore) content(ctx context.Context, old *oldFile, ref uint32) ([]byte, error) {
	if id, ok := s.heldID(old, ref); ok {
		return s.held.chunk(ctx, id)
	}
	return s.own(ctx, ref)
}
