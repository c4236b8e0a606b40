package index

import (
	_ "crypto/sha512" // digests may be sha512
	"encoding/binary"
	"math"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
)

// encoder appends the primitive forms of the index.
type encoder struct{ b []byte }

func (e *encoder) uvarint(v uint64)       { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) bytes(p []byte)         { e.b = append(e.b, p...) }
func (e *encoder) string(s string)        { e.uvarint(uint64(len(s))); e.b = append(e.b, s...) }
func (e *encoder) digest(d digest.Digest) { e.b = append(e.b, digestKey(d)...) }

func (e *encoder) runs(rs []Run) {
	e.uvarint(uint64(len(rs)))
	var next int64
	for _, r := range rs {
		d := int64(r.First) - next
		e.uvarint(uint64(d<<1) ^ uint64(d>>63)) // zigzag
		e.uvarint(uint64(r.Count))
		next = int64(r.First) + int64(r.Count)
	}
}

// digestKey is a digest as the index stores and sorts it.
func digestKey(d digest.Digest) []byte {
	alg := byte(1)
	if d.Algorithm() == digest.SHA512 {
		alg = 2
	}
	key := []byte{alg}
	hex := d.Encoded()
	for i := 0; i+1 < len(hex); i += 2 {
		key = append(key, nibble(hex[i])<<4|nibble(hex[i+1]))
	}
	return key
}

func nibble(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}

// digestLess orders digests as their keys are ordered, without making keys:
// sha256 sorts before sha512, and hexadecimal as its bytes.
func digestLess(a, b digest.Digest) bool { return a < b }

// decoder takes the primitive forms from a segment. After the first error all
// further calls return zero values; the error stays in err.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fault.Damaged(format, args...)
		d.b = nil
	}
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail("index ends inside a number, or the number is too large")
		return 0
	}
	if n > 1 && d.b[n-1] == 0 {
		d.fail("index has a number that is not in its shortest form")
		return 0
	}
	d.b = d.b[n:]
	return v
}

// number returns a uvarint of at most limit.
func (d *decoder) number(what string, limit uint64) uint64 {
	v := d.uvarint()
	if v > limit {
		d.fail("index: %s %d is over the limit of %d", what, v, limit)
		return 0
	}
	return v
}

// count returns a uvarint that counts items of at least one byte each, so it
// can never be larger than what is left.
func (d *decoder) count(what string) int {
	return int(d.number("number of "+what, uint64(len(d.b))))
}

// size returns a size in bytes.
func (d *decoder) size(what string) int64 { return int64(d.number(what, math.MaxInt64)) }

func (d *decoder) take(n int) []byte {
	if n > len(d.b) {
		d.fail("index ends too early")
		return make([]byte, min(n, 64))
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

func (d *decoder) hash() (h Hash) {
	copy(h[:], d.take(len(h)))
	return h
}

func (d *decoder) digest() digest.Digest {
	switch alg := d.take(1)[0]; alg {
	case 1:
		return digest.NewDigestFromBytes(digest.SHA256, d.take(32))
	case 2:
		return digest.NewDigestFromBytes(digest.SHA512, d.take(64))
	default:
		d.fail("index: digest algorithm %d is not known", alg)
		return ""
	}
}

// string returns printable ASCII without spaces.
func (d *decoder) string(what string, limit uint64) string {
	s := string(d.take(int(d.number("length of "+what, limit))))
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			d.fail("index: %s %q has odd characters", what, s)
			return ""
		}
	}
	return s
}

// runs returns runs of chunks below limit, and how many chunks they are.
func (d *decoder) runs(limit int) (rs []Run, chunks uint64) {
	n := d.count("runs")
	if n > 0 {
		rs = make([]Run, 0, min(n, 1<<16))
	}
	var next int64
	for range n {
		z := d.uvarint()
		first := next + (int64(z>>1) ^ -int64(z&1))
		count := d.number("length of a run", uint64(limit))
		switch {
		case d.err != nil:
			return nil, 0
		case count == 0 || first < 0 || first > int64(limit)-int64(count):
			d.fail("index names chunks %d to %d of %d: they do not exist", first, first+int64(count)-1, limit)
			return nil, 0
		case len(rs) > 0 && first == next:
			d.fail("index has two runs that should be one")
			return nil, 0
		}
		rs = append(rs, Run{uint32(first), uint32(count)})
		next = first + int64(count)
		chunks += count
	}
	return rs, chunks
}
