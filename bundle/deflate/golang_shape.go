package deflate

const (
	goBlockTokens = 16 << 10
	goBlockBytes  = 65535 // of levels that cut by raw bytes
	goTiny        = 16    // at level 1 an end of so few bytes is stored at once
)

// A goShape predicts how Go cuts and writes blocks. Whether a block is
// the last is not known when it is written: an empty stored block ends the
// member.
type goShape struct {
	level int
	start int // of the block
	code  goCode
	lit   [maxLitLen]uint32
	dist  [maxDist]uint32
	lens  [maxLitLen + maxDist]uint8
	ops   []op
}

func (s *goShape) reset() { s.start = 0 }

func (s *goShape) took(_ *block, _ bool, _ []token, end int) { s.start = end }

// byBytes tells whether blocks have a number of raw bytes, not of tokens.
func (s *goShape) byBytes() bool { return s.level < 2 }

func (s *goShape) cut(in *input, tokens []token, from, at int) (verdict, int) {
	if s.byBytes() {
		end := s.start + goBlockBytes
		if in.last {
			end = min(end, in.end())
		}
		for i, t := range tokens[from:] {
			if at += t.length(); at >= end {
				return mustEnd, from + i + 1
			}
		}
		return goesOn, 0
	}
	full := max(goBlockTokens, from+1)
	if in.last {
		end := in.end()
		for i, t := range tokens[from:min(full, len(tokens))] {
			if at += t.length(); at >= end {
				return mustEnd, from + i + 1
			}
		}
	}
	if len(tokens) >= full {
		return mustEnd, full
	}
	return goesOn, 0
}

func (s *goShape) block(tokens []token, pos int, atEnd, final bool) block {
	if len(tokens) == 0 {
		return block{typ: storedBlock, final: final}
	}
	raw := s.count(tokens)
	b := block{typ: dynamicBlock, size: raw}
	if s.level == goStored || s.level == goFastest && raw <= goTiny {
		b.typ = storedBlock
		return b
	}
	h := &b.header
	nlit, ndist := len(s.lit), len(s.dist)
	for s.lit[nlit-1] == 0 {
		nlit--
	}
	for ndist > 0 && s.dist[ndist-1] == 0 {
		ndist--
	}
	if ndist == 0 {
		// a code with no symbol at all would be against the rules
		s.dist[0], ndist = 1, 1
	}
	h.lit, h.dist = s.lens[:nlit:nlit], s.lens[maxLitLen:maxLitLen+ndist]
	s.code.build(h.lit, s.lit[:nlit], longest)
	s.code.build(h.dist, s.dist[:ndist], longest)
	s.describe(h)

	stored := (raw + 5) * 8
	dynamic := headerBits(h) + goBits(h.lit, s.lit[:]) + goBits(h.dist, s.dist[:])
	if s.byBytes() {
		// the extra bits of matches are left out of account
		if stored < dynamic+dynamic>>4 {
			b.typ = storedBlock
		}
		return b
	}
	extra := 0
	for i, n := range lengthExtra {
		extra += int(s.lit[257+i]) * int(n)
	}
	for i, n := range distExtra {
		extra += int(s.dist[i]) * int(n)
	}
	fixed := 3 + goBits(fixedLit[:maxLitLen], s.lit[:]) + goBits(fixedDist[:maxDist], s.dist[:])
	if dynamic >= fixed {
		b.typ, dynamic = fixedBlock, fixed
	}
	// A block whose start has left the window cannot be stored either, but
	// then it is so long that it compresses.
	if raw <= goBlockBytes && stored < dynamic+extra {
		b.typ = storedBlock
	}
	return b
}

// count makes the histograms of a block, and returns how many raw bytes it has.
func (s *goShape) count(tokens []token) int {
	clear(s.lit[:])
	clear(s.dist[:])
	raw := 0
	for _, t := range tokens {
		raw += t.length()
		t.count(&s.lit, &s.dist)
	}
	s.lit[endOfBlock] = 1
	return raw
}

func (s *goShape) describe(h *header) {
	h.ops = s.ops
	s.code.describe(h)
	s.ops = h.ops
}
