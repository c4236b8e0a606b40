package deflate

import (
	"encoding/binary"
	"math/bits"
)

// A bitWriter writes a DEFLATE stream into memory: bits from the lowest up.
type bitWriter struct {
	out []byte
	acc uint64
	n   uint // bits in acc, below 8 between calls
}

// bits writes the lowest n bits of v, at most 56; the others must be 0.
func (w *bitWriter) bits(v uint64, n uint) {
	w.acc |= v << w.n
	w.n += n
	for w.n >= 8 {
		w.out = append(w.out, byte(w.acc))
		w.acc >>= 8
		w.n -= 8
	}
}

// align fills up to the next byte with the lowest bits of pad.
func (w *bitWriter) align(pad uint8) {
	if n := (8 - w.n) & 7; n > 0 {
		w.bits(uint64(pad)&(1<<n-1), n)
	}
}

// codes are the Huffman codes of a block, as they are written. Each is in the
// lower bits, with its number of bits from bit 24 on. Lengths come with their
// extra bits.
type codes struct {
	lit    [endOfBlock + 1]uint32
	length [maxMatch + 1]uint32
	dist   [maxDist]uint32
}

// canonical gives each symbol its code (RFC 1951, section 3.2.2), reversed.
func canonical(lengths []uint8, put func(symbol int, code, n uint32)) {
	var count, next [longest + 1]uint32
	for _, n := range lengths {
		count[n]++
	}
	count[0] = 0
	for n := 1; n <= longest; n++ {
		next[n] = (next[n-1] + count[n-1]) << 1
	}
	for s, n := range lengths {
		if n != 0 {
			put(s, uint32(bits.Reverse16(uint16(next[n]))>>(16-n)), uint32(n))
			next[n]++
		}
	}
}

func (c *codes) set(lit, dist []uint8) {
	*c = codes{}
	canonical(lit, func(s int, code, n uint32) {
		switch {
		case s <= endOfBlock:
			c.lit[s] = code | n<<24
		case s < maxLitLen:
			base, extra := uint32(lengthBase[s-257]), uint32(lengthExtra[s-257])
			for x := range uint32(1) << extra {
				if base+x < maxMatch || extra == 0 {
					c.length[base+x] = code | x<<n | (n+extra)<<24
				}
			}
		}
	})
	canonical(dist, func(s int, code, n uint32) {
		if s < maxDist {
			c.dist[s] = code | n<<24
		}
	})
}

// tokens writes tokens. It returns false if one has no code.
func (w *bitWriter) tokens(c *codes, tokens []token) bool {
	const codeMask = 1<<24 - 1
	acc, n, out := w.acc, w.n, w.out
	good := uint32(1) << 24
	for len(tokens) > 0 {
		part := tokens[:min(len(tokens), 1024)]
		tokens = tokens[len(part):]
		// 48 bits a token at most, and 8 bytes to store at once
		at := len(out)
		if room := at + 6*len(part) + 16; cap(out) < room {
			out = append(make([]byte, 0, max(2*cap(out), room)), out...)
		}
		out = out[:cap(out)]
		for _, t := range part {
			if !t.isMatch() {
				e := c.lit[t&255]
				good = min(good, e)
				acc |= uint64(e&codeMask) << n
				n += uint(e >> 24)
			} else {
				e := c.length[min(t>>16, maxMatch)]
				good = min(good, e)
				v, k := uint64(e&codeMask), uint(e>>24)
				d := uint32(t & 0xffff)
				s := distSymbol(d)
				e = c.dist[s%maxDist]
				good = min(good, e)
				v |= uint64(e&codeMask|(d-uint32(distBase[s%maxDist]))<<(e>>24)) << k
				acc |= v << n
				n += k + uint(e>>24) + uint(distExtra[s%maxDist])
			}
			if n >= 16 {
				binary.LittleEndian.PutUint64(out[at:], acc)
				at += int(n >> 3)
				acc >>= n &^ 7
				n &= 7
			}
		}
		for n >= 8 {
			out[at] = byte(acc)
			at++
			acc >>= 8
			n -= 8
		}
		out = out[:at]
	}
	w.acc, w.n, w.out = acc, n, out
	return good >= 1<<24
}

// end writes the end-of-block symbol.
func (w *bitWriter) end(c *codes) bool {
	e := c.lit[endOfBlock]
	w.bits(uint64(e&(1<<24-1)), uint(e>>24))
	return e != 0
}

// head writes what stands before a block's content.
func (w *bitWriter) head(b *block) {
	v := uint64(b.typ) << 1
	if b.final {
		v |= 1
	}
	w.bits(v, 3)
	switch b.typ {
	case storedBlock:
		w.align(b.pad)
		w.bits(uint64(uint16(b.size))|uint64(^uint16(b.size))<<16, 32)
	case dynamicBlock:
		h := &b.header
		w.bits(uint64(len(h.lit)-257)|uint64(len(h.dist)-1)<<5|uint64(h.nclen-4)<<10, 14)
		for _, s := range clenOrder[:h.nclen] {
			w.bits(uint64(h.clen[s]), 3)
		}
		var code [19]uint32
		canonical(h.clen[:], func(s int, c, n uint32) { code[s] = c | n<<24 })
		for _, o := range h.ops {
			e := code[o.symbol]
			w.bits(uint64(e&(1<<24-1)), uint(e>>24))
			w.bits(uint64(o.extra), uint(opBits[o.symbol]))
		}
	}
}
