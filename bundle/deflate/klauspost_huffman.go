package deflate

import "math"

// kpCode finds code lengths as klauspost/compress does. Optimal codes are not
// unique, so that its way of breaking ties has to be followed: package-merge,
// where a package comes before a leaf of the same weight.
type kpCode struct {
	list [maxLitLen]uint32 // weight << 9 | symbol, in order
	room [maxLitLen]uint32
}

const kpSymbolBits = 9

// lengths sets out to the code lengths for freq, none longer than limit. out is
// as long as freq, at most maxLitLen. A compressor's frequencies have 16 bits.
func (k *kpCode) lengths(freq []uint32, limit int, out []uint8) {
	out = out[:len(freq)]
	clear(out)
	n := 0
	for s, f := range freq {
		if f != 0 {
			k.list[n] = min(f, 1<<16-1)<<kpSymbolBits | uint32(s)
			n++
		}
	}
	if n <= 2 {
		for _, v := range k.list[:n] {
			out[v&(1<<kpSymbolBits-1)] = 1
		}
		return
	}
	k.sort(n)
	list := k.list[:n]
	// the more frequent, the shorter
	for bits, count := range kpCounts(list, limit) {
		for ; count > 0; count-- {
			out[list[len(list)-1]&(1<<kpSymbolBits-1)] = uint8(bits)
			list = list[:len(list)-1]
		}
	}
}

// sort orders the first n elements of list by weight; they are in order of
// symbols before, and stay so where weights are the same.
func (k *kpCode) sort(n int) {
	from, to := k.list[:n], k.room[:n]
	for shift := kpSymbolBits; shift < kpSymbolBits+16; shift += 8 {
		var place [256]uint16
		for _, v := range from {
			place[uint8(v>>shift)]++
		}
		if int(place[0]) == n {
			continue
		}
		sum := uint16(0)
		for i, c := range place {
			place[i] = sum
			sum += c
		}
		for _, v := range from {
			p := &place[uint8(v>>shift)]
			to[*p] = v
			*p++
		}
		from, to = to, from
	}
	copy(k.list[:n], from)
}

// kpRow is a row of package-merge as far as it has been made: row i has the
// leaves and packages that codes of up to i bits are made of.
type kpRow struct {
	last   uint32 // weight of the newest item
	leaf   uint32 // weight of the leaf that would be next
	pack   uint32 // weight of the package that would be next
	wanted int    // how many more items the row above needs
	// leaves counts the leaves so far in this row, and in each row below those
	// in its items that are in this row's packages.
	leaves [16]int32
}

const kpNever = math.MaxUint32

// kpCounts returns how many codes have each length. list is in order and has
// at least 3 elements.
func kpCounts(list []uint32, limit int) (counts [16]int32) {
	n := len(list)
	top := min(limit, n-1)
	weight := func(i int32) uint32 {
		if int(i) < n {
			return list[i] >> kpSymbolBits
		}
		return kpNever
	}
	var rows [17]kpRow
	for i := 1; i <= top; i++ {
		r := &rows[i]
		r.last, r.leaf, r.pack = weight(1), weight(2), weight(0)+weight(1)
		r.leaves[i] = 2
	}
	rows[1].pack = kpNever
	rows[top].wanted = 2*n - 4
	for i := top; ; {
		r := &rows[i&15]
		if r.pack == kpNever && r.leaf == kpNever {
			// nothing is left for this row, nor for those above
			r.wanted = 0
			if i == top {
				break
			}
			i++
			rows[i&15].pack = kpNever
			continue
		}
		before := r.last
		if r.leaf < r.pack {
			r.last = r.leaf
			c := r.leaves[i&15] + 1
			r.leaves[i&15] = c
			r.leaf = weight(c)
		} else {
			below := &rows[(i-1)&15]
			r.last = r.pack
			own := r.leaves[i&15]
			r.leaves = below.leaves
			r.leaves[i&15] = own
			below.wanted = 2
		}
		if r.wanted--; r.wanted > 0 {
			for rows[(i-1)&15].wanted > 0 {
				i--
			}
			continue
		}
		if i == top {
			break
		}
		i++
		rows[i&15].pack = before + r.last
	}
	chain := &rows[top].leaves
	for i := top; i > 0; i-- {
		counts[top-i+1] = chain[i] - chain[i-1]
	}
	return counts
}

// kpDescribe fills in how code lengths are written: runs, their code, and how
// much of that is written. ops is where the runs go.
func (k *kpCode) describe(h *header, ops []op) {
	var freq [19]uint32
	put := func(symbol, extra int) {
		ops = append(ops, op{uint8(symbol), uint8(extra)})
		freq[symbol]++
	}
	// a run may go over from one code to the other
	total := len(h.lit) + len(h.dist)
	at := func(i int) uint8 {
		if i < len(h.lit) {
			return h.lit[i]
		}
		return h.dist[i-len(h.lit)]
	}
	for i := 0; i < total; {
		v := at(i)
		run := 1
		for i+run < total && at(i+run) == v {
			run++
		}
		i += run
		if v != 0 {
			put(int(v), 0)
			for run--; run >= 3; {
				c := min(run, 6)
				put(16, c-3)
				run -= c
			}
		} else {
			for run >= 11 {
				c := min(run, 138)
				put(18, c-11)
				run -= c
			}
			if run >= 3 {
				put(17, run-3)
				run = 0
			}
		}
		for ; run > 0; run-- {
			put(int(v), 0)
		}
	}
	h.ops = ops
	k.lengths(freq[:], 7, h.clen[:])
	h.nclen = len(clenOrder)
	for h.nclen > 4 && freq[clenOrder[h.nclen-1]] == 0 {
		h.nclen--
	}
}

// kpHeaderBits returns the size of a dynamic block's header.
func kpHeaderBits(h *header) int {
	n := 3 + 5 + 5 + 4 + 3*h.nclen
	for _, o := range h.ops {
		if o.symbol < 19 {
			n += int(h.clen[o.symbol]) + int(opBits[o.symbol])
		}
	}
	return n
}
