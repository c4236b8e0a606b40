package deflate

// The ways in which the end of a block's section is told.
const (
	sectionCut   = iota // where the shape expects a cut
	sectionCount        // after a number of tokens, and the block ends there
	sectionPiece        // after pieceTokens, and the block goes on
)

// maxCount bounds the tokens of a section that is told by its count.
const maxCount = sectionTokens + pieceTokens

// beginBlock codes what is known before the tokens of a block.
func (m *model) beginBlock() error {
	var is block
	empty := false
	if m.truth != nil {
		t, err := m.truth.ahead()
		if err != nil {
			return err
		}
		is = t.block
		empty = t.whole && t.size == 0
	}
	if err := m.look(m.pos); err != nil {
		return err
	}
	if m.covered() && !m.in.final {
		if m.c.flag(&m.l.moreEmpty[min(m.tails, 3)], empty) {
			m.tails++
		} else if err := m.nextFrame(); err != nil || m.state == atFrame {
			return err
		}
	}
	m.stats.Blocks++
	m.headDone = false
	m.sec = m.sec[:0]
	end := m.covered()
	if end {
		want := m.s.block(nil, m.pos, true, m.in.final)
		if m.c.flag(&m.l.expected[toInt(m.in.final)], empty && m.truth != nil && sameBlock(&want, &is)) {
			if want.size != 0 && want.typ == storedBlock {
				return misfit("an empty block of %d bytes", want.size)
			}
			m.block = want
			m.w.head(&m.block)
			if !m.writeEnd() {
				return misfit("a block that cannot end")
			}
			return m.endBlock(nil)
		}
		m.stats.WrongBlocks++
	}
	m.block = block{
		typ:   blockType(m.c.tree(m.l.typ[m.lastTyp][:], 2, int(is.typ))),
		final: m.c.flag(&m.l.final[toInt(m.in.last)], is.final),
		pad:   is.pad, size: is.size, header: is.header,
	}
	m.lastTyp = m.block.typ
	switch m.block.typ {
	case storedBlock:
		return m.beginStored()
	case fixedBlock:
		m.codes.set(fixedLit[:], fixedDist[:])
		m.w.head(&m.block)
		m.headDone = true
	case dynamicBlock:
	default:
		return misfit("a block of no known type")
	}
	m.state = inBlock
	return nil
}

// writeEnd writes the end of a block that has no tokens, if its type has one.
func (m *model) writeEnd() bool {
	switch m.block.typ {
	case fixedBlock:
		m.codes.set(fixedLit[:], fixedDist[:])
	case dynamicBlock:
		m.codes.set(m.block.header.lit, m.block.header.dist)
	default:
		return true
	}
	return m.w.end(&m.codes)
}

// endBlock goes on after a block.
func (m *model) endBlock(tokens []token) error {
	m.s.took(&m.block, true, tokens, m.pos)
	if m.truth != nil {
		m.truth.done()
	}
	m.state = atBlock
	if m.block.final {
		m.state = atTrailer
	}
	return nil
}

// beginStored codes the size and padding of a stored block. The tokens that
// its compressor had for it are not to be seen, so the predictor's own are
// taken for them.
func (m *model) beginStored() error {
	m.sec = m.sec[:0]
	at, size := m.pos, -1
	for m.p != nil && !m.covered() && at-m.pos <= 1<<16 {
		n := len(m.sec)
		more, err := m.peek(n, 256)
		if err != nil {
			return err
		}
		m.sec = append(m.sec, more...)
		if len(m.sec) == n {
			break
		}
		v, i := m.s.cut(&m.in, m.sec, n, at)
		if v == goesOn || i > len(m.sec) {
			i = len(m.sec)
		}
		for _, t := range m.sec[n:i] {
			at += t.length()
		}
		if m.sec = m.sec[:i]; v != goesOn {
			size = at - m.pos
			break
		}
	}
	if size > 1<<16-1 {
		size = -1
	}
	if m.c.flag(&m.l.size, size == m.block.size) {
		if size < 0 {
			return misfit("a stored block of no size")
		}
		m.block.size = size
		m.used(len(m.sec))
		m.pos += size
	} else {
		m.stats.WrongBlocks++
		m.block.size = int(m.c.plain(16, uint32(m.block.size)))
		m.pos += m.block.size
		m.lost()
	}
	m.block.pad = m.codePad(&m.l.pad, m.block.pad)
	m.w.head(&m.block)
	m.left = m.block.size
	m.state = inStored
	return nil
}

// stored writes the content of a stored block.
func (m *model) stored() error {
	from := m.start + m.pos - m.left
	for m.known < from+m.left {
		if m.ended {
			return misfit("a stored block is longer than what there is")
		}
		if err := m.grow(); err != nil {
			return err
		}
	}
	m.w.out = append(m.w.out, m.buf[from-m.bufPos:][:m.left]...)
	m.left = 0
	return m.endBlock(m.sec)
}

