package deflate

import "slices"

// zlibLazy predicts the tokens of levels 4 to 9: a match is taken only if the
// next place has no longer one.
type zlibLazy struct {
	zlibKind
	links *zlibLinks
	pos   int
	// held is the length of the match that was found at pos when the place
	// before it was looked at, and dist its distance; 0 if none was.
	held, dist int
	tail       zlibTail
}

func newZlibLazy(k zlibKind) *zlibLazy {
	return &zlibLazy{zlibKind: k, links: newZlibLinks(k.hashBits), tail: zlibTail{zlibKind: k}}
}

func (z *zlibLazy) reset(in *input) {
	z.pos, z.held = 0, 0
	z.links.reset(in.base)
	z.tail.reset()
}

func (z *zlibLazy) resume(in *input, pos int) {
	z.pos, z.held = pos, 0
	z.tail.reset()
}

func (z *zlibLazy) predict(in *input, dst []token, n int) []token {
	z.links.seek(in, z.pos)
	n = max(min(n, pieceTokens), 1)
	had := len(dst)
	dst = slices.Grow(dst, n)
	for len(dst) < had+n {
		// fill as much as can be used, chunk by chunk
		if z.links.endKeyed < z.pos+maxMatch+8 {
			z.links.fill(in, z.pos+maxMatch+8+linksChunk)
		}
		// better looks at the links of the whole match
		until := min(z.links.endKeyed, in.end()-7) - maxMatch - 1
		if z.pos >= until {
			break
		}
		dst = z.run(in.data, in.base, until, dst, had+n)
	}
	if len(dst) < had+n && (in.last || len(dst) == had) {
		dst = z.end(in, dst, had+n)
	}
	return dst
}

// run appends tokens to dst until it has n of them or pos reaches until.
func (z *zlibLazy) run(data []byte, base, until int, dst []token, n int) []token {
	l := z.links
	i, stop := z.pos-base, until-base
	held, dist := z.held, z.dist
	for len(dst) < n && i < stop {
		if held == 0 {
			at := uint16(i + base)
			if l.link[at] > zlibTooFar && l.four.link[at] > zlibFar {
				dst = append(dst, literal(data[i]))
				i++
				continue
			}
			length, from := l.first(data, base, i, z.chain, z.nice)
			held, dist = length, i-from
			if length < minMatch || length == minMatch && dist > zlibTooFar {
				dst = append(dst, literal(data[i]))
				held = 0
				i++
				continue
			}
		}
		if held < z.lazy {
			most := z.chain
			if held >= z.good {
				most >>= 2
			}
			if length, from := l.better(data, base, i+1, held, most, z.nice); length > held {
				dst = append(dst, literal(data[i]))
				i++
				held, dist = length, i-from
				continue
			}
		}
		dst = append(dst, match(uint32(held), uint32(dist)))
		i += held
		held = 0
	}
	z.pos, z.held, z.dist = i+base, held, dist
	return dst
}

// end is run for the last bytes of the frame, which the longest match could
// go beyond.
func (z *zlibLazy) end(in *input, dst []token, n int) []token {
	z.links.fill(in, in.end())
	for len(dst) < n && z.pos < in.end() {
		i := z.pos - in.base
		if z.held == 0 {
			length, dist := z.look(in, z.pos, minMatch-1, z.chain)
			if length < minMatch || length == minMatch && dist > zlibTooFar {
				dst = append(dst, literal(in.data[i]))
				z.pos++
				continue
			}
			z.held, z.dist = length, dist
		}
		most := z.chain
		switch {
		case z.held >= z.lazy:
			most = 0
		case z.held >= z.good:
			most >>= 2
		}
		if length, dist := z.look(in, z.pos+1, z.held, most); length > z.held {
			dst = append(dst, literal(in.data[i]))
			z.pos++
			z.held, z.dist = length, dist
			continue
		}
		dst = append(dst, match(uint32(z.held), uint32(z.dist)))
		z.pos += z.held
		z.held = 0
	}
	return dst
}

// look finds a match at pos that is longer than best.
func (z *zlibLazy) look(in *input, pos, best, most int) (length, dist int) {
	z.tail.step(in, pos)
	if most == 0 {
		return best, 0
	}
	data, base, longest, ok := z.tail.view(in, pos)
	if !ok {
		return best, 0
	}
	nice := z.nice
	if !z.gnu() {
		nice = min(nice, longest)
	}
	length, from := z.links.near(data, base, pos-base, best, most, nice, longest)
	if length = min(length, in.end()-pos); length <= best {
		return best, 0
	}
	return length, pos - base - from
}
