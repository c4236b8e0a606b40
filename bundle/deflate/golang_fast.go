package deflate

import "encoding/binary"

const (
	goFastBits   = 14
	goFastMargin = 15  // no match begins in so many bytes before a block's end
	goFastLeast  = 128 // a last block that is shorter is not searched at all
	goFastPart   = 512 // how far to search after a wrong prediction, at first
)

// A goRun is a number of literals and what follows them: a match, or 0.
type goRun struct {
	literals uint32
	match    token
}

// A goFast predicts the tokens of level 1: one candidate from a small hash
// table, in blocks that are searched as a whole. When that saves too little,
// the block becomes literals.
type goFast struct {
	pos  int // where the next token begins
	runs []goRun
	next int // the run at pos
	part int // after a wrong prediction: how much to search at once
	// table is where a hash was seen last: its position + goBias. Go keeps the
	// four bytes there too; here they are looked up.
	table [1 << goFastBits]uint32
}

func (p *goFast) reset(*input) {
	clear(p.table[:])
	p.resume(nil, 0)
}

func (p *goFast) resume(_ *input, pos int) {
	p.pos, p.part = max(pos, 0), goFastPart
	p.runs, p.next = p.runs[:0], 0
}

func (p *goFast) predict(in *input, dst []token, n int) []token {
	w := in.data
	i := p.pos - in.base
	for i >= 0 && i < len(w) && n > 0 {
		if p.next == len(p.runs) && !p.search(in, i) {
			break
		}
		r := &p.runs[p.next]
		if r.literals > 0 {
			k := min(n, int(r.literals), len(w)-i)
			dst = appendLiterals(dst, w[i:i+k])
			r.literals -= uint32(k)
			i += k
			n -= k
			if r.literals > 0 || n == 0 && r.match != 0 {
				break
			}
		}
		if r.match != 0 {
			if r.match.length() > len(w)-i {
				break
			}
			dst = append(dst, r.match)
			i += r.match.length()
			n--
		}
		p.next++
	}
	p.pos = i + in.base
	return dst
}

// search finds the runs from w[i:] to the end of the block. It returns false
// if the block's end is not in memory.
func (p *goFast) search(in *input, i int) bool {
	p.runs, p.next = p.runs[:0], 0
	done := (i + in.base) % goBlockBytes
	end := i - done + goBlockBytes
	if end > len(in.data) {
		if end = len(in.data); !in.last {
			return false
		}
	}
	w := in.data[:end]
	size := end - i
	if done > 0 {
		// In the midst of a block: small parts, in case that it goes on like this.
		stop := min(i+p.part, end)
		p.part = min(2*p.part, goBlockBytes)
		p.match(w, i, stop, uint32(in.base+goBias))
		return true
	}
	p.part = goFastPart
	if size >= goFastLeast {
		p.match(w, i, end, uint32(in.base+goBias))
		tokens := 0
		for _, r := range p.runs {
			tokens += int(r.literals)
			if r.match != 0 {
				tokens++
			}
		}
		if tokens <= size-size>>4 {
			return true
		}
	}
	p.runs = append(p.runs[:0], goRun{literals: uint32(size)})
	return true
}

func goFastHash(v uint32) uint32 { return v * goHashMul >> (32 - goFastBits) }

// match appends the runs from i to stop, or a little further, in a block that
// ends with w. off turns places in w into what the table holds.
func (p *goFast) match(w []byte, i, stop int, off uint32) {
	limit := min(len(w)-goFastMargin, stop)
	from := i // of the literals
	for i < limit {
		// without a match, the steps become wider
		var d uint32
		v := binary.LittleEndian.Uint32(w[i:])
		for skip := 32; ; {
			step := skip >> 5
			skip += step
			if i+step > limit {
				goto rest
			}
			h := &p.table[goFastHash(v)]
			d = uint32(i) + off - *h
			*h = uint32(i) + off
			if d-1 < maxDistance && int(d) <= i && binary.LittleEndian.Uint32(w[i-int(d):]) == v {
				break
			}
			i += step
			v = binary.LittleEndian.Uint32(w[i:])
		}
		for literals := uint32(i - from); ; literals = 0 {
			here := w[i+goMinMatch:]
			if len(here) > maxMatch-goMinMatch {
				here = here[:maxMatch-goMinMatch]
			}
			length := goMinMatch + common(w[i+goMinMatch-int(d):], here)
			p.runs = append(p.runs, goRun{literals, match(uint32(length), d)})
			i += length
			from = i
			if i >= limit {
				goto rest
			}
			x := binary.LittleEndian.Uint64(w[i-1:])
			p.table[goFastHash(uint32(x))] = uint32(i-1) + off
			v = uint32(x >> 8)
			h := &p.table[goFastHash(v)]
			d = uint32(i) + off - *h
			*h = uint32(i) + off
			if d-1 < maxDistance && int(d) <= i && binary.LittleEndian.Uint32(w[i-int(d):]) == v {
				continue
			}
			i++
			break
		}
	}
rest:
	if stop > from {
		p.runs = append(p.runs, goRun{literals: uint32(stop - from)})
	}
}
