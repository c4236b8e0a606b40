package deflate

import (
	"bytes"
	"slices"
)

// headerProbs is what was learned of block headers that are not as predicted.
type headerProbs struct {
	nlit, ndist [32]prob
	lit, dist   [16][16]prob // by the length that was predicted
	asWritten   prob
	op          [4][4]prob // by the op before
	run         [3][128]prob
	clen        [8][8]prob
	nclen       [16]prob
}

func (p *headerProbs) reset() {
	evens(p.nlit[:])
	evens(p.ndist[:])
	for i := range p.lit {
		evens(p.lit[i][:])
		evens(p.dist[i][:])
	}
	p.asWritten = even
	for i := range p.op {
		evens(p.op[i][:])
	}
	for i := range p.run {
		evens(p.run[i][:])
	}
	for i := range p.clen {
		evens(p.clen[i][:])
	}
	evens(p.nclen[:])
}

func sameHeader(a, b *header) bool {
	return bytes.Equal(a.lit, b.lit) && bytes.Equal(a.dist, b.dist) && sameDescription(a, b)
}

func sameDescription(a, b *header) bool {
	return slices.Equal(a.ops, b.ops) && a.clen == b.clen && a.nclen == b.nclen
}

// sameBlock compares blocks without content.
func sameBlock(a, b *block) bool {
	if a.typ != b.typ || a.final != b.final {
		return false
	}
	switch a.typ {
	case storedBlock:
		return a.pad == b.pad && a.size == b.size
	case dynamicBlock:
		return sameHeader(&a.header, &b.header)
	}
	return true
}

// codeHeader codes the header of a dynamic block, of which want is the
// prediction.
func (m *model) codeHeader(want *block) error {
	h := &m.block.header
	fits := want.typ == dynamicBlock && validHeader(&want.header)
	if m.c.flag(&m.l.header, m.truth != nil && fits && sameHeader(h, &want.header)) {
		if !fits {
			return misfit("a block without a header")
		}
		m.block.header = want.header
		return nil
	}
	m.stats.WrongBlocks++
	l := &m.l.codes
	is := *h // lit and dist of is are not changed
	nlit := m.c.tree(l.nlit[:], 5, max(len(is.lit)-257, 0)) + 257
	ndist := m.c.tree(l.ndist[:], 5, max(len(is.dist)-1, 0)) + 1
	lens := make([]uint8, nlit+ndist)
	copy(lens, is.lit)
	copy(lens[nlit:], is.dist)
	guess := func(predicted []uint8, i int) uint8 {
		if fits && i < len(predicted) {
			return predicted[i]
		}
		return 0
	}
	for i := range nlit {
		lens[i] = uint8(m.c.tree(l.lit[guess(want.header.lit, i)][:], 4, int(lens[i])))
	}
	for i := range ndist {
		lens[nlit+i] = uint8(m.c.tree(l.dist[guess(want.header.dist, i)][:], 4, int(lens[nlit+i])))
	}
	if m.c.err != nil {
		return m.c.err
	}
	as := header{lit: lens[:nlit:nlit], dist: lens[nlit:]}
	m.s.describe(&as)
	if m.c.flag(&l.asWritten, m.truth != nil && sameDescription(&as, &is)) {
		if !validHeader(&as) {
			return misfit("a header that cannot be written")
		}
		*h = as
		return nil
	}
	return m.codeDescription(&as, &is, lens)
}

// codeDescription codes how code lengths are written; guess is the shape's idea
// of it.
func (m *model) codeDescription(guess, is *header, lens []uint8) error {
	l := &m.l.codes
	h := header{lit: guess.lit, dist: guess.dist}
	last := 0
	for at, n := 0, 0; at < len(lens); n++ {
		var o op
		kind := 0
		if m.truth != nil {
			o = is.ops[n]
			kind = max(int(o.symbol)-15, 0)
		}
		kind = m.c.tree(l.op[last][:], 2, kind)
		if last = kind; kind == 0 {
			h.ops = append(h.ops, op{symbol: lens[at]})
			at++
			continue
		}
		o.symbol = uint8(15 + kind)
		o.extra = uint8(m.c.tree(l.run[kind-1][:1<<opBits[o.symbol]], uint(opBits[o.symbol]), int(o.extra)))
		var v uint8
		if kind == 1 {
			if at == 0 {
				return misfit("code lengths that repeat nothing")
			}
			v = lens[at-1]
		}
		run := int(opBase[o.symbol] + o.extra)
		if at+run > len(lens) {
			return misfit("more code lengths than codes")
		}
		for _, x := range lens[at : at+run] {
			if x != v {
				return misfit("a run of code lengths that differ")
			}
		}
		h.ops = append(h.ops, o)
		at += run
	}
	for s := range h.clen {
		h.clen[s] = uint8(m.c.tree(l.clen[guess.clen[s]&7][:], 3, int(is.clen[s])))
	}
	h.nclen = m.c.tree(l.nclen[:], 4, max(is.nclen-4, 0)) + 4
	m.block.header = h
	return m.c.err
}

// validHeader reports whether h can be written at all: shapes are asked about
// anything.
func validHeader(h *header) bool {
	return len(h.lit) >= 257 && len(h.lit) <= 288 && len(h.dist) >= 1 && len(h.dist) <= 32 && h.nclen >= 4 && h.nclen <= 19
}
