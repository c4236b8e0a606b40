package deflate

import "slices"

// A goCode builds prefix codes as Go does: package-merge with a limit on the
// length, where a package goes before a leaf of the same weight.
type goCode struct {
	keys    [maxLitLen]uint64 // frequency and symbol
	weights [2][2 * maxLitLen]uint64
	leaves  [longest][2*maxLitLen + 1]uint16 // how many leaves are among the first items of a list
}

// build sets lengths from the frequencies of the symbols; no code becomes
// longer than limit.
func (g *goCode) build(lengths []uint8, freq []uint32, limit int) {
	clear(lengths)
	keys := g.keys[:0]
	for s, f := range freq {
		if f != 0 {
			keys = append(keys, uint64(f)<<16|uint64(s))
		}
	}
	n := len(keys)
	if n <= 2 {
		for _, k := range keys {
			lengths[k&0xffff] = 1
		}
		return
	}
	slices.Sort(keys)
	limit = min(limit, n-1)

	// lists[0] is that of the longest codes
	var below []uint64
	for l := range limit {
		list, leaves := g.weights[l&1][:2*n-2], &g.leaves[l]
		leaf, pack := 0, 0
		size := 0
		for size < len(list) {
			leaves[size] = uint16(leaf)
			var together uint64
			more := 2*pack+1 < len(below)
			if more {
				together = below[2*pack] + below[2*pack+1]
			}
			switch {
			case leaf < n && (!more || keys[leaf]>>16 < together):
				list[size] = keys[leaf] >> 16
				leaf++
			case more:
				list[size] = together
				pack++
			default:
				list = list[:size]
				continue
			}
			size++
		}
		leaves[size] = uint16(leaf)
		below = list
	}
	// from the shortest codes down: the leaves among the needed items get one
	// bit more, the packages among them need two items each of the next list
	need := 2*n - 2
	for l := limit - 1; l >= 0; l-- {
		leaf := int(g.leaves[l][need])
		for _, k := range keys[:leaf] {
			lengths[k&0xffff]++
		}
		need = 2 * (need - leaf)
	}
}

// goBits returns how many bits the symbols take.
func goBits(lengths []uint8, freq []uint32) int {
	n := 0
	for s, f := range freq[:len(lengths)] {
		n += int(f) * int(lengths[s])
	}
	return n
}

// describe fills in how the lengths of a header are written.
func (g *goCode) describe(h *header) {
	h.ops = h.ops[:0]
	var freq [19]uint32
	put := func(symbol, extra uint8) {
		h.ops = append(h.ops, op{symbol, extra})
		freq[symbol]++
	}
	at := func(i int) uint8 {
		if i < len(h.lit) {
			return h.lit[i]
		}
		return h.dist[i-len(h.lit)]
	}
	for i, n := 0, len(h.lit)+len(h.dist); i < n; {
		v := at(i)
		run := 1
		for i+run < n && at(i+run) == v {
			run++
		}
		i += run
		if v == 0 {
			for ; run >= 11; run -= min(run, 138) {
				put(18, uint8(min(run, 138)-11))
			}
			if run >= 3 {
				put(17, uint8(run-3))
				run = 0
			}
		} else {
			put(v, 0)
			for run--; run >= 3; run -= min(run, 6) {
				put(16, uint8(min(run, 6)-3))
			}
		}
		for ; run > 0; run-- {
			put(v, 0)
		}
	}
	g.build(h.clen[:], freq[:], 7)
	h.nclen = 19
	for h.nclen > 4 && h.clen[clenOrder[h.nclen-1]] == 0 {
		h.nclen--
	}
}

// headerBits returns how many bits a dynamic block's header takes.
func headerBits(h *header) int {
	n := 3 + 5 + 5 + 4 + 3*h.nclen
	for _, o := range h.ops {
		n += int(h.clen[o.symbol]) + int(opBits[o.symbol])
	}
	return n
}
