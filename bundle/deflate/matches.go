package deflate

import (
	"encoding/binary"
	"math/bits"
)

// matches finds all that a compressor could have taken at a place: what is
// coded without, or against, a prediction is told as a choice among that.
type matches struct {
	head [1 << hashBits]uint32 // position of the newest string with a hash
	prev [maxDistance]uint32   // for each position, the one before it
	next int                   // the first position that is not in the tables
	used bool
	last [2]place
}

const (
	hashBits = 15
	// depth is how many earlier strings are looked at.
	depth = 128
)

// A place is what was found for a position, in two versions of each length:
// the nearest distance that reaches it.
type place struct {
	pos  int
	n    int
	recs [maxRecords]record
}

const maxRecords = 24

// A record is a match that is longer than all nearer ones.
type record struct{ length, distance uint32 }

// longest returns the longest match; none has length 0.
func (p *place) longest() record {
	if p.n == 0 {
		return record{}
	}
	return p.recs[p.n-1]
}

// reaching returns the nearest match of at least length.
func (p *place) reaching(length int) (record, bool) {
	for _, r := range p.recs[:p.n] {
		if int(r.length) >= length {
			return r, true
		}
	}
	return record{}, false
}

func newMatches() *matches { return &matches{last: [2]place{{pos: -1}, {pos: -1}}} }

// reset starts a frame.
func (f *matches) reset() {
	if f.used {
		clear(f.head[:])
	}
	f.used, f.next = false, -maxDistance
	f.last[0].pos, f.last[1].pos = -1, -1
}

func hash3(b []byte) uint32 {
	return (uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16) * 0x9e3779b1 >> (32 - hashBits)
}

// fill puts all positions before pos into the tables.
func (f *matches) fill(in *input, pos int) {
	f.used = true
	f.next = max(f.next, pos-maxDistance, in.base)
	for last := min(pos, in.end()-2); f.next < last; f.next++ {
		h := hash3(in.data[f.next-in.base:])
		f.prev[f.next&(maxDistance-1)] = f.head[h]
		f.head[h] = uint32(f.next + 1) // 0 is none
	}
}

// at returns what there is at pos.
func (f *matches) at(in *input, pos int) *place {
	for i := range f.last {
		if f.last[i].pos == pos {
			return &f.last[i]
		}
	}
	p := &f.last[0]
	if f.last[0].pos > f.last[1].pos {
		p = &f.last[1]
	}
	p.pos, p.n = pos, 0
	best := uint32(minMatch - 1)
	f.walk(in, pos, func(length, distance uint32) bool {
		if length > best && p.n < maxRecords {
			best = length
			p.recs[p.n] = record{length, distance}
			p.n++
		}
		return best < maxMatch
	}, &best)
	return p
}

// hop numbers the matches at pos that have at least length, from the nearest
// on, and returns the distance of the n-th, or the number of the one with the
// distance; zeros if there is none.
func (f *matches) hop(in *input, pos, length int, n int, distance uint32) (int, uint32) {
	k, least := 0, uint32(length-1)
	var hop int
	var found uint32
	f.walk(in, pos, func(l, d uint32) bool {
		if int(l) >= length {
			if k++; k == n || d == distance {
				hop, found = k, d
				return false
			}
		}
		return true
	}, &least)
	return hop, found
}

// walk calls yield with the matches at pos that may be longer than *best.
func (f *matches) walk(in *input, pos int, yield func(length, distance uint32) bool, best *uint32) {
	f.fill(in, pos)
	data := in.data
	i := pos - in.base
	most := min(maxMatch, len(data)-i)
	if most < minMatch {
		return
	}
	at := f.head[hash3(data[i:])]
	for range depth {
		d := uint32(pos+1) - at
		if at == 0 || d > maxDistance || int(d) > i {
			return
		}
		if d > 0 { // 0 is pos itself, if it is in the tables already
			c := i - int(d)
			if b := int(*best); b < most && data[c+b] == data[i+b] {
				if n := common(data[c:c+most], data[i:i+most]); n >= minMatch && !yield(uint32(n), d) {
					return
				}
			}
		}
		older := f.prev[(at-1)&(maxDistance-1)]
		if older == at || uint32(pos+1)-older < d {
			return
		}
		at = older
	}
}

// common returns how many bytes a and b, of the same length, begin with
// together.
func common(a, b []byte) int {
	n := 0
	for len(a)-n >= 8 && len(b)-n >= 8 {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)>>3
		}
		n += 8
	}
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
