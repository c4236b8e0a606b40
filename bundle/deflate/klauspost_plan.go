package deflate

// A kpTable is the pair of codes that is in use.
type kpTable struct {
	bits     int  // of its header; 0: none is in use
	literals bool // it is for literals only, and matches may not use it
	lit      [maxLitLen]uint8
	dist     [maxDist]uint8
}

// A kpPlan is how an encode block is written.
type kpPlan struct {
	typ   blockType
	reuse bool    // with the codes of before, in the same block
	table kpTable // that is in use afterwards
	nlit  int     // code lengths in the header
	ndist int
	ops   [maxLitLen + maxDist]op
	nops  int
	clen  [19]uint8
	nclen int
}

func (p *kpPlan) store() { p.typ, p.reuse, p.table.bits = storedBlock, false, 0 }
func (p *kpPlan) fix()   { p.typ, p.reuse, p.table.bits = fixedBlock, false, 0 }

// header returns the header of a new table, in memory of its own.
func (p *kpPlan) header() header {
	lens := make([]uint8, p.nlit+p.ndist)
	copy(lens, p.table.lit[:p.nlit])
	copy(lens[p.nlit:], p.table.dist[:p.ndist])
	return header{
		lit: lens[:p.nlit:p.nlit], dist: lens[p.nlit:],
		ops: append([]op(nil), p.ops[:p.nops]...), clen: p.clen, nclen: p.nclen,
	}
}

// set makes a new table for frequencies; nlit and ndist of its code lengths are
// written.
func (p *kpPlan) set(k *kpCode, lit, dist []uint32, nlit, ndist int) {
	k.lengths(lit, 15, p.table.lit[:len(lit)])
	clear(p.table.lit[len(lit):])
	k.lengths(dist, 15, p.table.dist[:len(dist)])
	clear(p.table.dist[len(dist):])
	p.nlit, p.ndist = nlit, ndist
	h := header{lit: p.table.lit[:nlit], dist: p.table.dist[:ndist]}
	k.describe(&h, p.ops[:0])
	p.nops, p.clen, p.nclen = len(h.ops), h.clen, h.nclen
	p.table.bits = kpHeaderBits(&h)
	p.typ, p.reuse = dynamicBlock, false
}

// A kpWriter decides how encode blocks are written.
type kpWriter struct {
	v       *kpVariant
	penalty uint // log of the part of its size that a new table has to save
	code    kpCode
}

const (
	// kpFewTokens is from how many tokens on the fixed codes are not tried.
	kpFewTokens = 250
	// kpGuess is what a header of literals is thought to take, in bits.
	kpGuess = 70 * 8
)

// storedBits is the size of a stored block.
func storedBits(raw int) int { return (raw + 5) * 8 }

// cost returns the bits of symbols in a code, and whether it has all of them.
func cost(freq []uint32, code []uint8) (bits int, all bool) {
	all = true
	for s, f := range freq {
		n := code[s]
		if f != 0 && n == 0 {
			all = false
		}
		bits += int(f) * int(n)
	}
	return bits, all
}

// matches sets p to how tokens with matches are written after the table prev.
// sync says that the frame ends with them. stored is what they are when
// stored, negative when they cannot be.
func (w *kpWriter) matches(p *kpPlan, prev *kpTable, c *kpCount, stored int, sync bool) {
	lit, dist := c.lit, [maxDist]uint32(c.dist[:])
	tokens := c.tokens
	if sync {
		lit[endOfBlock] = 1
		tokens++
	}
	reuse := prev.bits > 0 && !prev.literals
	if reuse {
		_, a := cost(lit[:], prev.lit[:])
		_, b := cost(dist[:], prev.dist[:])
		reuse = a && b
	}

	nlit, ndist := maxLitLen, maxDist
	if !w.v.allCodes || sync {
		lit[endOfBlock] = 1
		for lit[nlit-1] == 0 {
			nlit--
		}
		for ndist > 0 && dist[ndist-1] == 0 {
			ndist--
		}
		if ndist == 0 {
			dist[0], ndist = 1, 1 // a code of no distances would be invalid
		}
	}
	extra := 0
	for s, f := range lit[257:] {
		extra += int(f) * int(lengthExtra[s])
	}
	for s, f := range dist {
		extra += int(f) * int(distExtra[s])
	}
	fixed := func() int {
		a, _ := cost(lit[:], fixedLit[:])
		b, _ := cost(dist[:], fixedDist[:])
		return 3 + a + b + extra
	}
	storable := stored >= 0

	if reuse {
		a, _ := cost(lit[:], prev.lit[:])
		b, _ := cost(dist[:], prev.dist[:])
		size := a + b + extra
		fresh := prev.bits + kpEntropy(c, tokens)
		fresh += int(prev.lit[endOfBlock]) + fresh>>w.penalty
		if fresh < size {
			reuse, size = false, fresh
		}
		if tokens < kpFewTokens && fixed()+7 < size {
			if p.fix(); storable && stored <= size {
				p.store()
			}
			return
		}
		if storable && stored <= size {
			p.store()
			return
		}
		if reuse {
			p.typ, p.reuse = dynamicBlock, true
			p.table = *prev
			if sync {
				p.table.bits = 0
			}
			return
		}
	}

	lit[endOfBlock] = 1
	p.set(&w.code, lit[:], dist[:], nlit, ndist)
	a, _ := cost(lit[:], p.table.lit[:])
	b, _ := cost(dist[:], p.table.dist[:])
	size := p.table.bits + a + b + extra
	if tokens < kpFewTokens {
		if f := fixed(); f <= size {
			if p.fix(); storable && stored <= f {
				p.store()
			}
			return
		}
	}
	if storable && stored <= size {
		p.store()
		return
	}
	p.table.literals = false
	if sync {
		p.table.bits = 0
	}
}

// literals sets p to how raw bytes are written that were not worth a search.
func (w *kpWriter) literals(p *kpPlan, prev *kpTable, c *kpCount, sync bool) {
	const n = endOfBlock + 1
	lit := c.lit
	raw := c.raw
	if raw > 1024 {
		// nearly even frequencies are not worth a code
		square, mean, most := float64(0), float64(raw)/256, float64(raw*2)
		for _, f := range lit[:256] {
			d := float64(f) - mean
			if square += float64(d * d); square > most {
				break
			}
		}
		if square < most {
			p.store()
			return
		}
	}
	lit[endOfBlock] = 1
	var dist [maxDist]uint32
	dist[0] = 1
	p.set(&w.code, lit[:n], dist[:1], n, 1)
	size, _ := cost(lit[:n], p.table.lit[:n])
	if prev.bits == 0 {
		size += kpGuess
	}
	size += prev.bits
	size += size >> w.penalty
	if storedBits(raw) <= size {
		p.store()
		return
	}
	if prev.bits > 0 {
		if again, all := cost(lit[:256], prev.lit[:256]); all && again <= size {
			p.typ, p.reuse = dynamicBlock, true
			p.table = *prev
		}
	}
	if !p.reuse {
		p.table.literals = true
	}
	if sync {
		p.table.bits = 0
	}
}
