package deflate

import "encoding/binary"

// A kpOldLazy predicts the tokens of levels 7 to 9 up to 1.13.6: a match is put
// off while a longer one begins a byte later, and where nothing is found for
// some time, more and more bytes are leapt over.
type kpOldLazy struct {
	goGreedy
	length int    // of the match that begins a byte before pos
	dist   int    // 0 if there is none
	behind bool   // the byte before pos is still to come
	barren uint16 // literals since the last match; runs over
	leap   int    // literals still to come, from out on, without a search
	out    int    // where the next token begins
}

var kpOldLevels = [3]goLevel{
	{lazy: 8, nice: 24, hops: 16},
	{lazy: 16, nice: 24, hops: 64},
	{lazy: 258, nice: 258, hops: 4096},
}

func newKpOldLazy(level int) *kpOldLazy {
	p := &kpOldLazy{}
	p.goLevel = kpOldLevels[level-7]
	return p
}

// until enters all positions up to before i.
func (p *kpOldLazy) until(w []byte, v *goView, i int) {
	i = min(i, v.hashes)
	for ; v.known < i; v.known++ {
		p.chain(binary.BigEndian.Uint32(w[v.known:])*kpPrime4>>(32-goHashBits), uint32(v.known)+v.off)
	}
}

func (p *kpOldLazy) reset(in *input) {
	p.goBuffer.reset(in)
	clear(p.prev[:]) // places that were leapt over keep what was there
	p.resume(in, 0)
	// what follows the dictionary is not known when it is put in
	v := p.view(in)
	p.until(in.data, &v, -in.base-goMinMatch+1)
	p.known = 0
}

func (p *kpOldLazy) resume(_ *input, pos int) {
	p.pos = max(pos, 0)
	p.out = p.pos
	p.length, p.dist, p.behind, p.barren, p.leap = 0, 0, false, 0, 0
}

func (p *kpOldLazy) predict(in *input, dst []token, n int) []token {
	v := p.view(in)
	v.keep(in)
	w := in.data
	i, out := p.pos-in.base, p.out-in.base
	if out < 0 {
		return dst
	}
	n += len(dst)
	for len(dst) < n {
		if p.leap > 0 && out < len(w) {
			p.leap--
			dst = append(dst, literal(w[out]))
			out++
			continue
		}
		if i >= v.stop {
			if p.behind && in.last && i == len(w) {
				dst = append(dst, literal(w[out]))
				out++
				p.behind = false
			}
			break
		}
		reach := v.reach(i)
		v.known = max(v.known, i)
		p.until(w, &v, i+1)
		before, far := p.length, p.dist
		p.length, p.dist = 0, 0
		if i < v.hashes && max(before, goMinMatch-1) < p.lazy && len(w)-i > before {
			if at := uint16(uint32(i) + v.off); int(p.prev[at]) <= reach {
				p.length, p.dist = p.search(w, i, at, reach)
			}
		}
		if far > 0 && p.length <= before {
			dst = append(dst, match(uint32(before), uint32(far)))
			out += before
			i = out
			p.until(w, &v, i)
			p.length, p.dist, p.behind = 0, 0, false
			continue
		}
		if p.dist > 0 {
			p.barren = 0
		}
		i++
		if !p.behind {
			p.behind = true
			continue
		}
		p.barren++
		p.leap = 1
		if p.barren >= 1<<kpLeap {
			more := min(int(p.barren>>kpLeap), min(v.buffer+2*goHalf, len(w))-1-i)
			i += max(more, 0)
			p.leap = i - out
			p.behind = false
		}
	}
	p.pos, p.out, p.known = i+in.base, out+in.base, v.known+in.base
	return dst
}