// section codes tokens up to the next cut, or to the end of the block.
func (m *model) section() error {
	if m.covered() && !m.in.final {
		if err := m.nextFrame(); err != nil {
			return err
		}
	}
	var actual []token
	kind, count, ends := 0, 0, false
	if m.truth != nil {
		t, err := m.truth.ahead()
		if err != nil {
			return err
		}
		kind, count, ends = m.plan(t)
		actual = t.tokens[:count]
	}
	kind = m.c.tree(m.l.section[:], 2, kind)
	switch kind {
	case sectionCut:
	case sectionCount:
		m.stats.WrongBlocks++
		if n := m.c.number(&m.l.count, uint64(count)); n > maxCount {
			return misfit("a block of %d tokens", n)
		} else {
			count = int(n)
		}
	case sectionPiece:
		count = pieceTokens
	default:
		return misfit("a section of no known kind")
	}
	start := m.pos
	var v verdict
	var err error
	if m.p == nil {
		if kind == sectionCut {
			return misfit("a cut that nobody makes")
		}
		err = m.genericTokens(count, actual)
	} else {
		v, err = m.tokens(kind == sectionCut, count, actual)
	}
	if err != nil {
		return err
	}
	if kind == sectionCut {
		ends = m.c.flag(&m.l.ended[v], ends)
		if ends != (v == mustEnd) && m.truth != nil {
			m.stats.WrongBlocks++
		}
	} else {
		ends = kind == sectionCount
	}
	if !m.headDone {
		want := m.s.block(m.sec, start, m.covered(), m.in.final)
		if err := m.codeHeader(&want); err != nil {
			return err
		}
		m.headDone = true
		if !m.quiet {
			m.codes.set(m.block.header.lit, m.block.header.dist)
			m.w.head(&m.block)
		}
	}
	if !m.quiet && !m.w.tokens(&m.codes, m.sec) {
		return misfit("a token without a code")
	}
	m.stats.Tokens += int64(len(m.sec))
	m.told += int64(len(m.sec))
	if m.truth != nil {
		m.truth.coded(len(m.sec))
	}
	if !ends {
		m.s.took(&m.block, false, m.sec, m.pos)
		m.sec = m.sec[:0]
		return nil
	}
	if !m.quiet && !m.w.end(&m.codes) {
		return misfit("a block without a code for its end")
	}
	return m.endBlock(m.sec)
}

// plan finds out how the end of the section is told best.
func (m *model) plan(t *trueBlock) (kind, count int, ends bool) {
	in := m.in
	if m.cut == nil {
		// all that is in memory, since the coding will see it by then
		in.data = m.buf[m.from-m.bufPos:]
		in.last, in.final = m.truth.ended, m.truth.ended
	}
	tokens := t.tokens[:min(len(t.tokens), maxCount)]
	v, i := m.s.cut(&in, tokens, 0, m.pos)
	if v != goesOn && i > 0 && i <= len(tokens) && m.pos+rawLength(tokens[:i]) <= in.end() {
		return sectionCut, i, t.whole && i == len(t.tokens)
	}
	if t.whole && len(tokens) == len(t.tokens) {
		return sectionCount, len(t.tokens), true
	}
	return sectionPiece, min(len(tokens), pieceTokens), false
}

// rawLength returns how many raw bytes tokens stand for.
func rawLength(tokens []token) int {
	n := 0
	for _, t := range tokens {
		n += t.length()
	}
	return n
}

// tokens codes the tokens of a section into sec. It returns the verdict that
// ended it.
func (m *model) tokens(byCut bool, count int, actual []token) (verdict, error) {
	m.sec = m.sec[:0]
	for byCut || len(m.sec) < count {
		if m.covered() {
			if m.in.final {
				return 0, misfit("more tokens than raw bytes")
			}
			if err := m.nextFrame(); err != nil {
				return 0, err
			}
			continue
		}
		n := len(m.sec)
		if n > maxCount || byCut && m.truth != nil && n >= len(actual) {
			return 0, misfit("a section without an end")
		}
		want := m.batch()
		if !byCut {
			want = min(want, count-n)
		}
		pred, err := m.peek(0, want)
		if err != nil {
			return 0, err
		}
		v, i := goesOn, 0
		m.sec = append(m.sec, pred...)
		if byCut {
			if v, i = m.s.cut(&m.in, m.sec, n, m.pos); v != goesOn && i > n && i <= len(m.sec) {
				pred = pred[:i-n]
			} else {
				v = goesOn
			}
		}
		var truth []token
		if m.truth != nil {
			truth = actual[n:]
		}
		right := m.codeRight(pred, truth)
		if m.c.err != nil {
			return 0, m.c.err
		}
		m.sec = m.sec[:n+right]
		m.pos += rawLength(pred[:right])
		if right == len(pred) {
			m.used(right)
			if v != goesOn {
				return v, nil
			}
			continue
		}
		if m.stats.WrongTokens++; m.astray() {
			return 0, m.astrayError()
		}
		var t token
		if truth != nil {
			t = truth[right]
		}
		if t, err = m.codeMiss(pred[right], t); err != nil {
			return 0, err
		}
		m.sec = append(m.sec, t)
		v = goesOn
		if byCut {
			if v, i = m.s.cut(&m.in, m.sec, len(m.sec)-1, m.pos); i != len(m.sec) {
				v = goesOn
			}
		}
		m.pos += t.length()
		m.lost()
		if v != goesOn {
			return v, nil
		}
	}
	return goesOn, nil
}

// astray reports whether so many predictions are wrong that the model is not
// the right one: the generic model does better then, and predictors may be
// slow, so that nobody may make a reader go on.
func (m *model) astray() bool {
	return m.stats.WrongTokens > 512+(m.told+int64(len(m.sec)))/4
}

func (m *model) astrayError() error {
	if m.truth != nil {
		return ErrNotWorth
	}
	return misfit("more predictions are wrong than in any recipe")
}

// reach makes n raw bytes after the place of coding known.
func (m *model) reach(n int) error {
	for m.known < m.start+m.pos+n {
		if m.ended {
			return misfit("more tokens than raw bytes")
		}
		if err := m.grow(); err != nil {
			return err
		}
	}
	if m.cut == nil {
		m.view(m.known)
		m.in.last, m.in.final = m.ended, m.ended
	}
	return nil
}
