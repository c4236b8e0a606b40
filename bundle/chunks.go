package bundle

import (
	"context"
	"crypto/sha256"
	"fmt"

	"bale/bundle/chunk"
	"bale/bundle/index"
)

// class is a kind of content that gets frames of its own.
type class uint8

// Manifests and configs are a class besides the kinds that the splitter knows,
// and so are the corrections of recipes, which do not compress, chunks that
// the bundle does not carry, and those that are told by their predecessors.
const (
	packedClass           = class(chunk.Packed)
	metaClass             = class(chunk.Kinds)
	correctionsClass      = metaClass + 1
	externalClass         = correctionsClass + 1
	changedContentClass   = externalClass + 1
	changedStructureClass = changedContentClass + 1
	classes               = changedStructureClass + 1
)

// changed returns the class for chunks that are told by their predecessors.
func (c class) changed() class {
	if c == class(chunk.Headers) {
		return changedStructureClass
	}
	return changedContentClass
}

func classOf(k chunk.Kind, meta bool) class {
	if meta {
		return metaClass
	}
	return class(k)
}

// A chunk gets its ordinal only when its frame is written. Until then its id
// is the class and a number within it.
const (
	classShift = 29
	maxInClass = 1 << classShift
)

// frameSize is how many raw bytes go into a frame: reading one chunk
// decompresses one frame, so frames are a compromise (FORMAT.md, section 13).
const frameSize = 4 << 20

// chunkStore remembers which chunks there are, and collects new ones into
// frames, which it hands on when they are full.
type chunkStore struct {
	emit     func(f frame) (seq int, err error)
	known    hashTable
	meta     map[index.Hash]uint32 // manifests and configs that are other content too
	held     *held                 // nil if there are no bases
	external externals
	listing  bool // content is only listed
	class    [classes]classStore
	back     *readBack // nil if what was written cannot be read back
}

// frame is what goes to be compressed. The buffers are owned by the receiver.
type frame struct {
	class class
	first uint32 // number of its first chunk within its class
	count uint32
	raw   []byte
	// For changed content: what it is compared with, and the ids of the chunks
	// that this consists of.
	old        []byte
	fetch      func(context.Context) ([]byte, error) // gives old, if not nil
	files      int                                   // how many files that is of
	dictionary []index.Run
}

type classStore struct {
	hashes  []byte
	lengths []uint32
	open    batch
	emitted []emitted
	placed  []placed
}

// emitted says in which of the frames, in the order they were handed on, the
// chunks of a class are.
type emitted struct {
	first, count uint32
	seq          int
}

// placed says which ordinals the chunks of a frame got.
type placed struct{ first, count, ordinal uint32 }

func newChunkStore(h *held, emit func(frame) (int, error)) *chunkStore {
	s := &chunkStore{emit: emit, meta: make(map[index.Hash]uint32), held: h}
	s.known = newHashTable(s.hash)
	s.external = externals{held: h, used: make(map[uint32]uint32)}
	return s
}

// put returns the id of a chunk, and takes in its content if it is new.
func (s *chunkStore) put(ctx context.Context, c class, data []byte) (uint32, error) {
	return s.putChanged(ctx, c, data, nil)
}

// putChanged is put for content that has a predecessor, if change is not nil.
func (s *chunkStore) putChanged(ctx context.Context, c class, data []byte, change *change) (uint32, error) {
	h := sha256.Sum256(data)
	id, known, err := s.find(c, h)
	if err != nil {
		return 0, err
	}
	if known {
		if change != nil {
			if ref, ok := s.refOf(change.old, id); ok {
				change.keep(ref, len(data))
			} else {
				change.pass(len(data))
			}
		}
		return id, nil
	}
	if s.listing && c != metaClass {
		if id, err = s.external.list(h, len(data)); err == nil {
			s.known.add(h, id)
		}
		return id, err
	}
	if change != nil {
		c = c.changed()
	}
	return s.add(ctx, c, h, data, change)
}

// find returns the id of a chunk that is known.
func (s *chunkStore) find(c class, h index.Hash) (id uint32, ok bool, err error) {
	if id, ok = s.known.get(h); ok {
		// Whoever has the bundle only, or its receipt, must be able to read its
		// manifests.
		if c == metaClass && class(id>>classShift) != metaClass {
			id, ok = s.meta[h]
		}
		return id, ok, nil
	}
	if c == metaClass {
		return 0, false, nil
	}
	heldID, ok := s.held.find(h)
	if !ok {
		return 0, false, nil
	}
	if id, err = s.external.use(heldID); err == nil {
		s.known.add(h, id)
	}
	return id, true, err
}

func (s *chunkStore) hash(id uint32) index.Hash {
	if class(id>>classShift) == externalClass {
		return s.external.hash(id % maxInClass)
	}
	n := int(id%maxInClass) * sha256.Size
	return index.Hash(s.class[id>>classShift].hashes[n : n+sha256.Size])
}

