package deflate

import "encoding/binary"

// Go's window is a buffer of 64 KiB. When goSpare bytes or fewer are left to be
// looked at, its upper half becomes the lower one. No match begins before the
// buffer, which is why distances are a little less than 32 KiB after that.
const (
	goHalf  = 32 << 10
	goSpare = 261
	goFull  = 2*goHalf - goSpare
)

// goFar is the greatest distance of a match of four bytes.
const goFar = 4 << 10

// A goBuffer is what the predictors with chains have in common.
type goBuffer struct {
	goLevel
	goChains
	pos   int // where the next token begins
	known int // positions before it are in the chains, or never will be
	start int // of the frame, or of the part of its dictionary that counts
}

func (p *goBuffer) reset(in *input) {
	clear(p.head[:])
	clear(p.prev[:])
	p.start = max(in.base, -goHalf)
	p.pos, p.known = 0, p.start
}

// A goView is an input and what depends on it; all positions are places in it.
type goView struct {
	off    uint32 // turns them into what head holds
	stop   int    // no token begins there any more
	hashes int    // how many positions have four bytes
	known  int
	buffer int // where the buffer begins
	still  int // the buffer does not move on from here
}

func (p *goBuffer) view(in *input) goView {
	v := goView{
		off:    uint32(in.base + goBias),
		stop:   len(in.data),
		hashes: max(0, len(in.data)-goMinMatch+1),
		known:  p.known - in.base,
		buffer: p.start - in.base,
		still:  noLimit,
	}
	if in.last {
		v.still = len(in.data) - 2*goHalf
	} else {
		v.stop -= goAheadMin
	}
	i := p.pos - in.base
	if v.known > i+goHalf || v.known < i-goHalf {
		// the chains lack what is before i
		v.known = i - goHalf
	}
	v.known = max(v.known, 0)
	if i < 0 {
		v.stop = i
	}
	if n := min(i-goFull, v.still-1) - v.buffer; n >= 0 {
		v.buffer += (n/goHalf + 1) * goHalf
	}
	return v
}

// reach returns how far back a match at i may begin.
func (v *goView) reach(i int) int {
	for i-v.buffer >= goFull && v.buffer < v.still {
		v.buffer += goHalf
	}
	return min(i-v.buffer, goReach, i)
}

// firstMatch returns the first match at i of four bytes or more, the end of w
// being its limit, and how many places may be looked at after it. dist is 0 if
// there is none.
func (p *goBuffer) firstMatch(w []byte, i int, at uint16, reach int) (length, dist, left int) {
	here := w[i:]
	v := binary.LittleEndian.Uint32(here)
	left = p.hops
	d := int(p.prev[at])
	for {
		if d, left = p.follow(w[i-reach:i+4], at, d, left, v); left == 0 {
			return 0, 0, 0
		}
		n := goMinMatch + common(w[i+goMinMatch-d:], here[goMinMatch:])
		left--
		if n > goMinMatch || d <= goFar {
			return n, d, left
		}
		d += int(p.prev[at-uint16(d)])
	}
}
