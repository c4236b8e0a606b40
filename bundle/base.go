package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"

	"bale/bundle/delta"
	"bale/bundle/fault"
	"bale/bundle/index"
	"bale/bundle/pack"
)

// Content gives chunks by their hashes. It is what an update builds on.
type Content interface {
	// Has reports whether a chunk is there.
	Has(h index.Hash) bool

	// Chunk returns the bytes of a chunk, which must not be changed. Whoever
	// asks compares them with the hash. What is not there is a
	// [fault.ErrMissing].
	Chunk(ctx context.Context, h index.Hash, length int64) ([]byte, error)
}

var _ Content = (*Reader)(nil)

// BuildOn says where the chunks come from that the bundle does not carry. It
// must be called before blobs are opened.
func (r *Reader) BuildOn(c Content) { r.base = c }

// ownChunks finds chunks by their hashes.
type ownChunks struct {
	once  sync.Once
	table hashTable
}

// find returns the ordinal of a chunk that the bundle carries.
func (r *Reader) find(h index.Hash) (uint32, bool) {
	r.own.once.Do(func() {
		r.own.table = newHashTable(r.index.Chunks.Hash)
		for c := range uint32(r.index.Chunks.Own()) {
			h := r.index.Chunks.Hash(c)
			if _, ok := r.own.table.get(h); !ok {
				r.own.table.add(h, c)
			}
		}
	})
	return r.own.table.get(h)
}

// Has implements [Content] for the chunks that the bundle carries itself.
func (r *Reader) Has(h index.Hash) bool {
	c, ok := r.find(h)
	return ok && r.there(c)
}

// there reports whether the pack of one of the bundle's own chunks is there.
func (r *Reader) there(c uint32) bool {
	f, _ := r.index.Frame(c)
	return int(r.index.Frames[f].Pack) >= r.absent
}

// Chunk implements [Content] for the chunks that the bundle carries itself.
func (r *Reader) Chunk(ctx context.Context, h index.Hash, length int64) ([]byte, error) {
	c, ok := r.find(h)
	if !ok || r.index.Chunks.Length(c) != length || !r.there(c) {
		return nil, fault.Missing("chunk %x is not in the bundle", h[:8])
	}
	return r.chunk(ctx, c)
}

// chunk returns the bytes of a chunk, checked.
func (r *Reader) chunk(ctx context.Context, c uint32) ([]byte, error) {
	fi, own := r.index.Frame(c)
	if !own {
		return r.external(ctx, c)
	}
	raw, err := r.frames.get(ctx, fi)
	if err != nil {
		return nil, err
	}
	return raw.chunks(c-r.index.Frames[fi].FirstChunk, 1), nil
}

// external returns the bytes of a chunk that the bundle does not carry, checked.
func (r *Reader) external(ctx context.Context, c uint32) ([]byte, error) {
	h, n := r.index.Chunks.Hash(c), r.index.Chunks.Length(c)
	if r.base == nil {
		return nil, fault.WithHint(fault.Missing("chunk %x lies in a base, and none was given", h[:8]),
			"the bundle is an update: give the bundle that it builds on with --base")
	}
	b, err := r.base.Chunk(ctx, h, n)
	if err != nil {
		return nil, err
	}
	if int64(len(b)) != n || sha256.Sum256(b) != h {
		return nil, fault.Damaged("chunk %x has other content in its base", h[:8])
	}
	return b, nil
}

// decode gives the raw bytes of a frame. Its chunks are not checked yet.
func (r *Reader) decode(ctx context.Context, f *index.Frame, stored []byte) ([]byte, error) {
	if f.Kind == pack.Plain {
		return pack.Decode(stored, f.Raw)
	}
	var size int64
	for _, run := range f.Dictionary {
		for c := run.First; c < run.First+run.Count; c++ {
			size += r.index.Chunks.Length(c)
		}
	}
	old := make([]byte, 0, size)
	for _, run := range f.Dictionary {
		for c := run.First; c < run.First+run.Count; c++ {
			b, err := r.chunk(ctx, c)
			if err != nil {
				return nil, err
			}
			old = append(old, b...)
		}
	}
	if f.Kind == pack.Dictionary {
		return pack.DecodeDictionary(stored, f.Raw, old)
	}
	patch, err := pack.Decode(stored, f.Patch)
	if err != nil {
		return nil, err
	}
	return delta.Apply(old, patch, int(f.Raw))
}

