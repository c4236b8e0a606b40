package deflate

import (
	"bufio"
	"io"
	"math/bits"
)

// A prob is the probability that a decision is 0, in 16 bits, learned at two
// speeds: the mean of both follows changes quickly and still becomes sure.
type prob struct{ fast, slow uint16 }

const (
	fastRate = 4
	slowRate = 7
	probBits = 15 // that the range coder uses
)

var even = prob{1 << 15, 1 << 15}

func evens(p []prob) {
	for i := range p {
		p[i] = even
	}
}

// A coder codes decisions: one that writes takes them, one that reads gives
// them back. All code that uses it is the same for both, so that both cannot
// differ. It is a binary range coder with carry (G. N. N. Martin, "Range
// encoding", 1979; the byte-wise carry is Schindler's).
type coder struct {
	reading bool
	rng     uint32

	// writing
	w     *bufio.Writer
	low   uint64
	cache byte
	queue int64 // bytes that a carry may still change
	n     int64 // bytes written

	// reading
	r    io.ByteReader
	code uint32
	err  error
}

func newWritingCoder(w io.Writer) *coder {
	return &coder{rng: 1<<32 - 1, w: bufio.NewWriterSize(w, 4<<10), queue: 1}
}

// newReadingCoder starts reading; r must end with the last byte of the coder
// that wrote.
func newReadingCoder(r io.ByteReader) *coder {
	c := &coder{reading: true, rng: 1<<32 - 1, r: r}
	for range 5 {
		c.shiftIn()
	}
	return c
}

// bit codes a decision with what p has learned.
func (c *coder) bit(p *prob, v int) int {
	half := (uint32(p.fast) + uint32(p.slow)) >> (17 - probBits)
	bound := c.rng >> probBits * half
	if c.reading {
		v = 0
		if c.code >= bound {
			v = 1
		}
	}
	if v == 0 {
		c.rng = bound
		p.fast += (1<<16 - 1 - p.fast) >> fastRate
		p.slow += (1<<16 - 1 - p.slow) >> slowRate
	} else {
		if c.reading {
			c.code -= bound
		} else {
			c.low += uint64(bound)
		}
		c.rng -= bound
		p.fast -= p.fast >> fastRate
		p.slow -= p.slow >> slowRate
	}
	for c.rng < 1<<24 {
		c.shift()
	}
	return v
}

// flag is bit for a condition.
func (c *coder) flag(p *prob, v bool) bool {
	n := 0
	if v {
		n = 1
	}
	return c.bit(p, n) == 1
}

// plain codes n bits that nothing is known of, the highest first.
func (c *coder) plain(n uint, v uint32) uint32 {
	var out uint32
	for n > 0 {
		n--
		c.rng >>= 1
		b := v >> n & 1
		if c.reading {
			b = 0
			if c.code >= c.rng {
				c.code -= c.rng
				b = 1
			}
		} else if b == 1 {
			c.low += uint64(c.rng)
		}
		out = out<<1 | b
		for c.rng < 1<<24 {
			c.shift()
		}
	}
	return out
}

// tree codes n bits, the highest first, each with what was learned after the
// ones before; p has 1<<n elements.
func (c *coder) tree(p []prob, n uint, v int) int {
	at := 1
	for n > 0 {
		n--
		at = at<<1 | c.bit(&p[at], v>>n&1)
	}
	return at & (len(p) - 1)
}

// A number is what was learned of numbers of any size.
type number struct {
	width [64]prob // how many bits it has, in unary
	top   [64]prob // its second highest bit, for each width
}

func newNumber() (n number) {
	evens(n.width[:])
	evens(n.top[:])
	return n
}

// number codes v < 1<<62; small ones are cheap.
func (c *coder) number(p *number, v uint64) uint64 {
	want := bits.Len64(v + 1)
	n := 1
	for n < 63 && c.bit(&p.width[n], toInt(n < want)) == 1 {
		n++
	}
	if n == 1 {
		return 0
	}
	out := uint64(1)<<1 | uint64(c.bit(&p.top[n], int((v+1)>>(n-2))&1))
	for left := n - 2; left > 0; {
		k := min(left, 16)
		left -= k
		out = out<<k | uint64(c.plain(uint(k), uint32((v+1)>>left)&(1<<k-1)))
	}
	return out - 1
}

func toInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (c *coder) shift() {
	c.rng <<= 8
	if c.reading {
		c.shiftIn()
		return
	}
	if c.low < 0xff<<24 || c.low >= 1<<32 {
		carry := byte(c.low >> 32)
		for ; c.queue > 0; c.queue-- {
			c.put(c.cache + carry)
			c.cache = 0xff
		}
		c.cache = byte(c.low >> 24)
	}
	c.queue++
	c.low = c.low << 8 & (1<<32 - 1)
}

func (c *coder) put(b byte) {
	c.n++
	if err := c.w.WriteByte(b); err != nil && c.err == nil {
		c.err = err
	}
}

func (c *coder) shiftIn() {
	b, err := c.r.ReadByte()
	if err != nil {
		b = 0 // goes on with anything: failed is asked soon
		if c.err == nil {
			if err == io.EOF {
				err = misfit("corrections run out")
			}
			c.err = err
		}
	}
	c.code = c.code<<8 | uint32(b)
}

// finish writes what is left, or makes sure that nothing is.
func (c *coder) finish() error {
	if c.reading {
		if c.err == nil {
			if _, err := c.r.ReadByte(); err == nil {
				c.err = misfit("more corrections than are needed")
			} else if err != io.EOF {
				c.err = err
			}
		}
		return c.err
	}
	for range 5 {
		c.rng = 1 << 23 // not used any more
		c.shift()
	}
	if err := c.w.Flush(); c.err == nil {
		c.err = err
	}
	return c.err
}

// fail makes reading fail: what was decoded cannot be.
func (c *coder) fail(what string) {
	if c.err == nil {
		c.err = misfit("%s", what)
	}
}
