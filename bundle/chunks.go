package bundle

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"bale/bundle/chunk"
	"bale/bundle/index"
)

// class is a kind of content that gets frames of its own.
type class uint8

// Manifests and configs are a class besides the kinds that the splitter knows,
// and so are the corrections of recipes, which do not compress.
const (
	packedClass      = class(chunk.Packed)
	metaClass        = class(chunk.Kinds)
	correctionsClass = metaClass + 1
	classes          = correctionsClass + 1
)

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
	emit  func(f frame) error
	byKey map[uint64]uint32 // first eight bytes of the hash: id
	rest  map[index.Hash]uint32
	class [classes]classStore
}

// frame is what goes to be compressed. The raw buffer is owned by the receiver.
type frame struct {
	class class
	first uint32 // number of its first chunk within its class
	count uint32
	raw   []byte
}

type classStore struct {
	hashes  []byte
	lengths []uint32
	open    frame
	placed  []placed
}

// placed says which ordinals the chunks of a frame got.
type placed struct{ first, count, ordinal uint32 }

func newChunkStore(emit func(frame) error) *chunkStore {
	return &chunkStore{emit: emit, byKey: make(map[uint64]uint32), rest: make(map[index.Hash]uint32)}
}

// put returns the id of a chunk and takes in its content if it is new.
func (s *chunkStore) put(c class, data []byte) (uint32, error) {
	h := sha256.Sum256(data)
	key := binary.LittleEndian.Uint64(h[:8])
	if id, ok := s.byKey[key]; !ok {
		// The usual case: a map of 12 bytes an entry instead of 36.
		return s.add(c, h, data, func(id uint32) { s.byKey[key] = id })
	} else if s.hash(id) == h {
		return id, nil
	}
	if id, ok := s.rest[h]; ok {
		return id, nil
	}
	return s.add(c, h, data, func(id uint32) { s.rest[h] = id })
}

func (s *chunkStore) hash(id uint32) index.Hash {
	n := int(id%maxInClass) * sha256.Size
	return index.Hash(s.class[id>>classShift].hashes[n : n+sha256.Size])
}

func (s *chunkStore) add(c class, h index.Hash, data []byte, remember func(id uint32)) (uint32, error) {
	cs := &s.class[c]
	n := len(cs.lengths)
	if n == maxInClass {
		return 0, fmt.Errorf("more than %d chunks of one kind", maxInClass)
	}
	if len(cs.open.raw)+len(data) > frameSize && cs.open.count > 0 {
		if err := s.close(c); err != nil {
			return 0, err
		}
	}
	if cs.open.count == 0 {
		cs.open = frame{class: c, first: uint32(n), raw: newBuffer()}
	}
	cs.open.raw = append(cs.open.raw, data...)
	cs.open.count++
	cs.hashes = append(cs.hashes, h[:]...)
	cs.lengths = append(cs.lengths, uint32(len(data)))
	id := uint32(c)<<classShift | uint32(n)
	remember(id)
	return id, nil
}

// close hands on the open frame of a class.
func (s *chunkStore) close(c class) error {
	f := s.class[c].open
	s.class[c].open = frame{}
	if f.count == 0 {
		return nil
	}
	return s.emit(f)
}

// flush hands on all open frames.
func (s *chunkStore) flush() error {
	for c := range classes {
		if err := s.close(c); err != nil {
			return err
		}
	}
	return nil
}

// place fills in the table of chunks and turns the ids in the blobs' runs into
// ordinals. The index's frames still carry class and number (see pipeline).
func (s *chunkStore) place(x *index.Index) {
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
