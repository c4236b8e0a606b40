package deflate

import (
	"encoding/binary"
	"io"
)

// inputBuffer is how much of a stream is read at a time.
const inputBuffer = 64 << 10

// slack is how many zero bytes follow the input in memory, so that eight bytes
// can always be loaded at once. Using any of them as input is an error.
const slack = 16

// A bitReader reads a DEFLATE stream: bits from the lowest to the highest.
type bitReader struct {
	r    io.Reader
	buf  []byte // with slack bytes after end
	pos  int    // the next byte to be loaded
	end  int
	eof  bool
	err  error  // of r, other than io.EOF
	acc  uint64 // loaded bits; those above n are zero or equal to the bytes at pos
	n    uint   // how many of them count
	read int64  // bytes taken from r
}

func newBitReader(r io.Reader) *bitReader {
	return &bitReader{r: r, buf: make([]byte, inputBuffer+slack)}
}

// fill makes sure that at least slack bytes lie between pos and end, or that
// the stream has ended.
func (b *bitReader) fill() {
	if b.eof || b.end-b.pos >= slack {
		return
	}
	// keep 8 bytes before pos: align goes back to bytes that were loaded
	keep := max(0, b.pos-8)
	copy(b.buf, b.buf[keep:b.end])
	b.pos -= keep
	b.end -= keep
	for idle := 0; b.end-b.pos < slack && !b.eof; idle++ {
		n, err := b.r.Read(b.buf[b.end:inputBuffer])
		b.end += n
		b.read += int64(n)
		if n > 0 {
			idle = 0
		} else if err == nil && idle > 100 {
			err = io.ErrNoProgress
		}
		if err != nil {
			b.eof = true
			if err != io.EOF {
				b.err = err
			}
		}
	}
	clear(b.buf[b.end : b.end+slack])
}

// load brings at least 56 bits into acc.
func (b *bitReader) load() {
	if b.end-b.pos < slack {
		b.fill()
	}
	if b.pos > b.end+8 {
		b.n |= 56 // more was used than there is: over reports it
		return
	}
	b.acc |= binary.LittleEndian.Uint64(b.buf[b.pos:]) << b.n
	b.pos += int(63-b.n) >> 3
	b.n |= 56
}

// over reports whether bits beyond the end of the stream were used.
func (b *bitReader) over() bool { return b.pos-int(b.n>>3) > b.end }

// bits takes n bits, at most 16.
func (b *bitReader) bits(n uint) uint32 {
	if b.n < n {
		b.load()
	}
	v := uint32(b.acc & (1<<n - 1))
	b.acc >>= n
	b.n -= n
	return v
}

// align drops the bits up to the next byte boundary and returns them. After it
// no bits are loaded, and bytes can be read.
func (b *bitReader) align() uint8 {
	v := uint8(b.bits(b.n & 7))
	b.pos -= int(b.n >> 3)
	b.acc, b.n = 0, 0
	return v
}

// peek returns up to n bytes (at most slack) without taking them; the reader
// is aligned.
func (b *bitReader) peek(n int) []byte {
	b.fill()
	return b.buf[b.pos:min(b.end, b.pos+n)]
}

// bytes fills p; the reader is aligned. It returns how many there were.
func (b *bitReader) bytes(p []byte) int {
	n := 0
	for n < len(p) {
		if b.pos >= b.end {
			if b.fill(); b.pos >= b.end {
				break
			}
		}
		k := copy(p[n:], b.buf[b.pos:b.end])
		b.pos += k
		n += k
	}
	return n
}

// problem returns why a stream ended early.
func (b *bitReader) problem() error {
	if b.err != nil {
		return b.err
	}
	return notGzip("it ends too early")
}
