package deflate

import "encoding/binary"

const (
	goHashBits = 17
	goHashMul  = 0x1e35a7bd
	goReach    = 32 << 10
	goNone     = 1<<16 - 1 // in prev: nothing within reach

	// goBias keeps positions in head apart from empty entries.
	goBias = 128 << 10

	goPicks = 32 // bounds the effort of pick
)

// goChains leads from a position to those before it that have the same hash of
// four bytes. Positions are taken modulo 2^16 in prev and rank, so that these
// may run ahead of a search by up to 32 KiB. An entry of head that is 4 GiB old
// can be taken for a near one: at worst that is a wrong prediction.
type goChains struct {
	head [1 << goHashBits]uint32 // where a hash was seen last, + goBias
	prev [1 << 16]uint16         // how far back the one before is, or goNone
	rank [1 << 16]uint16         // goes up by 1 from one of a chain to the next
}

// learn enters the positions of w[from:to]; off is added to turn them into
// what head holds.
func (c *goChains) learn(w []byte, from, to int, off uint32) {
	if from >= to {
		return
	}
	at := uint32(from) + off
	w = w[from : to+goMinMatch-1]
	for ; len(w) >= 8; w = w[4:] {
		x := binary.BigEndian.Uint64(w)
		c.enter(uint32(x>>32), at)
		c.enter(uint32(x>>24), at+1)
		c.enter(uint32(x>>16), at+2)
		c.enter(uint32(x>>8), at+3)
		at += 4
	}
	for ; len(w) >= goMinMatch; w = w[1:] {
		c.enter(binary.BigEndian.Uint32(w), at)
		at++
	}
}

// enter adds a position to the chain of the four bytes that stand there.
func (c *goChains) enter(v, at uint32) {
	h := &c.head[v*goHashMul>>(32-goHashBits)]
	d := at - *h
	*h = at
	if d > goReach {
		d = goNone
	}
	c.prev[uint16(at)] = uint16(d)
	c.rank[uint16(at)] = c.rank[uint16(at-d)] + 1
}

// follow goes back along the chain of at, from the distance d on, to where the
// four bytes v stand. w ends with the four bytes that v is compared with at
// distance 0, and begins at the end of reach. At most left places are looked
// at; follow returns how many of them remain, 0 if there is no such place.
func (c *goChains) follow(w []byte, at uint16, d, left int, v uint32) (int, int) {
	last := len(w) - 4
	for ; d <= last && left > 0; left-- {
		if binary.LittleEndian.Uint32(w[last-d:]) == v {
			return d, left
		}
		d += int(c.prev[at-uint16(d)])
	}
	if d > last {
		return d, 0
	}
	return d, left
}

// pick returns which of the chains of the n positions from at on leads back
// the farthest, and how far. When they are many it looks at the last ones only.
// Inlined, it would take registers from search.
//
//go:noinline
func (c *goChains) pick(at uint16, n int) (far, which int) {
	for k := max(0, n-goPicks); k < n; k++ {
		if d := int(c.prev[at+uint16(k)]); d >= far {
			far, which = d, k
		}
	}
	return far, which
}
