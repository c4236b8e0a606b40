package deflate

import (
	"encoding/binary"
	"math/bits"
)

// matches finds all that a compressor could have taken at a place: what is
// coded without, or against, a prediction is told as a choice among that.
type matches struct {
	near [1 << hashBits]uint32 // position of the newest 3 bytes with a hash
	head [1 << hashBits]uint32 // and of the newest 4 bytes
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
		clear(f.near[:])
		clear(f.head[:])
	}
	f.used, f.next = false, -maxDistance
	f.last[0].pos, f.last[1].pos = -1, -1
}

func hash3(v uint32) uint32 { return v << 8 * 0x9e3779b1 >> (32 - hashBits) }

func hash4(v uint32) uint32 { return v * 0x9e3779b1 >> (32 - hashBits) }

// fill puts all positions before pos into the tables.
func (f *matches) fill(in *input, pos int) {
	f.used = true
	f.next = max(f.next, pos-maxDistance, in.base)
	for last := min(pos, in.end()-3); f.next < last; f.next++ {
		v := binary.LittleEndian.Uint32(in.data[f.next-in.base:])
		h := hash4(v)
		f.prev[f.next&(maxDistance-1)] = f.head[h]
		f.head[h] = uint32(f.next + 1) // 0 is none
		f.near[hash3(v)] = uint32(f.next + 1)
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
	f.fill(in, pos)
	data := in.data
	i := pos - in.base
	most := min(maxMatch, len(data)-i)
	if most < minMatch {
		return p
	}
	here := data[i : i+most]
	best := minMatch - 1
	v := uint32(here[0]) | uint32(here[1])<<8 | uint32(here[2])<<16
	if at := f.near[hash3(v)]; at != 0 {
		if d := uint32(pos+1) - at; d > 0 && d <= maxDistance && int(d) <= i {
			c := i - int(d)
			if n := common(data[c:c+most], here); n >= minMatch {
				p.recs[0], p.n, best = record{uint32(n), d}, 1, n
			}
		}
	}
	if best == most || most < 4 {
		return p
	}
	best = max(best, minMatch)
	// the last two bytes of what would be one longer than the best
	end := binary.LittleEndian.Uint16(here[best-1:])
	at := f.head[hash4(v|uint32(here[3])<<24)]
	for range depth {
		d := uint32(pos+1) - at
		if at == 0 || d > maxDistance || int(d) > i {
			break
		}
		c := i - int(d)
		if binary.LittleEndian.Uint16(data[c+best-1:]) == end && d > 0 {
			if n := common(data[c:c+most], here); n > best && p.n < maxRecords {
				p.recs[p.n] = record{uint32(n), d}
				p.n++
				if n == most {
					break
				}
				best = n
				end = binary.LittleEndian.Uint16(here[best-1:])
			}
		}
		older := f.prev[(at-1)&(maxDistance-1)]
		if older == at || uint32(pos+1)-older < d {
			break
		}
		at = older
	}
	return p
}

// hop numbers the matches at pos that have at least length, from the nearest
// on, and returns the distance of the n-th, or the number of the one with the
// distance; zeros if there is none.
func (f *matches) hop(in *input, pos, length int, n int, distance uint32) (int, uint32) {
	f.fill(in, pos)
	data := in.data
	i := pos - in.base
	if length < minMatch || length > len(data)-i {
		return 0, 0
	}
	here := data[i : i+length]
	if length < 4 {
		return 0, 0 // there is only one such match
	}
	at := f.head[hash4(binary.LittleEndian.Uint32(here))]
	k := 0
	for range depth {
		d := uint32(pos+1) - at
		if at == 0 || d > maxDistance || int(d) > i {
			break
		}
		if d > 0 && common(data[i-int(d):][:length], here) == length {
			if k++; k == n || d == distance {
				return k, d
			}
		}
		older := f.prev[(at-1)&(maxDistance-1)]
		if older == at || uint32(pos+1)-older < d {
			break
		}
		at = older
	}
	return 0, 0
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
