package deflate

import "encoding/binary"

// zlibLinks tells for each position where the bytes that stand there stood
// before. At levels 4 to 9 zlib puts every position into its hash chains, so
// that these are a function of the raw bytes alone: they do not depend on which
// tokens were made, and are built ahead, in tight loops.
//
// All is indexed by position mod 65536. Distances of more than 65535 are stored
// as that.
type zlibLinks struct {
	low int // the first position that there is
	// end is the first position that is not in zlib's chains; the others, with
	// keys of up to 8 bytes, may lag behind.
	end, endKeyed int

	shift uint
	mask  uint32
	head  []uint32        // the newest position with a hash
	link  [1 << 16]uint16 // distance to the one before with the same hash
	rank  [1 << 16]uint16 // the number of those before, mod 65536

	four, eight zlibKeyed
}

// zlibKeyed are chains with a longer key than zlib's. They name the same
// candidates in the same order, but leave out most of those that are too short.
type zlibKeyed struct {
	size int    // of the key in bytes
	mask uint64 // of the key in 8 bytes
	link [1 << 16]uint16
	head [1 << 16]uint32
}

const (
	// linksChunk is how many positions are linked at a time.
	linksChunk = 8 << 10
	// linksBack is how far the place of prediction may be before the newest of
	// them, such that all of its window is still there.
	linksBack = 31 << 10
)

func newZlibLinks(hashBits uint) *zlibLinks {
	l := &zlibLinks{
		shift: (hashBits + 2) / 3,
		mask:  1<<hashBits - 1,
		head:  make([]uint32, 1<<hashBits),
	}
	l.four.size, l.four.mask = 4, 1<<32-1
	l.eight.size, l.eight.mask = 8, 1<<64-1
	return l
}

// reset starts with position low.
func (l *zlibLinks) reset(low int) {
	l.low = low
	l.restart(low)
}

// restart forgets all strings, and begins again with pos.
func (l *zlibLinks) restart(pos int) {
	l.end, l.endKeyed = pos, pos
	forget(l.head, pos)
	forget(l.four.head[:], pos)
	forget(l.eight.head[:], pos)
}

// forget makes all strings farther away from pos than any match can be.
func forget(head []uint32, pos int) {
	for i := range head {
		head[i] = uint32(pos) - 1<<16
	}
}

// seek makes sure that what is linked is of use for a prediction from pos on.
func (l *zlibLinks) seek(in *input, pos int) {
	from := max(pos-zlibWindow, in.base, l.low)
	if l.endKeyed < from || l.end > pos+linksBack {
		l.restart(from)
	}
}

// fill links the positions before pos, as far as the bytes of their keys are
// in memory.
func (l *zlibLinks) fill(in *input, pos int) {
	if n := min(pos, in.end()-2) - l.end; n > 0 {
		l.short(in.data[l.end-in.base:][:n+2])
	}
	if n := min(pos, in.end()-7) - l.endKeyed; n > 0 {
		l.long(in.data[l.endKeyed-in.base:][:n+7])
	}
}

// short links the positions from end on as zlib does. They are where three
// bytes of data begin.
func (l *zlibLinks) short(data []byte) {
	shift, head := l.shift&7, l.head[:l.mask+1]
	p := uint32(l.end)
	l.end += len(data) - 2
	h := uint32(data[0])<<shift ^ uint32(data[1])
	for _, c := range data[2:] {
		h = (h<<shift ^ uint32(c)) & l.mask
		d := min(p-head[h], 0xffff)
		head[h] = p
		l.link[uint16(p)] = uint16(d)
		l.rank[uint16(p)] = l.rank[uint16(p-d)] + 1
		p++
	}
}

// long links the positions from endKeyed on in the chains with longer keys.
// They are where eight bytes of data begin.
func (l *zlibLinks) long(data []byte) {
	p := uint32(l.endKeyed)
	l.endKeyed += len(data) - 7
	four, eight := &l.four, &l.eight
	for ; len(data) >= 8; data = data[1:] {
		x := binary.LittleEndian.Uint64(data)
		h := uint32(x) * 0x9e3779b1 >> 16
		four.link[uint16(p)] = uint16(min(p-four.head[h], 0xffff))
		four.head[h] = p
		h = uint32(x * 0x9e3779b97f4a7c15 >> 48)
		eight.link[uint16(p)] = uint16(min(p-eight.head[h], 0xffff))
		eight.head[h] = p
		p++
	}
}
