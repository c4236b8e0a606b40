package deflate

import (
	"encoding/binary"
	"math/bits"
)

// searchSteps bounds how many candidates of a chain with a longer key are
// looked at. After them zlib's own chain is walked, which its level bounds.
const searchSteps = 256

// A zlibSearch is what is asked: which match would zlib find at data[i]?
type zlibSearch struct {
	data []byte
	base int // position of data[0]
	i    int
	lim  int // matches begin after data[lim]
	best int // only longer ones are of use
	from int // the best match begins at data[from]; -1 if there is none
	most int // candidates of zlib's chain
	nice int // the first match that is so long is taken
}

// far finds the nearest of the longest matches that is longer than best,
// among the first most candidates of zlib's chain. At least maxMatch+8 bytes
// follow data[i]. If there is none, from is -1.
func (l *zlibLinks) far(data []byte, base, i, best, most, nice int) (length, from int) {
	at := uint16(i + base)
	s := zlibSearch{data: data, base: base, i: i, best: best, from: -1, most: most, nice: nice}
	s.lim = max(i-zlibFar, l.low-base, -1)
	if l.link3[at] == zlibFar {
		// the farthest distance is allowed at the head of a chain
		return l.near(data, base, i, best, most, nice, maxMatch)
	}
	if l.link4[at] < zlibFar {
		ok := l.link8[at] >= zlibFar || s.keyed(l, &l.link8, 8, ^uint64(0), maxMatch)
		// when there are no matches of 8 bytes
		ok = ok && (s.best >= 7 || s.keyed(l, &l.link4, 4, 1<<32-1, 7))
		if !ok {
			return l.near(data, base, i, best, most, nice, maxMatch)
		}
	}
	if s.best < minMatch {
		s.three(l)
	}
	return s.best, s.from
}

// keyed finds the matches of at least key bytes with the help of a chain that
// has such keys. Those longer than enough need not be looked for. It returns
// false if there are too many candidates.
func (s *zlibSearch) keyed(l *zlibLinks, link *[1 << 16]uint16, key int, mask uint64, enough int) bool {
	data, base, i, lim := s.data, s.base, s.i, s.lim
	at := uint16(i + base)
	x := binary.LittleEndian.Uint64(data[i:]) & mask
	a := i - int(link[at])
	if s.best < key {
		for n := 0; ; n++ {
			if a <= lim {
				return true
			}
			if binary.LittleEndian.Uint64(data[a:])&mask == x {
				if size := extend(data, a, i, key); size > s.best {
					if !s.take(l, a, size) {
						return true
					}
					break
				}
			}
			if n == searchSteps {
				return false
			}
			a -= int(link[uint16(a+base)])
		}
	}
	// A match that is longer than best has in common with data[i:] both its
	// first key bytes and those that end at best. So it is in two chains, of
	// which one may be much rarer than the other.
	for s.best < s.nice && s.best < enough {
		j := s.best + 1 - key
		y := binary.LittleEndian.Uint64(data[i+j:]) & mask
		if s.from >= 0 {
			a = s.from - int(link[uint16(s.from+base)])
		}
		b := i - int(link[at+uint16(j)])
		second := b < a
		for n := 0; ; n++ {
			if a <= lim || b <= lim {
				return true
			}
			q := a
			if second {
				q = b
			}
			if binary.LittleEndian.Uint64(data[q+j:])&mask == y && binary.LittleEndian.Uint64(data[q:])&mask == x &&
				(s.from < 0 || q < s.from) {
				if size := extend(data, q, i, key); size > s.best {
					if !s.take(l, q, size) {
						return true
					}
					break
				}
			}
			if n >= 8 {
				second = !second
				if n == searchSteps {
					return false
				}
			}
			if second {
				b -= int(link[uint16(b+j+base)])
			} else {
				a -= int(link[uint16(a+base)])
			}
		}
	}
	return true
}

// take notes a better match. It returns false, and moves the limit, if zlib
// would not come as far.
func (s *zlibSearch) take(l *zlibLinks, q, size int) bool {
	if int(l.rank[uint16(s.i+s.base)]-l.rank[uint16(q+s.base)]) > s.most {
		s.lim = q
		return false
	}
	s.best, s.from = size, q
	return true
}

// three finds the nearest match of three bytes, if there is one that is not
// too far for zlib to use it.
func (s *zlibSearch) three(l *zlibLinks) {
	lim := max(s.lim, s.i-zlibTooFar-1)
	x := binary.LittleEndian.Uint32(s.data[s.i:]) << 8
	q := s.i - int(l.link3[uint16(s.i+s.base)])
	for n := 0; q > lim && n < s.most; n++ {
		if binary.LittleEndian.Uint32(s.data[q:])<<8 == x {
			s.best, s.from = minMatch, q
			return
		}
		q -= int(l.link3[uint16(q+s.base)])
	}
}

// extend returns how many bytes, at most maxMatch, from data[q] on are as from
// data[i] on, of which the first n are known to be.
func extend(data []byte, q, i, n int) int {
	a, b := data[q:q+maxMatch+8], data[i:i+maxMatch+8]
	for ; n < maxMatch; n += 8 {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return min(n+bits.TrailingZeros64(x)>>3, maxMatch)
		}
	}
	return maxMatch
}

// near is the search as zlib does it. Only longest bytes count, and as many
// follow data[i].
func (l *zlibLinks) near(data []byte, base, i, best, most, nice, longest int) (length, from int) {
	from = -1
	lim := max(i-zlibFar, l.low-base, -1)
	q := i - int(l.link3[uint16(i+base)])
	if q == i-zlibFar && q > max(l.low-base, -1) {
		lim = q - 1
	}
	for ; q > lim && most > 0 && best < longest; most-- {
		if data[q+best] == data[i+best] {
			if n := common(data[q:q+longest], data[i:i+longest]); n > best {
				best, from = n, q
				if n >= nice {
					break
				}
			}
		}
		q -= int(l.link3[uint16(q+base)])
		lim = max(i-zlibFar, lim)
	}
	return best, from
}
