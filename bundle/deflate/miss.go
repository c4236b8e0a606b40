package deflate

// missProbs is what was learned of tokens that were not as predicted.
type missProbs struct {
	kind     [8]prob // literal or match, where a match was predicted
	longest  [2]prob
	length   [256]prob
	nearest  [2]prob
	known    prob
	hop      number
	distance [32]prob
}

func (p *missProbs) reset() {
	for _, q := range [][]prob{p.kind[:], p.longest[:], p.length[:], p.nearest[:], p.distance[:]} {
		evens(q)
	}
	p.known = even
	p.hop = newNumber()
}

// codeMiss codes the token at the place of coding, which is not pred.
func (m *model) codeMiss(pred, is token) (token, error) {
	l := &m.l.miss
	isMatch := true
	if pred.isMatch() {
		isMatch = m.c.flag(&l.kind[min(pred.length()-minMatch, 7)], is.isMatch())
	}
	if !isMatch {
		return m.literalHere()
	}
	return m.codeMatch(is)
}

// literalHere returns the byte at the place of coding as a literal.
func (m *model) literalHere() (token, error) {
	if err := m.reach(1); err != nil {
		return 0, err
	}
	return literal(m.buf[m.start+m.pos-m.bufPos]), nil
}

// codeMatch codes a match as a choice among those that are possible.
func (m *model) codeMatch(is token) (token, error) {
	l := &m.l.miss
	here := m.found.at(&m.in, m.pos)
	length := int(here.longest().length)
	// the longest one may be of no use, if it was predicted
	if length == 0 || !m.c.flag(&l.longest[0], is.length() == length) {
		length = minMatch + m.c.tree(l.length[:], 8, is.length()-minMatch)
	}
	if err := m.reach(length); err != nil {
		return 0, err
	}
	d, err := m.codeDistance(here, length, is.distance(), &l.nearest[0])
	return match(uint32(length), d), err
}

// codeDistance codes a distance, given the length.
func (m *model) codeDistance(here *place, length int, is uint32, nearest *prob) (uint32, error) {
	l := &m.l.miss
	if near, ok := here.reaching(length); ok {
		if m.c.flag(nearest, is == near.distance) {
			return near.distance, nil
		}
		hop := 0
		if !m.c.reading {
			hop, _ = m.found.hop(&m.in, m.pos, length, 0, is)
		}
		if m.c.flag(&l.known, hop > 0) {
			// the first is the nearest, which it is not
			n := m.c.number(&l.hop, uint64(max(hop-2, 0)))
			if n > depth {
				return 0, misfit("a match that is not there")
			}
			_, d := m.found.hop(&m.in, m.pos, length, int(n)+2, 0)
			if d == 0 {
				return 0, misfit("a match that is not there")
			}
			return d, nil
		}
	}
	s := uint8(0)
	if !m.c.reading {
		s = distSymbol(is)
	}
	if s = uint8(m.c.tree(l.distance[:], 5, int(s))); s >= maxDist {
		return 0, misfit("a distance without a symbol")
	}
	n := uint(distExtra[s])
	return uint32(distBase[s]) + m.c.plain(n, (is-uint32(distBase[s]))&(1<<n-1)), nil
}
