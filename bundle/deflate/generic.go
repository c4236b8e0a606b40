package deflate

// genericProbs is what was learned of a compressor that no predictor knows.
type genericProbs struct {
	kind    [10 * 4 * 3 * 8]prob
	none    prob
	longest [10 * 3]prob
	nearest [10]prob
}

func (g *genericProbs) reset() {
	evens(g.kind[:])
	evens(g.longest[:])
	evens(g.nearest[:])
	g.none = even
}

// lengthClass puts lengths into ten classes.
func lengthClass(n uint32) int {
	switch {
	case n < 8:
		return int(max(n, 2)) - 2 // 0 to 5
	case n < 16:
		return 6
	case n < 32:
		return 7
	case n < maxMatch:
		return 8
	}
	return 9
}

// genericTokens codes count tokens into sec without a predictor: each as a
// choice among the matches that are possible.
func (m *model) genericTokens(count int, actual []token) error {
	m.sec = m.sec[:0]
	for len(m.sec) < count {
		if m.c.err != nil {
			return m.c.err
		}
		if err := m.look(m.pos); err != nil {
			return err
		}
		if m.covered() {
			return misfit("more tokens than raw bytes")
		}
		var is token
		if m.truth != nil {
			is = actual[len(m.sec)]
		}
		t, err := m.codeGeneric(is)
		if err != nil {
			return err
		}
		m.sec = append(m.sec, t)
		m.pos += t.length()
	}
	return nil
}

func (m *model) codeGeneric(is token) (token, error) {
	g := &m.l.generic
	here := m.found.at(&m.in, m.pos)
	top := here.longest()
	if top.length == 0 {
		if m.c.flag(&g.none, is.isMatch()) {
			m.stats.WrongTokens++
			return m.codeMatch(is)
		}
		return m.literalHere()
	}
	next := m.found.at(&m.in, m.pos+1).longest()
	gain := 0
	switch d := int(next.length) - int(top.length); {
	case d > 1:
		gain = 3
	case d == 1:
		gain = 2
	case d == 0:
		gain = 1
	}
	far := 0
	if top.distance > 4096 {
		far = 2
	} else if top.distance > 512 {
		far = 1
	}
	class := lengthClass(top.length)
	kind := &g.kind[((class*4+gain)*3+far)*8+int(m.recent&7)]
	isMatch := m.c.flag(kind, is.isMatch())
	m.recent = m.recent<<1 | uint8(toInt(isMatch))
	if !isMatch {
		return m.literalHere()
	}
	length := int(top.length)
	if !m.c.flag(&g.longest[class*3+far], is.length() == length) {
		m.stats.WrongTokens++
		length = minMatch + m.c.tree(m.l.miss.length[:], 8, is.length()-minMatch)
		if err := m.reach(length); err != nil {
			return 0, err
		}
	}
	d, err := m.codeDistance(here, length, is.distance(), &g.nearest[class])
	return match(uint32(length), d), err
}