// FrameOf returns the frame of a chunk that the bundle carries.
func (r *Reader) FrameOf(h index.Hash) (frame int, ok bool) {
	c, ok := r.find(h)
	if !ok || !r.there(c) {
		return 0, false
	}
	return r.index.Frame(c)
}

// BuildsOn returns the external chunks that a frame builds on, as ordinals.
func (r *Reader) BuildsOn(frame int) []uint32 {
	var out []uint32
	for w := (walk{runs: r.index.Frames[frame].Dictionary}); ; {
		c, ok := w.next()
		if !ok {
			return out
		}
		if int(c) >= r.index.Chunks.Own() {
			out = append(out, c)
		}
	}
}

// Needs returns the external chunks that blobs are rebuilt from, or only
// unpacked (raw), as ordinals: ascending, each once. What is not in the bundle
// is a [fault.ErrMissing].
func (r *Reader) Needs(blobs []digest.Digest, raw bool) ([]uint32, error) {
	out, _, err := r.needs(blobs, raw)
	return out, err
}

// needs also reports whether all else that they need is there: the packs, and
// recipes.
func (r *Reader) needs(blobs []digest.Digest, raw bool) (out []uint32, whole bool, err error) {
	x := r.index
	whole = true
	frames := make(map[int]bool)
	var take func(runs []index.Run)
	take = func(runs []index.Run) {
		for _, run := range runs {
			for c := run.First; c < run.First+run.Count; {
				f, own := x.Frame(c)
				if !own {
					out = append(out, c)
					c++
					continue
				}
				if !frames[f] {
					frames[f] = true
					whole = whole && int(x.Frames[f].Pack) >= r.absent
					take(x.Frames[f].Dictionary)
				}
				c = x.Frames[f].FirstChunk + x.Frames[f].Chunks
			}
		}
	}
	for _, d := range blobs {
		b, ok := x.Blob(d)
		if !ok {
			return nil, false, fault.Missing("blob %s is not in the bundle", d)
		}
		whole = whole && (raw || b.Recipe != index.Listed)
		for _, runs := range b.Lanes {
			take(runs)
		}
		if !raw {
			take(b.Extra)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), whole, nil
}

// Carries reports whether a blob can be rebuilt from what is at hand: the bundle
// and what it was told to build on.
func (r *Reader) Carries(d digest.Digest) bool {
	needs, whole, err := r.needs([]digest.Digest{d}, false)
	if err != nil || !whole {
		return false
	}
	for _, c := range needs {
		if r.base == nil || !r.base.Has(r.index.Chunks.Hash(c)) {
			return false
		}
	}
	return true
}

// hashTable finds chunks by their hashes. Nearly all are told apart by their
// first eight bytes, which takes a third of the memory.
type hashTable struct {
	hash  func(id uint32) index.Hash
	byKey map[uint64]uint32
	rest  map[index.Hash]uint32
}

func newHashTable(hash func(id uint32) index.Hash) hashTable {
	return hashTable{hash: hash, byKey: make(map[uint64]uint32), rest: make(map[index.Hash]uint32)}
}

func (t *hashTable) get(h index.Hash) (uint32, bool) {
	id, ok := t.byKey[binary.LittleEndian.Uint64(h[:8])]
	if !ok || t.hash(id) == h {
		return id, ok
	}
	id, ok = t.rest[h]
	return id, ok
}

// add notes a chunk that get does not find.
func (t *hashTable) add(h index.Hash, id uint32) {
	key := binary.LittleEndian.Uint64(h[:8])
	if _, ok := t.byKey[key]; ok {
		t.rest[h] = id
		return
	}
	t.byKey[key] = id
}
