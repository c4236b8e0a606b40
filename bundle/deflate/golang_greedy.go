package deflate

import "encoding/binary"

// A goGreedy predicts the tokens of levels 2 and 3: every match is taken as it
// is found, and positions inside of long ones do not enter the chains.
type goGreedy struct{ goBuffer }

func (p *goGreedy) resume(_ *input, pos int) { p.pos = max(pos, 0) }

func (p *goGreedy) predict(in *input, dst []token, n int) []token {
	v := p.view(in)
	w := in.data
	i := p.pos - in.base
	for n += len(dst); i < v.stop && len(dst) < n; {
		p.until(w, &v, i+1)
		length, dist := 0, 0
		if i < v.hashes {
			if at := uint16(uint32(i) + v.off); p.prev[at] != goNone {
				length, dist = p.search(w, i, at, v.reach(i))
			}
		}
		if length == 0 {
			dst = append(dst, literal(w[i]))
			i++
			continue
		}
		dst = append(dst, match(uint32(length), uint32(dist)))
		i += length
		if length <= p.dense {
			p.until(w, &v, i)
		}
		v.known = max(v.known, i)
	}
	p.pos, p.known = i+in.base, v.known+in.base
	return dst
}

// until enters all positions up to before i.
func (p *goGreedy) until(w []byte, v *goView, i int) {
	if i = min(i, v.hashes); i > v.known {
		p.learn(w, v.known, i, v.off)
		v.known = i
	}
}

// search looks for the longest match of w[i:]; length is 0 if there is none.
func (p *goGreedy) search(w []byte, i int, at uint16, reach int) (length, dist int) {
	here := w[i:]
	if len(here) > maxMatch {
		here = here[:maxMatch]
	}
	nice := min(p.nice, len(here))
	length, dist, left := p.firstMatch(w[:i+len(here)], i, at, reach)
	if dist == 0 {
		return 0, 0
	}
	d := dist
	for length < nice {
		d += int(p.prev[at-uint16(d)])
		o := i + length - 3
		if d, left = p.follow(w[o-reach:o+4], at, d, left, binary.LittleEndian.Uint32(w[o:])); left <= 0 {
			break
		}
		left--
		if n := common(w[i-d:], here); n > length {
			length, dist = n, d
		}
	}
	return length, dist
}
