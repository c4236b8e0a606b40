package deflate

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// zlibFast predicts the tokens of levels 1 to 3: the first place with a match
// is where it is taken, and the strings within longer ones are not looked for
// later.
type zlibFast struct {
	zlibKind
	shift uint
	mask  uint32
	low   int // the first position that there is
	pos   int
	next  int // the first position that is in no chain
	tail  zlibTail

	head []uint32        // the newest position with a hash
	link [1 << 16]uint16 // distance to the one before, by position mod 65536
}

func newZlibFast(k zlibKind) *zlibFast {
	return &zlibFast{
		zlibKind: k,
		shift:    (k.hashBits + 2) / 3,
		mask:     1<<k.hashBits - 1,
		tail:     zlibTail{zlibKind: k},
		head:     make([]uint32, 1<<k.hashBits),
	}
}

func (z *zlibFast) reset(in *input) {
	z.low, z.pos = in.base, 0
	z.tail.reset()
	z.restart(in.base)
}

// restart forgets all strings. Those from pos on can be put in.
func (z *zlibFast) restart(pos int) {
	for i := range z.head {
		z.head[i] = uint32(pos) - 1<<16 // as far away as none is
	}
	z.next = pos
}

func (z *zlibFast) resume(in *input, pos int) {
	z.tail.reset()
	z.pos = pos
	if z.next > pos+linksBack {
		z.restart(max(pos-zlibWindow, in.base, z.low))
	}
	// take back what was put in too early
	for ; z.next > max(pos, in.base); z.next-- {
		i := z.next - 1 - in.base
		if i > len(in.data)-minMatch {
			continue
		}
		p := uint32(z.next - 1)
		if h := z.hash(uint64(in.data[i]) | uint64(in.data[i+1])<<8 | uint64(in.data[i+2])<<16); z.head[h] == p {
			z.head[h] = p - uint32(z.link[uint16(p)])
		}
	}
}

// hash is of the three lowest bytes of x.
func (z *zlibFast) hash(x uint64) uint32 {
	s := z.shift & 7
	return (uint32(x)&0xff<<s<<s ^ uint32(x)>>8&0xff<<s ^ uint32(x)>>16&0xff) & z.mask
}

// put puts position p, where x stands, into its chain. It returns the distance
// to the one before.
func (z *zlibFast) put(p uint32, x uint64) int {
	h := z.hash(x)
	d := min(p-z.head[h], 0xffff)
	z.head[h] = p
	z.link[uint16(p)] = uint16(d)
	return int(d)
}

func (z *zlibFast) predict(in *input, dst []token, n int) []token {
	n = max(min(n, pieceTokens), 1)
	had := len(dst)
	dst = slices.Grow(dst, n)
	// all of a dictionary is in the chains, and all that was lost
	for z.next = max(z.next, in.base, min(z.pos-zlibWindow, 0)); z.next < min(z.pos, 0); z.next++ {
		if i := z.next - in.base; i+minMatch <= len(in.data) {
			z.put(uint32(z.next), uint64(in.data[i])|uint64(in.data[i+1])<<8|uint64(in.data[i+2])<<16)
		}
	}
	if until := in.end() - maxMatch - 8; z.pos < until {
		dst = z.run(in.data, in.base, until, dst, had+n)
	}
	if len(dst) < had+n && (in.last || len(dst) == had) {
		dst = z.end(in, dst, had+n)
	}
	return dst
}

// run appends tokens to dst until it has n of them or pos reaches until, after
// which maxMatch+8 bytes follow.
func (z *zlibFast) run(data []byte, base, until int, dst []token, n int) []token {
	i, stop := z.pos-base, until-base
	for len(dst) < n && i < stop {
		x := binary.LittleEndian.Uint64(data[i:])
		d := z.put(uint32(i+base), x)
		if d > zlibFar {
			dst = append(dst, literal(byte(x)))
			i++
			continue
		}
		length, q := z.search(data, base, i, d, x)
		if length < minMatch {
			dst = append(dst, literal(byte(x)))
			i++
			continue
		}
		dst = append(dst, match(uint32(length), uint32(i-q)))
		if length <= z.lazy {
			for k := 1; k < length; k++ {
				x >>= 8
				z.put(uint32(i+base+k), x)
			}
		}
		i += length
	}
	z.pos = i + base
	z.next = max(z.next, z.pos)
	return dst
}

// search finds the match at data[i], where x stands.
func (z *zlibFast) search(data []byte, base, i, d int, x uint64) (best, from int) {
	q := i - d
	// the farthest distance is allowed at the head of a chain only
	lim := max(i-zlibFar, z.low-base, -1)
	if d == zlibFar && q > max(z.low-base, -1) {
		lim--
	}
	best = minMatch - 1
	for most := z.chain; q > lim && most > 0; most-- {
		n := 0
		if y := binary.LittleEndian.Uint64(data[q:]) ^ x; y != 0 {
			n = bits.TrailingZeros64(y) >> 3
		} else if best < 8 || data[q+best] == data[i+best] {
			n = extend(data, q, i, 8)
		}
		if n > best {
			best, from = n, q
			if n >= z.nice {
				break
			}
		}
		q -= int(z.link[uint16(q+base)])
	}
	return best, from
}

// end is run for the last bytes of the frame, which the longest match could
// go beyond.
func (z *zlibFast) end(in *input, dst []token, n int) []token {
	for end := in.end(); len(dst) < n && z.pos < end; {
		z.tail.step(in, z.pos)
		i := z.pos - in.base
		length, dist := z.look(in, z.pos)
		if length < minMatch {
			dst = append(dst, literal(in.data[i]))
			length = 1
		} else {
			dst = append(dst, match(uint32(length), uint32(dist)))
		}
		for k := range length {
			if j := i + k; (k == 0 || length <= z.lazy) && j+minMatch <= len(in.data) {
				z.put(uint32(z.pos+k), uint64(in.data[j])|uint64(in.data[j+1])<<8|uint64(in.data[j+2])<<16)
			}
		}
		z.pos += length
	}
	z.next = max(z.next, z.pos)
	return dst
}

// look finds the match at pos, which is in no chain yet.
func (z *zlibFast) look(in *input, pos int) (best, dist int) {
	data, base, longest, ok := z.tail.view(in, pos)
	if !ok {
		return 0, 0
	}
	nice := z.nice
	if !z.gnu() {
		nice = min(nice, longest)
	}
	i := pos - base
	x := uint64(data[i]) | uint64(data[i+1])<<8 | uint64(data[i+2])<<16
	d := int(min(uint32(pos)-z.head[z.hash(x)], 0xffff))
	q := i - d
	lim := max(i-zlibFar, z.low-base, -1)
	if d == zlibFar && q > max(z.low-base, -1) {
		lim--
	}
	best = minMatch - 1
	for most := z.chain; q > lim && most > 0; most-- {
		if n := common(data[q:q+longest], data[i:i+longest]); n > best {
			best, dist = n, i-q
			if n >= nice {
				break
			}
		}
		q -= int(z.link[uint16(q+base)])
	}
	return min(best, in.end()-pos), dist
}
