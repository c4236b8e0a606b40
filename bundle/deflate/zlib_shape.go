package deflate

import (
	"bytes"
	"math/bits"
)

// zlibShape cuts tokens into blocks as zlib and gzip do, and writes them the
// cheapest way.
type zlibShape struct {
	zlibKind
	tree zlibTree

	start   int // position where the block begins
	count   int // tokens of the block that are told
	matches int // of these
	extra   int // bits of their distances: 5 and the extra ones
	last    int // length of the last token before the block
	ended   bool
	rsync   zlibRsyncSum

	// phase is how many bits of the last byte are in use.
	phase  int
	opened bool // the beginning of the block has been counted
	// What the last prediction was for: size tokens, which have body bits with
	// these codes. size is -1 if it is of no more use.
	size              int
	body              int
	codeLit, codeDist []uint8

	freqLit  [maxLitLen]uint32
	freqDist [maxDist]uint32
	lit      [maxLitLen]uint8
	dist     [maxDist]uint8
	ops      []op
}

func newZlibShape(k zlibKind) *zlibShape {
	return &zlibShape{zlibKind: k, ops: make([]op, 0, maxLitLen+maxDist)}
}

func (s *zlibShape) reset() {
	s.start, s.count, s.matches, s.extra = 0, 0, 0, 0
	s.last, s.ended, s.phase, s.opened, s.size = 0, false, 0, false, -1
	s.rsync.reset()
}

// gzipChecks is how often gzip asks itself whether to end a block early.
const gzipChecks = 4096

func (s *zlibShape) cut(in *input, tokens []token, from, at int) (verdict, int) {
	if s.variant == zlibRsync && from == 0 && s.padded(in, at) {
		return mustEnd, 0
	}
	// room is at the token with which a buffer is full
	room := s.tokens - s.count%s.tokens
	end := noLimit
	if in.last {
		end = in.end()
	}
	if s.variant == zlibRsync {
		// the token with this byte is the last one
		if hit := s.rsync.next(in, at, at+rawLength(tokens[from:])); hit >= 0 {
			end = min(end, hit+1)
		}
	}
	if !s.gnu() && at+maxMatch*(len(tokens)-from) < end {
		if room > from && room <= len(tokens) {
			return mustEnd, room
		}
		return goesOn, 0
	}
	for i := from; i < len(tokens); {
		stop := len(tokens)
		if s.gnu() {
			stop = min(stop, i+gzipChecks-(s.count+i)%gzipChecks)
		}
		if room > i {
			stop = min(stop, room)
		}
		for ; i < stop; i++ {
			if at += tokens[i].length(); at >= end {
				return mustEnd, i + 1
			}
		}
		if i == room || s.gnu() && s.profitable(tokens[:i], at) {
			return mustEnd, i
		}
	}
	return goesOn, 0
}

// profitable reports whether gzip ends the block after tokens: it guesses the
// size of the block each time that it has 4096 more tokens.
func (s *zlibShape) profitable(tokens []token, at int) bool {
	n := s.count + len(tokens)
	if n%gzipChecks != 0 || len(tokens) == 0 || s.level <= 2 {
		return false
	}
	// gzip has not yet moved past the token
	size := at - tokens[len(tokens)-1].length() - s.start
	if s.level > 3 {
		size++ // but looks at the place after it
	}
	if n >= size/2 {
		return false
	}
	matches, extra := distances(tokens)
	matches, extra = matches+s.matches, extra+s.extra
	return matches < n/2 && (8*n+extra)/8 < size/2
}

// full reports whether the block is at an end after tokens, even if nothing
// follows: an empty block does then.
func (s *zlibShape) full(tokens []token, at int) bool {
	if len(tokens) == 0 || s.level > 3 && !tokens[len(tokens)-1].isMatch() {
		// the last literal is not followed by a check
		return false
	}
	return (s.count+len(tokens))%s.tokens == 0 || s.gnu() && s.profitable(tokens, at)
}

func (s *zlibShape) block(tokens []token, pos int, atEnd, final bool) block {
	if len(tokens) == 0 && s.marker(atEnd, final) {
		return block{typ: storedBlock}
	}
	size := rawLength(tokens)
	b := block{final: atEnd && final && !s.full(tokens, pos+size)}
	s.size = len(tokens)
	clear(s.freqLit[:])
	clear(s.freqDist[:])
	for _, t := range tokens {
		t.count(&s.freqLit, &s.freqDist)
	}
	s.freqLit[endOfBlock] = 1
	h := &b.header
	h.lit = s.lit[:s.tree.build(s.freqLit[:], longestCode, s.lit[:])]
	h.dist = s.dist[:s.tree.build(s.freqDist[:], longestCode, s.dist[:])]
	s.describe(h)
	dynamic, fixed := s.cost(h)
	cheapest := min(dynamic, fixed)
	switch {
	case size+4 <= (cheapest+3+7)/8 && size < 1<<16 && s.there(tokens, pos, pos+size, atEnd):
		b = block{typ: storedBlock, final: b.final, size: size}
	case (fixed+3+7)/8 <= (dynamic+3+7)/8:
		b = block{typ: fixedBlock, final: b.final}
		s.body, s.codeLit, s.codeDist = fixed, fixedLit[:], fixedDist[:]
	default:
		b.typ = dynamicBlock
		s.body, s.codeLit, s.codeDist = dynamic-opsBits(h), h.lit, h.dist
	}
	return b
}

