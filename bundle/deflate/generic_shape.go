package deflate

// genericShape knows nothing of where blocks end; their codes are those that
// zlib would build, which are as short as can be.
type genericShape struct{ *zlibShape }

func newGenericShape() shape {
	return genericShape{newZlibShape(zlibKind{variant: zlibPlain, level: 6, tokens: 1<<14 - 1})}
}

func (genericShape) cut(*input, []token, int, int) (verdict, int) { return goesOn, 0 }

func (s genericShape) block(tokens []token, pos int, atEnd, final bool) block {
	b := s.zlibShape.block(tokens, pos, atEnd, final)
	if len(tokens) > 0 {
		// which type it is has been coded already
		h := &b.header
		h.lit = s.lit[:s.tree.build(s.freqLit[:], longestCode, s.lit[:])]
		h.dist = s.dist[:s.tree.build(s.freqDist[:], longestCode, s.dist[:])]
		s.describe(h)
		b.typ = dynamicBlock
	}
	return b
}
