package deflate

import "math"

// matches is kpWriter.matches as it was before 1.14.
func (v *kpOld) matches(w *kpWriter, p *kpPlan, prev *kpTable, c *kpCount, stored int, sync bool) {
	f := *c
	lit, dist := f.lit[:], f.dist[:maxDist]
	symbols := f.tokens
	nlit, ndist := maxLitLen, maxDist
	if sync {
		lit[endOfBlock] = 1
		for lit[nlit-1] == 0 {
			nlit--
		}
		for ndist > 0 && dist[ndist-1] == 0 {
			ndist--
		}
	} else {
		symbols += fillUp(lit)
		fillUp(dist)
	}
	guess := 0
	reuse := prev.bits > 0 && !prev.literals
	if reuse {
		guess = v.estimate(&f, symbols)
	}
	if ndist == 0 {
		dist[0], ndist = 1, 1
	}
	extra := 0
	for s, n := range lit[257:] {
		extra += int(n) * int(lengthExtra[s])
	}
	for s, n := range dist {
		extra += int(n) * int(distExtra[s])
	}
	poor := func(size int) bool { return stored >= 0 && stored < size+size>>4 }

	if reuse {
		a, _ := cost(lit, prev.lit[:])
		b, _ := cost(dist, prev.dist[:])
		size := a + b + extra
		if v.literals == literalsFirst {
			size += prev.bits
		}
		fresh := prev.bits + guess
		fresh += fresh >> v.penalty
		if fresh < size {
			reuse, size = false, fresh
		}
		if poor(size) {
			p.store()
			return
		}
	}
	if reuse {
		p.typ, p.reuse = dynamicBlock, true
		p.table = *prev
	} else {
		p.set(&w.code, lit, dist, nlit, ndist)
		a, _ := cost(lit, p.table.lit[:])
		b, _ := cost(dist, p.table.dist[:])
		if poor(p.table.bits + a + b + extra) {
			p.store()
			return
		}
		p.table.literals = false
	}
	if sync {
		p.table.bits = 0
	}
}

// fillUp makes frequencies of 0 ones of 1, and returns how many.
func fillUp(freq []uint32) (n int) {
	for i, f := range freq {
		if f == 0 {
			freq[i] = 1
			n++
		}
	}
	return n
}

// raws is kpWriter.literals as it was before 1.12.3.
func (v *kpOld) raws(w *kpWriter, p *kpPlan, prev *kpTable, c *kpCount, sync bool) {
	const n = endOfBlock + 1
	lit := c.lit
	filled := 0
	if !sync {
		filled = fillUp(lit[:endOfBlock])
	}
	stored := storedBits(c.raw)
	size, more, again := 0, 0, prev.bits
	switch v.literals {
	case literalsShare:
		size = kpBits(&c.lit, 1/float32(c.raw+filled)) + prev.bits + c.raw/32
		again = 0
	case literalsExtra:
		part := 1 / float32(c.raw)
		single := max(-kpLog2(part), 1)
		extra := float32(0)
		for range filled {
			extra += single
		}
		size = kpBits(&c.lit, part) + prev.bits + 15
		more = int(extra + 0.99)
		again = 0
	case literalsFirst:
		size = exactBits(&c.lit, c.raw, filled) + 15
		if stored < size+size>>4 {
			p.store()
			return
		}
		size += size >> v.penalty
		again = 2 * prev.bits
	}
	if v.literals != literalsFirst {
		if prev.bits == 0 {
			size += kpGuess
		}
		size += size >> v.penalty
		if stored < size {
			p.store()
			return
		}
		size += more
	}
	if prev.bits > 0 {
		b := lit
		if v.literals == literalsShare {
			b = c.lit
		}
		if bits, all := cost(b[:endOfBlock], prev.lit[:endOfBlock]); all && again+bits <= size {
			p.typ, p.reuse = dynamicBlock, true
			p.table = *prev
		}
	}
	if !p.reuse {
		lit[endOfBlock] = 1
		var dist [maxDist]uint32
		dist[0] = 1
		p.set(&w.code, lit[:n], dist[:1], n, 1)
		p.table.literals = true
	}
	if sync {
		p.table.bits = 0
	}
}

// kpBits estimates the bits of literals in a code of their own, at least one
// for each.
func kpBits(freq *[maxLitLen]uint32, part float32) int {
	sum := float32(0)
	for _, f := range freq[:endOfBlock] {
		if f > 0 {
			n := float32(f)
			sum += float32(max(-kpLog2(float32(n*part)), 1) * n)
		}
	}
	return int(sum + 0.99)
}

