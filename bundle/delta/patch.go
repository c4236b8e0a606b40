package delta

import (
	"encoding/binary"

	"bale/bundle/fault"
)

const (
	// MaxOld is how many bytes of old are made use of; what is beyond is not
	// looked at.
	MaxOld = 16 << 20
	// MaxNew is the greatest size of new.
	MaxNew = 16 << 20
)

// The streams of a patch, in the order in which they stand in it. Each class
// of differences has three streams of its own, from gaps+3*class on.
const (
	skips   = iota // literal bytes before each span
	lengths        // of each span
	jumps          // from the end of a span in old to the start of the next
	phases         // where addresses are aligned: pairs of how many spans before, and 0 to 7
	gaps           // what is as foretold between two differences
	kinds          // of each difference: 0 for a new one, else 1 + where it stands among the recent ones
	values         // of new differences
	streams = gaps + 3*int(classes)
)

// maxHeader bounds what stands before the streams: the length of each.
const maxHeader = streams * binary.MaxVarintLen32

// MaxPatch returns the greatest size of a patch for a new content of size
// bytes: a patch that takes more than the content is not made.
func MaxPatch(size int) int { return maxHeader + size }

// span is a stretch of new that is like one of old.
type span struct {
	at    int // in new
	old   int // in old
	n     int // bytes
	phase int // of offsets in new that are multiples of 8 for absolute fields
}

// input is a stream that is read.
type input []byte

// number reads a number of at most limit.
func (p *input) number(limit uint32) (uint32, error) {
	v, n := binary.Uvarint(*p)
	if n <= 0 {
		return 0, fault.Damaged("patch ends inside a stream, or holds no number there")
	}
	if v > uint64(limit) {
		return 0, fault.Damaged("patch holds %d where at most %d is possible", v, limit)
	}
	*p = (*p)[n:]
	return uint32(v), nil
}

// parse takes a patch apart. What remains after the streams are the literals.
func parse(patch []byte) (in [streams]input, literals []byte, err error) {
	rest := input(patch)
	var sizes [streams]uint32
	for i := range sizes {
		if sizes[i], err = rest.number(uint32(len(patch))); err != nil {
			return in, nil, err
		}
	}
	for i, n := range sizes {
		if int(n) > len(rest) {
			return in, nil, fault.Damaged("patch ends inside a stream")
		}
		in[i], rest = rest[:n], rest[n:]
	}
	return in, rest, nil
}

// zigzag maps small numbers of either sign to small ones without.
func zigzag(v uint32) uint32   { return v<<1 ^ uint32(int32(v)>>31) }
func unzigzag(v uint32) uint32 { return v>>1 ^ -(v & 1) }
