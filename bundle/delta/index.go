package delta

import (
	"encoding/binary"
	"math/bits"
)

const (
	// seed is how many bytes must be the same for a place in old to be found.
	seed = 8
	// stride is how far apart the indexed places are: what is the same for
	// seed+stride-1 bytes is not missed for it.
	stride = 4
	// ways is how many places are kept for strings of one bucket: the last
	// ones in old.
	ways = 8
	// There are 1<<maxWidth buckets at most, so that the index takes 16 MiB:
	// about one slot for each place of an old content of MaxOld bytes.
	minWidth, maxWidth = 4, 19

	placeBits = 22 // of a slot: the place divided by stride, plus 1
	placeMask = 1<<placeBits - 1
)

// seeds finds where in old strings stand. A slot holds a place and some bits of
// the hash, so that most of what does not match is told without a look at old.
type seeds struct {
	slots []uint32
	shift uint // of a hash, to get the bucket
}

// hash returns the hash of 8 bytes. Its highest bits choose the bucket, and
// those below them tag the slot.
func hash(p []byte) uint64 { return binary.LittleEndian.Uint64(p) * 0x9e3779b97f4a7c15 }

// bucket returns where places of a hash stand, and how they are tagged.
func (x *seeds) bucket(h uint64) (b *[ways]uint32, tag uint32) {
	return (*[ways]uint32)(x.slots[h>>x.shift*ways:]), uint32(h>>13) &^ placeMask
}

// build indexes old, which has at most MaxOld bytes.
func (x *seeds) build(old []byte) {
	width := bits.Len(uint(len(old) / stride / ways))
	width = min(max(width, minWidth), maxWidth)
	x.shift = uint(64 - width)
	size := ways << width
	if cap(x.slots) < size {
		x.slots = make([]uint32, size)
	}
	x.slots = x.slots[:size]
	clear(x.slots)
	last := ^uint64(0)
	for i := 0; i+seed <= len(old); i += stride {
		h := hash(old[i:])
		if h == last {
			continue // a run of the same bytes needs one place
		}
		last = h
		b, tag := x.bucket(h)
		*b = [ways]uint32{uint32(i/stride+1) | tag, b[0], b[1], b[2], b[3], b[4], b[5], b[6]}
	}
}

// find returns the place in old that matches the start of p furthest, and of
// several the one nearest to another; n is how far it matches, 0 if there is
// none.
func (x *seeds) find(old, p []byte, near int) (place, n int) {
	if len(p) < seed {
		return 0, 0
	}
	b, tag := x.bucket(hash(p))
	for _, slot := range b {
		if slot == 0 {
			break
		}
		if slot&^placeMask != tag {
			continue
		}
		at := int(slot&placeMask-1) * stride
		if at == near {
			continue
		}
		m := run(old[at:], p)
		if m > n || m == n && distance(at, near) < distance(place, near) {
			place, n = at, m
		}
	}
	return place, n
}

func distance(a, b int) int { return max(a-b, b-a) }
