package deflate

// A kpFirstShape cuts as Go does, and with lazy it also writes blocks so. If
// not, it stores a block unless that costs 1/16 more.
type kpFirstShape struct {
	goShape
	lazy    bool
	fixed   bool // the empty block at the very end has fixed codes
	flushed int  // as kpShape's
	flushes int
	found   *goBuffer
}

func (s *kpFirstShape) reset() {
	s.goShape.reset()
	s.flushes = 0
}

func (s *kpFirstShape) took(b *block, ended bool, tokens []token, end int) {
	if len(tokens) == 0 && b.typ == storedBlock && b.size == 0 {
		s.flushes++
	}
	s.goShape.took(b, ended, tokens, end)
}

func (s *kpFirstShape) block(tokens []token, pos int, atEnd, final bool) block {
	if len(tokens) == 0 {
		flushes := 0
		if s.flushed > 0 {
			if flushes = 1; final && pos == s.flushed {
				flushes = 2
			}
		}
		b := block{typ: storedBlock, final: final && s.flushes >= flushes}
		if b.final && s.fixed {
			b.typ = fixedBlock
		}
		return b
	}
	raw := s.count(tokens)
	b := block{typ: dynamicBlock, size: raw}
	known, begin := raw, pos
	dict := -s.found.start
	if pos == 0 {
		// the dictionary counts as part of the first block
		known, begin = raw+dict, -dict
	}
	gone := s.gone(tokens, begin, pos)
	if !s.lazy && !gone && len(tokens) > known-len(tokens)>>6 {
		// all literals: that the few matches are not used, kpFirst does not
		// foresee
		clear(s.lit[endOfBlock+1:])
		clear(s.dist[:])
	}
	nlit, ndist := len(s.lit), len(s.dist)
	for s.lit[nlit-1] == 0 {
		nlit--
	}
	for ndist > 0 && s.dist[ndist-1] == 0 {
		ndist--
	}
	if ndist == 0 {
		s.dist[0], ndist = 1, 1
	}
	h := &b.header
	h.lit, h.dist = s.lens[:nlit:nlit], s.lens[maxLitLen:maxLitLen+ndist]
	s.code.build(h.lit, s.lit[:nlit], longest)
	s.code.build(h.dist, s.dist[:ndist], longest)
	s.describe(h)
	size := headerBits(h) + goBits(h.lit, s.lit[:]) + goBits(h.dist, s.dist[:])
	fixed := goBits(fixedLit[:maxLitLen], s.lit[:]) + goBits(fixedDist[:maxDist], s.dist[:]) + 3
	if (s.lazy || gone) && fixed <= size {
		b.typ, size = fixedBlock, fixed
	}
	if s.lazy {
		for i, n := range lengthExtra {
			size += int(s.lit[257+i]) * int(n)
		}
		for i, n := range distExtra {
			size += int(s.dist[i]) * int(n)
		}
	} else {
		size += size >> 4
	}
	if !gone && known <= goBlockBytes && storedBits(known) < size {
		b.typ = storedBlock
	}
	return b
}

// gone reports whether the window has moved on from where a block begins, so
// that the compressor only knows its tokens.
func (s *kpFirstShape) gone(tokens []token, begin, pos int) bool {
	// the window that the block begins in
	buffer := s.found.start
	if over := begin - buffer - goFull; over >= 0 {
		buffer += (over/goHalf + 1) * goHalf
	}
	if begin-buffer >= goHalf {
		return false
	}
	for _, t := range tokens[:len(tokens)-1] {
		if pos += t.length(); pos-buffer >= goFull {
			return true
		}
	}
	return false
}
