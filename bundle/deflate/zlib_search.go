package deflate

import (
	"encoding/binary"
	"math/bits"
)

// searchSteps bounds how many candidates are looked at, together with the
// level's own bound: then the search begins again as zlib does it.
const searchSteps = 128

// first finds the match that zlib would find at data[i]: the nearest of the
// longest ones among the first most candidates of its chain, or the first one
// of length nice. At least maxMatch+8 bytes follow data[i]; base is the
// position of data[0]. A match of three bytes is not looked for where it would
// be too far to be of use. Without a match, length is less than minMatch.
func (l *zlibLinks) first(data []byte, base, i, most, nice int) (length, from int) {
	at := uint16(i + base)
	if l.link[at] == zlibFar {
		// the farthest distance is allowed at the head of a chain
		return l.near(data, base, i, minMatch-1, most, nice, maxMatch)
	}
	lim := max(i-zlibFar, l.low-base, -1)
	if i-int(l.four.link[at]) > lim {
		var ok bool
		if length, from, lim, ok = l.find(&l.eight, data, base, i, lim, most, nice); ok && length == 0 {
			length, from, lim, ok = l.find(&l.four, data, base, i, lim, most, 7)
		}
		if !ok {
			return l.near(data, base, i, minMatch-1, most, nice, maxMatch)
		}
		if length > 0 {
			return length, from
		}
	}
	return l.three(data, base, i, lim, most)
}

// better finds a match as first does, if it is longer than best, which is at
// least minMatch. If there is none, it returns best.
func (l *zlibLinks) better(data []byte, base, i, best, most, nice int) (length, from int) {
	at := uint16(i + base)
	if l.four.link[at] > zlibFar || l.four.link[at+uint16(best-3)] > zlibFar {
		return best, 0
	}
	if l.link[at] == zlibFar {
		return l.near(data, base, i, best, most, nice, maxMatch)
	}
	lim := max(i-zlibFar, l.low-base, -1)
	var ok bool
	if best < 7 {
		if length, from, lim, ok = l.find(&l.eight, data, base, i, lim, most, nice); ok && length == 0 {
			length, from, ok = l.longer(&l.four, data, base, i, lim, best, i, most, 7)
		}
	} else {
		length, from, ok = l.longer(&l.eight, data, base, i, lim, best, i, most, nice)
	}
	if !ok {
		return l.near(data, base, i, best, most, nice, maxMatch)
	}
	return length, from
}

// find finds the nearest of the longest matches among the candidates of k after
// data[lim]. One of length enough need not be surpassed. It returns length 0 if
// there is none, and where zlib would have stopped. It gives up, and returns
// false, if there are too many candidates.
func (l *zlibLinks) find(k *zlibKeyed, data []byte, base, i, lim, most, enough int) (length, from, limit int, ok bool) {
	at := uint16(i + base)
	x := binary.LittleEndian.Uint64(data[i:]) & k.mask
	q := i - int(k.link[at])
	for n := 0; q > lim; n++ {
		if binary.LittleEndian.Uint64(data[q:])&k.mask == x {
			if l.beyond(at, uint16(q+base), most) {
				return 0, 0, q, true
			}
			length, from, ok = l.longer(k, data, base, i, lim, extend(data, q, i, k.size), q, most, enough)
			return length, from, lim, ok
		}
		if n == searchSteps+most {
			return 0, 0, lim, false
		}
		q -= int(k.link[uint16(q+base)])
	}
	return 0, 0, lim, true
}

// longer is find for matches that are longer than best, which begins at
// data[from], or was found for another place if from is i. If there is none, it
// returns best.
//
// Such a match has in common with data[i:] both the bytes of the first key and
// those of the key that ends one after best. So it is in two chains, of which
// one may be much rarer than the other: the one that leads farther is followed,
// and after some steps both.
func (l *zlibLinks) longer(k *zlibKeyed, data []byte, base, i, lim, best, from, most, enough int) (int, int, bool) {
	at := uint16(i + base)
	x := binary.LittleEndian.Uint64(data[i:]) & k.mask
	for best < enough {
		j := best + 1 - k.size
		y := binary.LittleEndian.Uint64(data[i+j:]) & k.mask
		a := from - int(k.link[uint16(from+base)])
		b := i - int(k.link[at+uint16(j)])
		second := b < a
		for n := 0; ; n++ {
			if a <= lim || b <= lim {
				return best, from, true
			}
			q := a
			if second {
				q = b
			}
			if binary.LittleEndian.Uint64(data[q+j:])&k.mask == y && binary.LittleEndian.Uint64(data[q:])&k.mask == x && q < from {
				if size := extend(data, q, i, k.size); size > best {
					if l.beyond(at, uint16(q+base), most) {
						return best, from, true
					}
					best, from = size, q
					break
				}
			}
			if n >= 8 {
				second = !second
				if n == searchSteps+most {
					return best, from, false
				}
			}
			if second {
				b -= int(k.link[uint16(b+j+base)])
			} else {
				a -= int(k.link[uint16(a+base)])
			}
		}
	}
	return best, from, true
}

// beyond reports whether zlib would not come as far as q among its candidates
// for at.
func (l *zlibLinks) beyond(at, q uint16, most int) bool {
	return int(l.rank[at]-l.rank[q]) > most
}

// three finds the nearest match of three bytes, if there is one that is not
// too far for zlib to use it.
func (l *zlibLinks) three(data []byte, base, i, lim, most int) (length, from int) {
	lim = max(lim, i-zlibTooFar-1)
	x := binary.LittleEndian.Uint32(data[i:]) << 8
	for q := i - int(l.link[uint16(i+base)]); q > lim && most > 0; most-- {
		if binary.LittleEndian.Uint32(data[q:])<<8 == x {
			return minMatch, q
		}
		q -= int(l.link[uint16(q+base)])
	}
	return minMatch - 1, i
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
// follow data[i]. If there is no match that is longer than best, it returns
// best and i.
func (l *zlibLinks) near(data []byte, base, i, best, most, nice, longest int) (length, from int) {
	length, from = best, i
	first := max(l.low-base, -1)
	lim := max(i-zlibFar, first)
	q := i - int(l.link[uint16(i+base)])
	if q == lim && q > first {
		lim--
	}
	for ; q > lim && most > 0 && length < longest; most-- {
		if data[q+length] == data[i+length] {
			if n := common(data[q:q+longest], data[i:i+longest]); n > length {
				if length, from = n, q; n >= nice {
					break
				}
			}
		}
		q -= int(l.link[uint16(q+base)])
	}
	return length, from
}
