package deflate

// zlibTree builds Huffman codes as zlib does. There are many optimal codes for
// the same frequencies: which one comes out depends on the order in which nodes
// of equal frequency leave the heap.
type zlibTree struct {
	n    int
	heap [2 * maxLitLen]uint64 // from 1 on: frequency, depth (8 bits) and node (16 bits)
	// The nodes: symbols, then the inner ones in the order of their making.
	parent [2 * maxLitLen]uint16
	length [2 * maxLitLen]uint8
	// merged lists the nodes as they left the heap.
	merged [2 * maxLitLen]uint16
}

const (
	nodeBits  = 16
	depthBits = 8
)

// down moves an entry of the heap down to its place. Of entries with the same
// frequency and depth, the one from below goes up only if it has to.
func (t *zlibTree) down(at int) {
	e := t.heap[at]
	for {
		next := 2 * at
		if next > t.n {
			break
		}
		if next < t.n && t.heap[next+1]>>nodeBits <= t.heap[next]>>nodeBits {
			next++
		}
		if e>>nodeBits <= t.heap[next]>>nodeBits {
			break
		}
		t.heap[at] = t.heap[next]
		at = next
	}
	t.heap[at] = e
}

// build makes the lengths of a code for symbols with frequencies freq, none
// longer than longest. It returns the number of symbols up to the last one that
// is used.
func (t *zlibTree) build(freq []uint32, longest int, lengths []uint8) int {
	t.n = 0
	last := -1
	for s, f := range freq {
		lengths[s] = 0
		if f != 0 {
			t.n++
			t.heap[t.n] = uint64(f)<<(depthBits+nodeBits) | uint64(s)
			last = s
		}
	}
	for t.n < 2 {
		// a code has at least two symbols: low ones fill it up
		s := 0
		if last < 2 {
			last++
			s = last
		}
		t.n++
		t.heap[t.n] = 1<<(depthBits+nodeBits) | uint64(s)
	}
	for at := t.n / 2; at > 0; at-- {
		t.down(at)
	}
	node, merged := len(freq), 0
	for t.n > 1 {
		a := t.heap[1]
		t.heap[1] = t.heap[t.n]
		t.n--
		t.down(1)
		b := t.heap[1]
		t.merged[merged], t.merged[merged+1] = uint16(a), uint16(b)
		merged += 2
		t.parent[uint16(a)], t.parent[uint16(b)] = uint16(node), uint16(node)
		const depth = 1<<depthBits - 1
		f := a>>(depthBits+nodeBits) + b>>(depthBits+nodeBits)
		d := max(a>>nodeBits&depth, b>>nodeBits&depth) + 1
		t.heap[1] = f<<(depthBits+nodeBits) | d&depth<<nodeBits | uint64(node)
		node++
		t.down(1)
	}
	t.limit(len(freq), merged, longest, lengths)
	return last + 1
}

// limit turns the tree into lengths of codes.
func (t *zlibTree) limit(symbols, merged, longest int, lengths []uint8) {
	var count [longestCode + 1]int
	over := 0
	t.length[t.heap[1]&(1<<nodeBits-1)] = 0
	for i := merged - 1; i >= 0; i-- {
		n := t.merged[i]
		l := int(t.length[t.parent[n]]) + 1
		if l > longest {
			l = longest
			over++ // inner nodes count, too
		}
		t.length[n] = uint8(l)
		if int(n) < symbols {
			count[l]++
			lengths[n] = uint8(l)
		}
	}
	if over == 0 {
		return
	}
	for ; over > 0; over -= 2 {
		// a leaf becomes a node for itself and for one that is too deep
		l := longest - 1
		for l > 0 && count[l] == 0 {
			l--
		}
		count[l]--
		count[l+1] += 2
		count[longest]--
	}
	// the rarest symbols get the longest codes
	i := 0
	for l := longest; l > 0; l-- {
		for n := count[l]; n > 0 && i < merged; i++ {
			if s := int(t.merged[i]); s < symbols {
				lengths[s] = uint8(l)
				n--
			}
		}
	}
}

// longestCode is the length of the longest code, longestClen of those for code
// lengths.
const (
	longestCode = 15
	longestClen = 7
)

// zlibRuns appends the run-length code of lengths to ops.
func zlibRuns(lengths []uint8, ops []op) []op {
	for len(lengths) > 0 {
		l := lengths[0]
		run := 1
		for run < len(lengths) && lengths[run] == l {
			run++
		}
		lengths = lengths[run:]
		for first := true; run > 0; first = false {
			n := min(run, 6)
			switch {
			case l == 0 && run < 3:
				ops = append(ops, op{symbol: 0})
				n = 1
			case l == 0 && run <= 10:
				n = run
				ops = append(ops, op{17, uint8(n - 3)})
			case l == 0:
				n = min(run, 138)
				ops = append(ops, op{18, uint8(n - 11)})
			case first || run < 3:
				ops = append(ops, op{symbol: l})
				n = 1
			default:
				ops = append(ops, op{16, uint8(n - 3)})
			}
			run -= n
		}
	}
	return ops
}

// clen builds the code for the ops of h.
func (t *zlibTree) clen(h *header) {
	var freq [19]uint32
	for _, o := range h.ops {
		freq[o.symbol]++
	}
	t.build(freq[:], longestClen, h.clen[:])
	h.nclen = 19
	for h.nclen > 4 && h.clen[clenOrder[h.nclen-1]] == 0 {
		h.nclen--
	}
}
