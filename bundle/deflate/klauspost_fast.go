package deflate

import (
	"encoding/binary"
	"math/bits"
)

// What the fast levels (1 to 6) of klauspost/compress have in common. They came
// from Snappy's way of searching: hash tables without chains, steps that grow
// while nothing is found, and input in blocks that no match crosses.
const (
	// kpGrid is how many raw bytes a fast level searches at a time.
	kpGrid = 1<<16 - 1
	// kpMargin is how near to the end of its bytes a search is over.
	kpMargin = 11
	// kpReach bounds the distance of candidates: it is one less than what
	// DEFLATE allows, but for matches that follow a match in levels 1 and 2.
	kpReach = maxDistance - 1
	// kpTiny is up to how many bytes a search is not even begun.
	kpTiny = kpMargin + 1

	kpShortBits = 15 // log of the entries of most tables
)

// Multipliers of the hashes, by how many bytes go into it.
const (
	kpPrime4 = 2654435761
	kpPrime5 = 889523592379
	kpPrime7 = 58295818150454627
)

func kpHash4(v uint64) uint32 { return uint32(v) * kpPrime4 >> (32 - kpShortBits) }
func kpHash5(v uint64, n uint) uint32 {
	return uint32(v << 24 * kpPrime5 >> (64 - n))
}
func kpHash7(v uint64) uint32 { return uint32(v << 8 * kpPrime7 >> (64 - kpShortBits)) }

// A kpCursor is where a search stands: all that it carries from a match to the
// next one.
type kpCursor struct {
	s      int // where it looks next
	emit   int // from where on there are no tokens yet
	repeat int // level 6: the distance of the last match
}

// kpNowhere is a cursor that does not stand anywhere.
var kpNowhere = kpCursor{emit: -1}

// A kpFinder is the search of one level. Its tables hold positions mod 2^32.
type kpFinder interface {
	// clear forgets everything.
	clear()
	// run searches src, beginning at c, until its end, or until it has found a
	// match and c.emit is at least stop; if it finds none and stop is not the
	// end, it does not go far. It puts the tokens into out, which has
	// room for one per byte and one more, counts them, and returns how many. base
	// is what the tables call the position of src[0]; src[c.emit:] has more
	// than kpTiny bytes. What stands in the tables for positions of less than
	// maxDistance before c.emit is in src.
	run(c *kpCursor, src []byte, base uint32, out []token, count *kpCount, stop int) int
}

func kpLoad64(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) }
func kpLoad32(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[i:]) }

// kpPart is how many literals a search for a part yields when it finds nothing.
const kpPart = 1 << 10

// rest makes literals of what no match was found in, from emit on.
func (c *kpCursor) rest(src []byte, emit int, out []token, count *kpCount, stop int) int {
	end := len(src)
	if stop < end {
		end = min(end, emit+kpPart)
	}
	count.literals(out, src[emit:end])
	c.s, c.emit = end, end
	return end - emit
}

// kpSame returns how many bytes from t and from s on are the same; t < s.
func kpSame(b []byte, s, t int) int { return kpCommon(b[s:], b[t:]) }

// kpCommon returns how many bytes x and y have in common at their beginning;
// y is not shorter than x.
func kpCommon(x, y []byte) int {
	y = y[:len(x)]
	n := 0
	for len(x) >= 8 {
		if d := binary.LittleEndian.Uint64(x) ^ binary.LittleEndian.Uint64(y); d != 0 {
			return n + bits.TrailingZeros64(d)>>3
		}
		n += 8
		x, y = x[8:], y[8:]
	}
	for i := range x {
		if x[i] != y[i] {
			break
		}
		n++
	}
	return n
}

// kpSameShort is kpSame for what is part of one token: 4 bytes of it were
// compared before.
func kpSameShort(b []byte, s, t int) int {
	return kpSame(b[:min(s+maxMatch-4, len(b))], s, t)
}

// kpLiterals puts literals into out.
func kpLiterals(out []token, lits []byte) {
	out = out[:len(lits)]
	for i, b := range lits {
		out[i] = literal(b)
	}
}
