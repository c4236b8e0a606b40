package deflate

// maxTail bounds the blocks without raw bytes that a forecast puts at the end
// of a frame.
const maxTail = 16

// A forecast is what a model predicts of a whole frame, from its raw bytes
// alone. Frames whose forecast is right need no corrections, and are rebuilt
// side by side.
type forecast struct {
	p      predictor
	s      shape
	tokens []token
}

// An observer is told the blocks of a forecast.
type observer interface {
	// phase returns how many bits of the last byte are in use before the next
	// block.
	phase() uint8
	// section gets a part of a block that begins with raw byte pos; first is
	// set for the first part. It returns false if the forecast is of no use.
	section(b *block, first, ends bool, tokens []token, pos int) bool
}

// frame tells o what is predicted of the frame in. It returns false if o did,
// or if nothing sensible is predicted.
func (f *forecast) frame(in *input, tail int, o observer) bool {
	f.p.reset(in)
	f.s.reset()
	f.tokens = f.tokens[:0]
	for pos := 0; pos < in.end(); {
		var b block
		for first, ends := true, false; !ends; first = false {
			n, v, ok := f.predict(in, pos)
			if !ok {
				return false
			}
			section := f.tokens[:n]
			end := pos + rawLength(section)
			ends = v == mustEnd
			if first {
				b = f.s.block(section, pos, end == in.end(), in.final)
				if b.typ == storedBlock {
					if b.size, ends = end-pos, true; b.size > 1<<16-1 {
						return false
					}
				}
			}
			if !o.section(&b, first, ends, section, pos) {
				return false
			}
			f.s.took(&b, ends, section, end)
			pos = end
			f.tokens = append(f.tokens[:0], f.tokens[n:]...)
			if b.final && ends {
				return pos == in.end()
			}
			if !ends && pos >= in.end() {
				return false
			}
		}
	}
	for n := 0; in.final || n < tail || o.phase() != 0; n++ {
		b := f.s.block(nil, in.end(), true, in.final)
		if n > maxTail || b.size != 0 || !o.section(&b, true, true, nil, in.end()) {
			return false
		}
		f.s.took(&b, true, nil, in.end())
		if b.final {
			return in.final
		}
	}
	return true
}

// predict brings the tokens of a section into f.tokens and returns their
// number.
func (f *forecast) predict(in *input, pos int) (int, verdict, bool) {
	from, at := 0, pos
	for {
		if v, i := f.s.cut(in, f.tokens, from, at); v != goesOn && i > from && i <= len(f.tokens) {
			return i, v, true
		}
		at += rawLength(f.tokens[from:])
		from = len(f.tokens)
		if at >= in.end() || from > maxCount {
			return 0, goesOn, false
		}
		if f.tokens = f.p.predict(in, f.tokens, predictAtOnce); len(f.tokens) == from {
			return 0, goesOn, false
		}
	}
}

// A frameWriter writes a forecast.
type frameWriter struct {
	bitWriter
	in    *input
	codes codes
}

func (w *frameWriter) phase() uint8 { return uint8(w.n) }

func (w *frameWriter) section(b *block, first, ends bool, tokens []token, pos int) bool {
	if first {
		if b.typ == dynamicBlock && !validHeader(&b.header) {
			return false
		}
		w.head(b)
		switch b.typ {
		case storedBlock:
			w.out = append(w.out, w.in.data[pos-w.in.base:][:b.size]...)
		case fixedBlock:
			w.codes.set(fixedLit[:], fixedDist[:])
		case dynamicBlock:
			w.codes.set(b.header.lit, b.header.dist)
		}
	}
	if b.typ == storedBlock {
		return true
	}
	return w.bitWriter.tokens(&w.codes, tokens) && (!ends || w.end(&w.codes))
}

// A frameChecker compares a forecast with the truth.
type frameChecker struct {
	blocks []*trueBlock
	at     int // tokens of the first block that were compared
	stats  Stats
}

func (c *frameChecker) phase() uint8 {
	if len(c.blocks) == 0 {
		return 0
	}
	return c.blocks[0].phase
}

func (c *frameChecker) section(b *block, first, ends bool, tokens []token, pos int) bool {
	if len(c.blocks) == 0 {
		return false
	}
	is := c.blocks[0]
	if first && !sameBlock(b, &is.block) {
		return false
	}
	if b.typ != storedBlock {
		for i, t := range tokens {
			if c.at+i >= len(is.tokens) || is.tokens[c.at+i] != t {
				return false
			}
		}
		c.at += len(tokens)
		c.stats.Tokens += int64(len(tokens))
		if ends != (is.whole && c.at == len(is.tokens)) {
			return false
		}
	}
	if ends {
		c.blocks, c.at = c.blocks[1:], 0
		c.stats.Blocks++
	}
	return true
}
