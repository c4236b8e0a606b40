package index

import (
	"github.com/opencontainers/go-digest"

	"bale/bundle/delta"
	"bale/bundle/fault"
	"bale/bundle/pack"
)

func sha256Digest(h Hash) digest.Digest { return digest.NewDigestFromBytes(digest.SHA256, h[:]) }

// nextFrame is where the next frame stands: offsets and ordinals are not
// stored but follow from what came before.
type nextFrame struct {
	pack   int // ordinal of the pack
	inPack int // frames of it seen so far
	offset int64
	chunk  uint64
}

// frameItem parses one frame and places it.
func (l *loader) frameItem(d *decoder) {
	f := Frame{
		Kind:   pack.Kind(d.uvarint()),
		Stored: int64(d.number("size of a frame", pack.MaxSize)),
		Raw:    int64(d.number("raw size of a frame", pack.MaxFrame)),
		Chunks: uint32(d.number("chunks of a frame", pack.MaxFrame)),
	}
	switch f.Kind {
	case pack.Plain:
	case pack.Dictionary, pack.Patch:
		// What these name is compared with the chunks when all are there.
		var chunks uint64
		f.Dictionary, chunks = d.runs(MaxChunks)
		l.refer(d, chunks)
		if d.err == nil && len(f.Dictionary) == 0 {
			d.fail("index: frame %d builds on nothing", len(l.x.Frames))
		}
		if f.Kind == pack.Patch {
			f.Patch = int64(d.number("size of a patch", uint64(delta.MaxPatch(int(f.Raw)))))
		}
	default:
		if d.err == nil {
			d.err = fault.WithHint(fault.Unsupported("frames of kind %d are not known", f.Kind), "use a newer bale")
		}
		return
	}
	n := &l.next
	switch {
	case d.err != nil:
		return
	case len(l.x.Frames) == MaxFrames:
		d.fail("index has more than %d frames", MaxFrames)
		return
	case f.Stored == 0 || f.Raw == 0 || f.Chunks == 0:
		d.fail("index: frame %d is empty", len(l.x.Frames))
		return
	case n.pack >= len(l.x.Packs):
		d.fail("index: frame %d is in no pack", len(l.x.Frames))
		return
	case n.chunk+uint64(f.Chunks) > MaxChunks:
		d.fail("index has more than %d chunks", MaxChunks)
		return
	}
	if n.inPack == 0 {
		n.offset = pack.HeaderSize
	}
	f.Pack, f.Offset, f.FirstChunk = uint32(n.pack), n.offset, uint32(n.chunk)
	n.offset += f.Stored
	n.chunk += uint64(f.Chunks)
	n.inPack++
	if p := &l.x.Packs[n.pack]; n.inPack == p.Frames {
		if n.offset != p.Size {
			d.fail("index: pack %s has %d bytes, its frames end at %d", p.Digest, p.Size, n.offset)
			return
		}
		n.pack, n.inPack = n.pack+1, 0
	}
	l.x.Frames = append(l.x.Frames, f)
}

// check compares the tables with each other, once all of them are there.
func (x *Index) check() error {
	var frames, external int
	for i := range x.Packs {
		frames += x.Packs[i].Frames
	}
	if frames != len(x.Frames) {
		return fault.Damaged("index: packs have %d frames, the table has %d", frames, len(x.Frames))
	}
	chunk := uint64(0)
	for i := range x.Frames {
		f := &x.Frames[i]
		end := chunk + uint64(f.Chunks)
		if end > uint64(x.Chunks.Own()) {
			return fault.Damaged("index: frame %d names chunks that do not exist", i)
		}
		var raw int64
		for ; chunk < end; chunk++ {
			raw += x.Chunks.Length(uint32(chunk))
		}
		if raw != f.Raw {
			return fault.Damaged("index: frame %d has %d raw bytes, its chunks have %d", i, f.Raw, raw)
		}
	}
	if chunk != uint64(x.Chunks.Own()) {
		return fault.Damaged("index: %d chunks are in no frame", uint64(x.Chunks.Own())-chunk)
	}
	for _, b := range x.Bases {
		external += b.Chunks
	}
	if n := x.Chunks.Len() - x.Chunks.Own(); n != external {
		return fault.Damaged("index: bases have %d chunks, the table has %d", external, n)
	}
	return x.checkDictionaries()
}

// checkDictionaries makes sure that no dictionary needs a dictionary.
func (x *Index) checkDictionaries() error {
	for i := range x.Frames {
		var size int64
		for _, r := range x.Frames[i].Dictionary {
			if uint64(r.First)+uint64(r.Count) > uint64(x.Chunks.Len()) {
				return fault.Damaged("index: the dictionary of frame %d names chunk %d, which does not exist", i, r.First+r.Count-1)
			}
			for c := r.First; c < r.First+r.Count; {
				// Whole frames at a time; the external chunks follow all of them.
				f, own := x.Frame(c)
				end := r.First + r.Count
				if own {
					if x.Frames[f].Kind != pack.Plain {
						return fault.Damaged("index: the dictionary of frame %d needs a dictionary itself", i)
					}
					end = min(end, x.Frames[f].FirstChunk+x.Frames[f].Chunks)
				}
				for ; c < end; c++ {
					if size += x.Chunks.Length(c); size > pack.MaxDictionary {
						return fault.Damaged("index: the dictionary of frame %d has more than %d bytes", i, pack.MaxDictionary)
					}
				}
			}
		}
	}
	return nil
}