// estimate is kpEntropy of a variant.
func (v *kpOld) estimate(c *kpCount, symbols int) int {
	switch v.guess {
	case guessClamped:
		return kpEntropy(c, symbols)
	case guessExact:
		return kpOldEntropy64(c, symbols)
	}
	sum := float32(0)
	bits, matches := 0, 0
	if symbols > 0 {
		part := 1 / float32(symbols)
		for _, f := range c.lit[:endOfBlock] {
			sum += kpFreeBits(f, part)
		}
		sum += 15
		for s, f := range c.lit[endOfBlock+1:] {
			sum += kpFreeBits(f, part)
			bits += int(lengthExtra[s]) * int(f)
			matches += int(f)
		}
	}
	if matches > 0 {
		part := 1 / float32(matches)
		for s, f := range c.dist[:maxDist] {
			sum += kpFreeBits(f, part)
			bits += int(distExtra[s]) * int(f)
		}
	}
	return int(sum) + bits
}

// kpFreeBits is kpSymbolBitsOf without bounds.
func kpFreeBits(f uint32, part float32) float32 {
	if f == 0 {
		return 0
	}
	n := float32(f)
	return float32(-kpLog2(float32(n*part)) * n)
}

// kpOldEntropy64 is the estimate up to 1.9.7. By mistake it takes the extra
// bits of the symbol whose number is the frequency.
func kpOldEntropy64(c *kpCount, symbols int) int {
	sum := float64(0)
	bits, matches := 0, 0
	if symbols > 0 {
		part := 1 / float64(symbols)
		for _, f := range c.lit[:endOfBlock] {
			sum += exactSymbol(f, part)
		}
		sum += 15
		for _, f := range c.lit[endOfBlock+1:] {
			sum += exactSymbol(f, part)
			if i := f & 31; i < 29 {
				bits += int(lengthExtra[i]) * int(f)
			}
			matches += int(f)
		}
	}
	if matches > 0 {
		part := 1 / float64(matches)
		for _, f := range c.dist[:maxDist] {
			sum += exactSymbol(f, part)
			if i := f & 31; i < maxDist {
				bits += int(distExtra[i]) * int(f)
			} else {
				bits += 14 * int(f) // the table goes on beyond DEFLATE
			}
		}
	}
	return int(sum) + bits
}

func exactSymbol(f uint32, part float64) float64 {
	if f == 0 {
		return 0
	}
	n := float64(f)
	return math.Ceil(float64(-exactLog2(float64(n*part)) * n))
}

// exactBits is kpBits up to 1.9.7.
func exactBits(freq *[maxLitLen]uint32, raw, filled int) int {
	part := 1 / float64(raw)
	single := math.Ceil(-exactLog2(part))
	sum := float64(0)
	for _, f := range freq[:endOfBlock] {
		sum += exactSymbol(f, part)
	}
	return int(sum + 0.99 + single*float64(filled))
}

// exactLog2 is the binary logarithm as the standard library computes it, with
// each step rounded, so that it is the same on all machines.
func exactLog2(v float64) float64 {
	m, e := math.Frexp(v)
	if m == 0.5 {
		return float64(e - 1)
	}
	// ln m = ln (1+f), with m between sqrt(1/2) and sqrt 2
	k := 0
	if m < math.Sqrt2/2 {
		m *= 2
		k--
	}
	f := m - 1
	s := f / (2 + f)
	s2 := float64(s * s)
	s4 := float64(s2 * s2)
	even := float64(s2 * exactPoly(s4, 6.666666666666735130e-01, 2.857142874366239149e-01, 1.818357216161805012e-01, 1.479819860511658591e-01))
	odd := float64(s4 * exactPoly(s4, 3.999999999940941908e-01, 2.222219843214978396e-01, 1.531383769920937332e-01))
	half := float64(float64(0.5*f) * f)
	const high, low = 6.93147180369123816490e-01, 1.90821492927058770002e-10
	kf := float64(k)
	ln := float64(kf*high) - ((half - (float64(s*(half+(even+odd))) + float64(kf*low))) - f)
	return float64(e) + float64(ln*(1/math.Ln2))
}

// exactPoly returns a polynomial of x.
func exactPoly(x float64, c ...float64) float64 {
	sum := c[len(c)-1]
	for i := len(c) - 2; i >= 0; i-- {
		sum = c[i] + float64(x*sum)
	}
	return sum
}
