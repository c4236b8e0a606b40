package deflate

import "encoding/binary"

// zlibLinks tells for each position where the bytes that stand there stood
// before. At levels 4 to 9 zlib puts every position into its hash chains, so
// that these are a function of the raw bytes alone: no matter which tokens were
// made, and they can be built ahead, in one tight loop.
//
// Besides zlib's own chains there are two with longer keys. zlib finds the
// nearest of the longest among the first few candidates of its chain; a chain
// with a longer key names the same candidates in the same order, but leaves out
// most of those that are too short, and rank tells which of them zlib would
// have come to.
//
// All is indexed by position mod 65536, and distances of more than 65535 are
// stored as that.
type zlibLinks struct {
	shift uint
	mask  uint32
	low   int // the first position that there is
	// end3 and end8 are the first positions that are not in the chains: of
	// zlib's, and of the others, which need eight bytes.
	end3, end8 int
	used       bool

	link3 [1 << 16]uint16 // distance to the one before, of zlib's hash
	rank  [1 << 16]uint16 // the number of those before, mod 65536
	link4 [1 << 16]uint16 // of four bytes
	link8 [1 << 16]uint16 // of eight bytes
	head3 []uint32        // the newest position with a hash
	head4 [1 << 16]uint32
	head8 [1 << 16]uint32
}

const (
	// linksChunk is how many positions are linked at a time.
	linksChunk = 4 << 10
	// linksBack is how far the place of prediction may be before the newest of
	// them, such that all of its window is still there.
	linksBack = 31 << 10
)

func newZlibLinks(hashBits uint) *zlibLinks {
	return &zlibLinks{
		shift: (hashBits + 2) / 3,
		mask:  1<<hashBits - 1,
		head3: make([]uint32, 1<<hashBits),
	}
}

// reset starts with position low.
func (l *zlibLinks) reset(low int) {
	l.low = low
	l.restart(low)
}

// restart forgets all strings, and begins again with pos.
func (l *zlibLinks) restart(pos int) {
	// no string is as far away as this
	never := uint32(pos) - 1<<16
	for i := range l.head3 {
		l.head3[i] = never
	}
	for i := range l.head4 {
		l.head4[i] = never
	}
	for i := range l.head8 {
		l.head8[i] = never
	}
	l.end3, l.end8 = pos, pos
}

// seek makes sure that what is linked fits a prediction from pos on.
func (l *zlibLinks) seek(in *input, pos int) {
	from := max(pos-zlibWindow, in.base, l.low)
	if l.end8 < from || l.end3 > pos+linksBack {
		l.restart(from)
	}
}

// fill links the positions from end8 to pos, as far as their eight bytes are in
// memory.
func (l *zlibLinks) fill(in *input, pos int) {
	pos = min(pos, in.end()-7)
	if l.end3 > l.end8 {
		// some have been linked already, when the end seemed to be near
		until := min(l.end3, pos)
		l.long(in, until)
	}
	if l.end8 >= pos {
		return
	}
	data := in.data[l.end8-in.base : pos+7-in.base]
	p := uint32(l.end8)
	shift, mask := l.shift&15, l.mask
	head3, head4, head8 := l.head3[:mask+1], &l.head4, &l.head8
	h := uint32(data[0])<<shift ^ uint32(data[1])
	for ; len(data) >= 8; data = data[1:] {
		x := binary.LittleEndian.Uint64(data)
		h = (h<<shift ^ uint32(x>>16)&0xff) & mask
		d := min(p-head3[h], 0xffff)
		head3[h] = p
		l.link3[uint16(p)] = uint16(d)
		l.rank[uint16(p)] = l.rank[uint16(p-d)] + 1

		h4 := uint32(x) * 0x9e3779b1 >> 16
		l.link4[uint16(p)] = uint16(min(p-head4[h4], 0xffff))
		head4[h4] = p

		h8 := x * 0x9e3779b97f4a7c15 >> 48
		l.link8[uint16(p)] = uint16(min(p-head8[h8], 0xffff))
		head8[h8] = p
		p++
	}
	l.end3, l.end8 = pos, pos
}

// long links the positions from end8 to pos in the chains with longer keys.
func (l *zlibLinks) long(in *input, pos int) {
	for ; l.end8 < pos; l.end8++ {
		x := binary.LittleEndian.Uint64(in.data[l.end8-in.base:])
		p := uint32(l.end8)
		h4 := uint32(x) * 0x9e3779b1 >> 16
		l.link4[uint16(p)] = uint16(min(p-l.head4[h4], 0xffff))
		l.head4[h4] = p
		h8 := x * 0x9e3779b97f4a7c15 >> 48
		l.link8[uint16(p)] = uint16(min(p-l.head8[h8], 0xffff))
		l.head8[h8] = p
	}
}

// fillEnd links what fill leaves at the end of the bytes in memory, in zlib's
// chains only.
func (l *zlibLinks) fillEnd(in *input) {
	l.fill(in, in.end())
	for ; l.end3 < in.end()-2; l.end3++ {
		b := in.data[l.end3-in.base:]
		h := (uint32(b[0])<<(2*l.shift) ^ uint32(b[1])<<l.shift ^ uint32(b[2])) & l.mask
		p := uint32(l.end3)
		d := min(p-l.head3[h], 0xffff)
		l.head3[h] = p
		l.link3[uint16(p)] = uint16(d)
		l.rank[uint16(p)] = l.rank[uint16(p-d)] + 1
	}
}