func (s *chunkStore) length(id uint32) int64 {
	if class(id>>classShift) == externalClass {
		return s.held.length(s.external.ids[id%maxInClass])
	}
	return int64(s.class[id>>classShift].lengths[id%maxInClass])
}

func (s *chunkStore) add(ctx context.Context, c class, h index.Hash, data []byte, change *change) (uint32, error) {
	cs := &s.class[c]
	n := len(cs.lengths)
	if n == maxInClass {
		return 0, fmt.Errorf("more than %d chunks of one kind", maxInClass)
	}
	full := len(cs.open.raw)+len(data) > frameSize && cs.open.count > 0
	if full || change != nil && !cs.open.fits(change, len(data)) {
		if err := s.close(ctx, c); err != nil {
			return 0, err
		}
	}
	if cs.open.count == 0 {
		cs.open = batch{frame: frame{class: c, first: uint32(n), raw: newBuffer()}}
	}
	if change != nil {
		cs.open.want(change, len(data))
		change.pass(len(data))
	}
	cs.open.raw = append(cs.open.raw, data...)
	cs.open.ends = append(cs.open.ends, len(cs.open.raw))
	cs.open.count++
	cs.hashes = append(cs.hashes, h[:]...)
	cs.lengths = append(cs.lengths, uint32(len(data)))
	id := uint32(c)<<classShift | uint32(n)
	if _, ok := s.known.get(h); ok {
		s.meta[h] = id
	} else {
		s.known.add(h, id)
	}
	return id, nil
}

// close hands on the open frame of a class.
func (s *chunkStore) close(ctx context.Context, c class) error {
	b := s.class[c].open
	s.class[c].open = batch{}
	if b.count == 0 {
		return nil
	}
	if err := b.gather(ctx, s); err != nil {
		return err
	}
	seq, err := s.emit(b.frame)
	s.class[c].emitted = append(s.class[c].emitted, emitted{b.first, b.count, seq})
	return err
}

// flush hands on all open frames, those first that others may be compared with
// last: these are found while they are open.
func (s *chunkStore) flush(ctx context.Context) error {
	for c := range classes {
		if err := s.close(ctx, classes-1-c); err != nil {
			return err
		}
	}
	return nil
}

// place fills in the table of chunks and turns the ids in the blobs' runs into
// ordinals. The index's frames still carry class and number (see pipeline). id is
// that of the bundle.
func (s *chunkStore) place(x *index.Index, id [16]byte) {
	var ordinal uint32
	for i := range x.Frames {
		f := &x.Frames[i]
		cs := &s.class[f.FirstChunk>>classShift]
		first := f.FirstChunk % maxInClass
		cs.placed = append(cs.placed, placed{first, f.Chunks, ordinal})
		for n := first; n < first+f.Chunks; n++ {
			h := cs.hashes[int(n)*sha256.Size : int(n+1)*sha256.Size]
			x.Chunks.Add(index.Hash(h), int(cs.lengths[n]))
		}
		f.FirstChunk = ordinal
		ordinal += f.Chunks
	}
	if s.listing {
		s.external.placeListed(x, id)
	} else {
		s.external.place(x)
	}
	for i := range x.Frames {
		x.Frames[i].Dictionary = s.ordinals(x.Frames[i].Dictionary)
	}
	for i := range x.Blobs {
		for l, runs := range x.Blobs[i].Lanes {
			x.Blobs[i].Lanes[l] = s.ordinals(runs)
		}
		x.Blobs[i].Extra = s.ordinals(x.Blobs[i].Extra)
	}
}

// ordinals turns runs of ids into runs of ordinals.
func (s *chunkStore) ordinals(ids []index.Run) []index.Run {
	var out []index.Run
	for _, r := range ids {
		if class(r.First>>classShift) == externalClass {
			for n := r.First % maxInClass; n < r.First%maxInClass+r.Count; n++ {
				out = appendRun(out, s.external.ordinal[n], 1)
			}
			continue
		}
		frames := s.class[r.First>>classShift].placed
		n, left := r.First%maxInClass, r.Count
		i := search(frames, n)
		for left > 0 {
			f := frames[i]
			k := min(left, f.first+f.count-n)
			out = appendRun(out, f.ordinal+n-f.first, k)
			n, left, i = n+k, left-k, i+1
		}
	}
	return out
}

// search finds the frame that holds chunk n of its class.
func search(frames []placed, n uint32) int {
	lo, hi := 0, len(frames)
	for lo < hi {
		m := (lo + hi) / 2
		if frames[m].first+frames[m].count > n {
			hi = m
		} else {
			lo = m + 1
		}
	}
	return lo
}

// appendRun adds chunks to runs, lengthening the last where they follow it.
func appendRun(runs []index.Run, first, count uint32) []index.Run {
	if n := len(runs); n > 0 && runs[n-1].First+runs[n-1].Count == first {
		runs[n-1].Count += count
		return runs
	}
	return append(runs, index.Run{First: first, Count: count})
}
