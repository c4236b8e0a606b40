package deflate

import "encoding/binary"

// A goLazy predicts the tokens of levels 4 to 9: a match is put off while a
// longer one begins one byte later. All positions enter the chains, whatever
// becomes of them, so they do so well ahead of the search.
type goLazy struct {
	goBuffer
	held int // length of the match at pos, if it was searched for already
	dist int // and its distance
}

const (
	// goAheadMin is how far ahead of a search positions have to be in the
	// chains, and goAheadMax how far they are brought at a time.
	goAheadMin = 2 * maxMatch
	goAheadMax = 4 << 10

	// goShortcut is the effort that other chains than Go's own are worth.
	goShortcut = 48
)

func (p *goLazy) reset(in *input) {
	p.goBuffer.reset(in)
	p.held = 0
}

func (p *goLazy) resume(_ *input, pos int) { p.pos, p.held = max(pos, 0), 0 }

func (p *goLazy) predict(in *input, dst []token, n int) []token {
	v := p.view(in)
	w := in.data
	i := p.pos - in.base
	length, dist := p.held, p.dist
	if length > len(w)-i {
		length = 0
	}
	for n += len(dst); i < v.stop && len(dst) < n; {
		if v.known < i+goAheadMin && v.known < v.hashes {
			to := min(i+goAheadMax, v.hashes)
			p.learn(w, v.known, to, v.off)
			v.known = to
		}
		if length == 0 && i < v.known {
			if at := uint16(uint32(i) + v.off); p.prev[at] != goNone {
				length, dist = p.search(w, i, at, v.reach(i), goMinMatch-1)
			}
		}
		if length == 0 {
			dst = append(dst, literal(w[i]))
			i++
			continue
		}
		if j := i + 1; length < p.lazy && len(w)-j > length {
			at := uint16(uint32(j) + v.off)
			// a longer match has these four bytes at its end
			if p.prev[at+uint16(length-3)] != goNone {
				if n, d := p.search(w, j, at, v.reach(j), length); n > length {
					dst = append(dst, literal(w[i]))
					length, dist = n, d
					i = j
					continue
				}
			}
		}
		dst = append(dst, match(uint32(length), uint32(dist)))
		i += length
		length = 0
	}
	p.pos, p.known = i+in.base, v.known+in.base
	p.held, p.dist = length, dist
	return dst
}

// search looks for the longest match of w[i:] that is longer than least, and
// of the longest for the nearest; length is 0 if there is none.
//
// Go looks at the first hops places of one chain. Here only the result is the
// same: a match longer than best is to be found in the chain of each four
// bytes in its first best+1, with a fixed offset. So the search goes on in
// whichever of these chains gets back fastest, and rank tells whether Go would
// have got as far.
func (p *goLazy) search(w []byte, i int, at uint16, reach, least int) (best, dist int) {
	here := w[i:]
	if len(here) > maxMatch {
		here = here[:maxMatch]
	}
	nice := min(p.nice, len(here))
	first := binary.LittleEndian.Uint32(here)
	if best = least; best < goMinMatch {
		if best, dist, _ = p.firstMatch(w[:i+len(here)], i, at, reach); dist == 0 {
			return 0, 0
		}
	}
	left := goShortcut + p.hops>>3
	plain := false // nothing but Go's own chain from here
	for best < nice {
		k := best - 3
		d := int(p.prev[at+uint16(k)])
		if d > reach {
			break
		}
		if plain {
			k, d = 0, dist+int(p.prev[at-uint16(dist)])
			left = p.hops
			if dist > 0 {
				left -= int(p.rank[at] - p.rank[at-uint16(dist)])
			}
		} else if dist > 0 {
			if far, which := p.pick(at-uint16(dist), k); dist+far > d {
				k, d = which, dist+far
			}
		}
		// Of the first four bytes and the last, compare those at once that are
		// not the chain's.
		o, x, v, y := 0, best-3, first, binary.LittleEndian.Uint32(here[best-3:])
		if k != x {
			o, x, v, y = x, o, y, v
		}
		n := 0
		for {
			if d, left = p.follow(w[i+o-reach:i+o+4], at+uint16(k), d, left, v); left <= 0 {
				break
			}
			if binary.LittleEndian.Uint32(w[i+x-d:]) == y {
				if n = goMinMatch + common(w[i+goMinMatch-d:], here[goMinMatch:]); n > best {
					break
				}
			}
			d += int(p.prev[at+uint16(k)-uint16(d)])
			left--
		}
		if left <= 0 {
			if d > reach || plain {
				break
			}
			plain = true
			continue
		}
		if int(p.rank[at]-p.rank[at-uint16(d)]) > p.hops {
			break
		}
		best, dist = n, d
	}
	if dist == 0 {
		return 0, 0
	}
	return best, dist
}
