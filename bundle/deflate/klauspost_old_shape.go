package deflate

// kpOldShape is kpShape with another way of writing blocks.
type kpOldShape struct {
	kpShape
	v *kpOld
}

func (s *kpOldShape) cut(in *input, tokens []token, from, at int) (verdict, int) {
	i, end := s.found.cut(in, tokens, from, at)
	if i == 0 {
		return goesOn, 0
	}
	if in.last && end >= in.end() {
		return mustEnd, i
	}
	table := &s.table
	if !s.open {
		p := s.planFor(table, tokens[:i], end, false)
		if p.typ != dynamicBlock {
			return mustEnd, i
		}
		table = &p.table
	}
	next := s.found.block(in, end)
	if next == nil {
		return mayEnd, i
	}
	stored, sync := s.found.about(end, next.end, in.last && next.end == in.end())
	if s.plan(table, &next.count, stored, sync).reuse {
		return mayEnd, i
	}
	return mustEnd, i
}

func (s *kpOldShape) planFor(table *kpTable, tokens []token, end int, atEnd bool) *kpPlan {
	c := s.found.counted(end, len(tokens))
	if c == nil {
		c = &s.count
		*c = kpCount{}
		c.add(tokens)
		c.none = tokens[len(tokens)-1] == kpNothing
	}
	stored, sync := s.found.about(end-c.raw, end, atEnd)
	return s.plan(table, c, stored, sync)
}

func (s *kpOldShape) plan(prev *kpTable, c *kpCount, stored int, sync bool) *kpPlan {
	for i := range s.memo {
		if m := &s.memo[i]; m.known && m.sync == sync && m.stored == stored && m.prev == *prev && m.count == *c {
			s.recent = i
			return &m.plan
		}
	}
	s.recent ^= 1
	m := &s.memo[s.recent]
	m.known, m.sync, m.stored, m.prev, m.count = true, sync, stored, *prev, *c
	p := &m.plan
	p.reuse = false
	w := &s.writer
	switch {
	case c.none || sync && c.raw <= kpStored:
		p.store()
	case c.raw == c.tokens && s.v.literals == literalsMeasured:
		w.literals(p, &m.prev, c, sync)
	case c.raw == c.tokens:
		s.v.raws(w, p, &m.prev, c, sync)
	case s.v.filled:
		s.v.matches(w, p, &m.prev, c, stored, sync)
	default:
		w.matches(p, &m.prev, c, stored, sync)
	}
	return p
}

func (s *kpOldShape) block(tokens []token, pos int, atEnd, final bool) block {
	if len(tokens) == 0 {
		b := s.ending(pos, final)
		if b.final && s.v.stored {
			b.typ = storedBlock
		}
		return b
	}
	end := pos + kpRaw(tokens)
	p := s.planFor(&s.table, tokens, end, atEnd)
	if p.reuse {
		p = s.planFor(&kpTable{}, tokens, end, atEnd)
	}
	b := block{typ: p.typ}
	switch p.typ {
	case storedBlock:
		b.size = min(end-pos, 1<<16-1)
	case dynamicBlock:
		b.header = p.header()
	}
	return b
}
