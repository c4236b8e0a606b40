package bundle

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"sort"
	"sync"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
	"bale/bundle/index"
)

// held is what the bases of a bundle hold together: chunks that it need not
// carry. Each has an id: its ordinal in its base, counted on over all bases.
type held struct {
	bases []*Reader
	first []uint32 // id of the first chunk of each base
	same  []uint32 // by id: the first chunk that has the same content
	table hashTable

	mu    sync.Mutex
	based map[heldFrame]bool // whether what a frame builds on is at hand
}

type heldFrame struct{ base, frame int }

func newHeld(bases []*Reader) (*held, error) {
	h := &held{bases: bases, based: make(map[heldFrame]bool)}
	h.table = newHashTable(h.hash)
	var total uint64
	for _, r := range bases {
		r.frames.shrink(writerCacheBytes)
		h.first = append(h.first, uint32(total))
		if total += uint64(r.index.Chunks.Len()); total > math.MaxUint32 {
			return nil, fault.Unsupported("the bases hold more than %d chunks", uint32(math.MaxUint32))
		}
	}
	h.same = make([]uint32, 0, total)
	for _, r := range bases {
		for c := range uint32(r.index.Chunks.Len()) {
			hash, id := r.index.Chunks.Hash(c), uint32(len(h.same))
			before, ok := h.table.get(hash)
			if !ok {
				h.table.add(hash, id)
				before = id
			}
			h.same = append(h.same, before)
		}
	}
	return h, nil
}

// at returns the base that a chunk belongs to and its ordinal there.
func (h *held) at(id uint32) (base int, ordinal uint32) {
	base = sort.Search(len(h.first), func(i int) bool { return h.first[i] > id }) - 1
	return base, id - h.first[base]
}

func (h *held) hash(id uint32) index.Hash {
	base, c := h.at(id)
	return h.bases[base].index.Chunks.Hash(c)
}

func (h *held) length(id uint32) int64 {
	base, c := h.at(id)
	return h.bases[base].index.Chunks.Length(c)
}

// id returns the id of a base's chunk: one for all that have its content.
func (h *held) id(base int, ordinal uint32) uint32 { return h.same[h.first[base]+ordinal] }

// find returns the id of a chunk.
func (h *held) find(hash index.Hash) (uint32, bool) {
	if h == nil {
		return 0, false
	}
	return h.table.get(hash)
}

// readable reports whether the content of a chunk is at hand: a receipt only
// says that it is held.
func (h *held) readable(id uint32) bool { return h.reader(id) != nil }

// reader returns a base that carries a chunk, and has all that it takes to get it.
func (h *held) reader(id uint32) *Reader {
	base, c := h.at(id)
	if r := h.bases[base]; int(c) < r.index.Chunks.Own() && r.there(c) {
		if f, _ := r.index.Frame(c); h.frame(base, f) {
			return r
		}
	}
	if len(h.bases) == 1 {
		return nil
	}
	hash := h.hash(id)
	for i, r := range h.bases {
		if f, ok := r.FrameOf(hash); ok && h.frame(i, f) {
			return r
		}
	}
	return nil
}

// frame reports whether what a frame builds on is at hand: a base that is an
// update itself may have been given without its own.
func (h *held) frame(base, frame int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := heldFrame{base, frame}
	ok, known := h.based[key]
	if !known {
		r := h.bases[base]
		ok = !slices.ContainsFunc(r.BuildsOn(frame), func(c uint32) bool {
			return r.base == nil || !r.base.Has(r.index.Chunks.Hash(c))
		})
		h.based[key] = ok
	}
	return ok
}

// chunk returns the content of a chunk, checked.
func (h *held) chunk(ctx context.Context, id uint32) ([]byte, error) {
	r := h.reader(id)
	if r == nil {
		return nil, fault.Missing("no base has the content of chunk %d at hand", id)
	}
	b, err := r.Chunk(ctx, h.hash(id), h.length(id))
	if err != nil {
		return nil, fmt.Errorf("base %s: %w", r.header.ID, err)
	}
	return b, nil
}

// concat returns the content of several chunks, of about size bytes, one after
// the other.
func (h *held) concat(ctx context.Context, ids []uint32, size int64) ([]byte, error) {
	out := make([]byte, 0, size)
	for _, id := range ids {
		b, err := h.chunk(ctx, id)
		if err != nil {
			return nil, err
		}
		out = append(out, b...)
	}
	return out, nil
}