// cost returns the bits of a dynamic and of a fixed block, without the three
// that both begin with.
func (s *zlibShape) cost(h *header) (dynamic, fixed int) {
	dynamic = opsBits(h)
	for i, f := range s.freqLit {
		extra := 0
		if i > endOfBlock {
			extra = int(lengthExtra[i-endOfBlock-1])
		}
		dynamic += int(f) * (int(s.lit[i]) + extra)
		fixed += int(f) * (int(fixedLit[i]) + extra)
	}
	for i, f := range s.freqDist {
		dynamic += int(f) * int(s.dist[i]+distExtra[i])
		fixed += int(f) * int(5+distExtra[i])
	}
	return dynamic, fixed
}

func (s *zlibShape) describe(h *header) {
	s.ops = zlibRuns(h.dist, zlibRuns(h.lit, s.ops[:0]))
	h.ops = s.ops
	s.tree.clen(h)
}

// there reports whether the bytes of a block are still in the window when it is
// at its end: they could not be stored otherwise.
func (s *zlibShape) there(tokens []token, start, end int, atEnd bool) bool {
	if len(tokens) == 0 {
		return true
	}
	// where the window was last asked to move
	at := end - tokens[len(tokens)-1].length() - gzipSlide - 1
	if s.level > 3 {
		at++
	}
	if atEnd && s.gnu() {
		// gzip asks no more once it has noticed the end
		at = end - (2*zlibWindow - 1)
	}
	return at < 0 || start >= (at/zlibWindow+1)*zlibWindow
}

// padded reports whether gzip fills up the last byte with an empty block: it
// does so after a cut that comes from the sum.
func (s *zlibShape) padded(in *input, at int) bool {
	return s.ended && s.last > 0 && s.phase != 0 && s.rsync.next(in, at-s.last, at) >= 0
}

// marker reports whether a block without tokens is an empty stored one.
func (s *zlibShape) marker(atEnd, final bool) bool {
	switch {
	case s.variant == zlibRsync:
		return !atEnd
	case final:
		return false
	case s.variant == zlibPigz:
		// even numbers of bits are filled up with empty fixed blocks
		return s.phase == 0 || s.phase&1 == 1
	}
	return true
}

func (s *zlibShape) took(b *block, ended bool, tokens []token, end int) {
	if s.variant == zlibPigz || s.variant == zlibRsync {
		s.advance(b, ended, tokens)
	}
	s.ended, s.size = ended, -1
	if len(tokens) > 0 {
		s.last = tokens[len(tokens)-1].length()
	} else if ended && s.count == 0 {
		s.last = 0
	}
	if ended {
		s.start, s.count, s.matches, s.extra = end, 0, 0, 0
		return
	}
	s.count += len(tokens)
	if s.gnu() {
		matches, extra := distances(tokens)
		s.matches, s.extra = s.matches+matches, s.extra+extra
	}
}

// distances returns the number of matches and the bits of their distances, if
// each symbol had five. It does without branches, which would be mispredicted.
func distances(tokens []token) (matches, size int) {
	for _, t := range tokens {
		match := uint32(1<<17-1-t) >> 31
		matches += int(match)
		// the extra bits are one less than those after the first of distance-1
		size += int(match) * (3 + bits.Len32((t.distance()-1)|3))
	}
	return matches, size
}

// advance counts the bits that were written, mod 8.
func (s *zlibShape) advance(b *block, ended bool, tokens []token) {
	if b.typ == storedBlock {
		s.phase, s.opened = 0, false
		return
	}
	h, n := &b.header, s.phase
	lit, dist := fixedLit[:], fixedDist[:]
	if b.typ == dynamicBlock {
		lit, dist = h.lit, h.dist
	}
	if !s.opened {
		n += 3
		if b.typ == dynamicBlock {
			n += opsBits(h)
		}
		if ended && len(tokens) == s.size && bytes.Equal(lit, s.codeLit) && bytes.Equal(dist, s.codeDist) {
			s.phase = (n + s.body) & 7
			return
		}
	}
	s.opened = !ended
	for _, t := range tokens {
		if !t.isMatch() {
			n += bitsOf(lit, int(t.byte()))
			continue
		}
		l, d := int(lengthSymbol[t.length()]), int(distSymbol(t.distance()))
		n += bitsOf(lit, 257+l) + int(lengthExtra[l]) + bitsOf(dist, d) + int(distExtra[d])
	}
	if ended {
		n += bitsOf(lit, endOfBlock)
	}
	s.phase = n & 7
}

func bitsOf(code []uint8, symbol int) int {
	if symbol < len(code) {
		return int(code[symbol])
	}
	return 0
}

// opsBits returns the size of a description of codes.
func opsBits(h *header) int {
	n := 5 + 5 + 4 + 3*h.nclen
	for _, o := range h.ops {
		n += int(h.clen[o.symbol]) + int(opBits[o.symbol])
	}
	return n
}
