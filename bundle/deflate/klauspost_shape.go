package deflate

// kpShape cuts and describes as klauspost/compress/flate does. It may go on
// with a block's codes for the next encode block when a new table would not
// pay: a place where an encode block ends is where a block may end.
type kpShape struct {
	found   kpSource
	fast    bool // levels 1 to 6
	plain   bool // an encode block without matches was not searched, or in vain
	writer  kpWriter
	flushed int // pgzip: size of its blocks, each of which ends with a flush

	table   kpTable // that is in use where the present encode block begins
	open    bool    // it does not begin a block
	flushes int     // at the end of the frame, so far
	memo    [2]kpMemo
	recent  int // of memo
	count   kpCount
}

// A kpSource is what the predictor tells the shape.
type kpSource interface {
	// cut returns after which token an encode block ends, and where that is; 0
	// if it does not end yet.
	cut(in *input, tokens []token, from, at int) (i, end int)
	// block returns the encode block that is thought to begin at pos; nil if
	// that is unknown.
	block(in *input, pos int) *kpFound
	// counted returns what the encode block consists of that ends at end, if
	// that is known and it has so many tokens.
	counted(end, tokens int) *kpCount
	// about returns the bits of an encode block when stored, negative if it
	// cannot be, and whether it is written when no more bytes come.
	about(start, end int, atEnd bool) (stored int, sync bool)
}

// A kpMemo remembers a plan and what it was made for.
type kpMemo struct {
	known  bool
	prev   kpTable
	count  kpCount
	stored int
	sync   bool
	plan   kpPlan
}

func (s *kpShape) reset() {
	s.table.bits = 0
	s.open = false
	s.flushes = 0
}

func (s *kpShape) cut(in *input, tokens []token, from, at int) (verdict, int) {
	i, end := s.found.cut(in, tokens, from, at)
	if i == 0 {
		return goesOn, 0
	}
	if in.last && end >= in.end() {
		return mustEnd, i
	}
	return s.verdict(in, tokens[:i], end), i
}

// verdict tells whether a block goes on after the encode block that ends at
// end.
func (s *kpShape) verdict(in *input, tokens []token, end int) verdict {
	next := s.found.block(in, end)
	table := &s.table
	if !s.open {
		p := s.planFor(table, tokens, end, false)
		if p.typ != dynamicBlock {
			return mustEnd
		}
		table = &p.table
	}
	if _, sync := s.found.about(end, end, false); sync {
		return mustEnd
	}
	if next == nil {
		return mayEnd
	}
	stored, sync := s.found.about(end, next.end, in.last && next.end == in.end())
	if s.plan(table, &next.count, stored, sync).reuse {
		return mayEnd
	}
	return mustEnd
}

// planFor returns how an encode block of tokens is written that ends at end.
func (s *kpShape) planFor(table *kpTable, tokens []token, end int, atEnd bool) *kpPlan {
	c := s.found.counted(end, len(tokens))
	if c == nil {
		c = &s.count
		*c = kpCount{}
		c.add(tokens)
		c.none = s.fast && tokens[len(tokens)-1] == kpNothing
	}
	stored, sync := s.found.about(end-c.raw, end, atEnd)
	return s.plan(table, c, stored, sync)
}

// plan returns how an encode block is written after prev.
func (s *kpShape) plan(prev *kpTable, c *kpCount, stored int, sync bool) *kpPlan {
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
	switch {
	case s.fast && (c.none || sync && c.raw <= kpStored):
		p.store()
	case s.plain && c.raw == c.tokens:
		s.writer.literals(p, &m.prev, c, sync)
	default:
		s.writer.matches(p, &m.prev, c, stored, sync)
	}
	return p
}

func (s *kpShape) block(tokens []token, pos int, atEnd, final bool) block {
	if len(tokens) == 0 {
		return s.ending(pos, final)
	}
	end := pos + kpRaw(tokens)
	p := s.planFor(&s.table, tokens, end, atEnd)
	if p.reuse {
		// it should have gone on
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

// kpRaw returns how many raw bytes tokens stand for.
func kpRaw(tokens []token) int {
	var a, b, c, d int
	for ; len(tokens) >= 4; tokens = tokens[4:] {
		a += tokens[0].length()
		b += tokens[1].length()
		c += tokens[2].length()
		d += tokens[3].length()
	}
	for _, t := range tokens {
		a += t.length()
	}
	return a + b + c + d
}

// ending returns the next empty block at the end of a frame of size bytes:
// flush markers, which are stored blocks, and at the very end an empty block
// with fixed codes.
func (s *kpShape) ending(size int, final bool) block {
	flushes := 0
	if s.flushed > 0 {
		if flushes = 1; final && size == s.flushed {
			flushes = 2 // the end finds nothing left to compress, and flushes again
		}
	}
	if s.flushes < flushes || !final {
		return block{typ: storedBlock}
	}
	return block{typ: fixedBlock, final: true}
}

func (s *kpShape) describe(h *header) {
	s.writer.code.describe(h, nil)
}

func (s *kpShape) took(b *block, ended bool, tokens []token, end int) {
	if len(tokens) == 0 && b.typ == storedBlock && b.size == 0 {
		s.flushes++
	}
	if !s.open {
		t := &s.table
		t.bits = 0
		if b.typ == dynamicBlock {
			clear(t.lit[copy(t.lit[:], b.header.lit):])
			clear(t.dist[copy(t.dist[:], b.header.dist):])
			t.bits = kpHeaderBits(&b.header)
			t.literals = s.plain && len(b.header.lit) == endOfBlock+1 && len(b.header.dist) == 1
		}
	}
	s.open = !ended
}