// externals are the chunks that a bundle refers to and does not carry, in the
// order in which they were first used. An id of the chunkStore is
// externalClass and the place in that order.
type externals struct {
	held    *held
	ids     []uint32          // held ids
	used    map[uint32]uint32 // place by held id
	hashes  []byte            // in place of ids, if there are no bases: an inventory
	lengths []uint32
	ordinal []uint32 // by place, once placed
}

func externalID(n int) uint32 { return uint32(externalClass)<<classShift | uint32(n) }

// use returns the id by which the bundle refers to a held chunk.
func (e *externals) use(heldID uint32) (uint32, error) {
	n, ok := e.used[heldID]
	if !ok {
		if len(e.ids) == maxInClass {
			return 0, fmt.Errorf("more than %d chunks of bases", maxInClass)
		}
		n = uint32(len(e.ids))
		e.used[heldID] = n
		e.ids = append(e.ids, heldID)
	}
	return externalID(int(n)), nil
}

// list returns an id for a chunk that is only listed.
func (e *externals) list(h index.Hash, length int) (uint32, error) {
	if len(e.lengths) == maxInClass {
		return 0, fmt.Errorf("more than %d chunks", maxInClass)
	}
	e.hashes = append(e.hashes, h[:]...)
	e.lengths = append(e.lengths, uint32(length))
	return externalID(len(e.lengths) - 1), nil
}

func (e *externals) hash(n uint32) index.Hash {
	if e.held == nil {
		return index.Hash(e.hashes[int(n)*len(index.Hash{}):])
	}
	return e.held.hash(e.ids[n])
}

// place fills in the external chunks and the bases that they come from: of
// each base blob by blob, so that whoever needs a chunk knows where to look.
func (e *externals) place(x *index.Index) {
	if e.held == nil {
		return
	}
	e.ordinal = make([]uint32, len(e.ids))
	const none = math.MaxUint32
	for i := range e.ordinal {
		e.ordinal[i] = none
	}
	put := func(heldID uint32) (used, added bool) {
		n, ok := e.used[heldID]
		if !ok || e.ordinal[n] != none {
			return ok, false
		}
		e.ordinal[n] = uint32(x.Chunks.Len())
		x.Chunks.AddExternal(e.held.hash(heldID), int(e.held.length(heldID)))
		return true, true
	}
	for i, r := range e.held.bases {
		base := index.Base{ID: r.header.id()}
		start := x.Chunks.Len()
		for j := range r.index.Blobs {
			b := &r.index.Blobs[j]
			one, found := index.BaseBlob{Digest: b.Digest, Size: b.Size, RawSize: b.RawSize}, false
			for _, runs := range b.Lanes {
				for _, run := range runs {
					for c := run.First; c < run.First+run.Count; c++ {
						used, added := put(e.held.id(i, c))
						found = found || used
						if added {
							one.Chunks++
						}
					}
				}
			}
			if found {
				one.Raw = rawHash(r.index, b)
				base.Blobs = append(base.Blobs, one)
			}
		}
		// Corrections are in no blob's raw bytes.
		for c := range uint32(r.index.Chunks.Len()) {
			put(e.held.id(i, c))
		}
		base.Chunks = x.Chunks.Len() - start
		if len(base.Blobs) > 0 || base.Chunks > 0 {
			for _, img := range r.index.Images {
				base.Images = append(base.Images, img.Name)
			}
		}
		x.Bases = append(x.Bases, base)
	}
}

// rawHash returns the SHA-256 of a blob's raw bytes; zero if it is not known.
func rawHash(x *index.Index, b *index.Blob) (h index.Hash) {
	if b.Recipe != index.Stored {
		h, _ = x.RawHash(b.Digest)
		return h
	}
	if b.Digest.Algorithm() == digest.SHA256 {
		_, _ = hex.Decode(h[:], []byte(b.Digest.Encoded())) // a valid digest
	}
	return h
}

// placeListed fills in the one base of an inventory: the place that it lists,
// which goes by the inventory's id.
func (e *externals) placeListed(x *index.Index, id [16]byte) {
	e.ordinal = make([]uint32, len(e.lengths))
	base := index.Base{ID: id, Chunks: len(e.lengths)}
	for n := range e.lengths {
		e.ordinal[n] = uint32(x.Chunks.Len())
		x.Chunks.AddExternal(e.hash(uint32(n)), int(e.lengths[n]))
	}
	x.Bases = append(x.Bases, base)
}
