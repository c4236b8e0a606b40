package deflate

import "slices"

// truth is a gzip stream taken apart, as far ahead as the coding needs.
type truth struct {
	z       *tokenizer
	m       *model
	waiting *piece // a header or the like, that ends the member before
	blocks  []*trueBlock
	spare   []*trueBlock
	ended   bool // all of the member's raw bytes are there
	pad     uint8
	trailer [8]byte
}

// A trueBlock is a block, or what is known of it.
type trueBlock struct {
	block
	tokens []token // those that have not been coded
	size   int     // raw bytes, of a complete block
	whole  bool
	phase  uint8 // bits of the byte before it that are in use
	lens   []uint8
	ops    []op
	room   []token
}

// member returns the gzip header of the next member.
func (t *truth) member() ([]byte, error) {
	p := t.waiting
	if t.waiting = nil; p == nil {
		q, err := t.z.next()
		if err != nil {
			return nil, err
		}
		p = &q
	}
	t.ended = false
	return p.bytes, nil
}

// next returns what follows a member: pieceEnd, pieceHeader, or pieceTrailing
// with its bytes.
func (t *truth) next() (pieceKind, []byte, error) {
	p, err := t.z.next()
	if err != nil {
		return 0, nil, err
	}
	t.waiting = &p
	return p.kind, p.bytes, nil
}

// pull takes one more piece of the member apart.
func (t *truth) pull() error {
	p, err := t.z.next()
	if err != nil {
		return err
	}
	if p.kind == pieceTrailer {
		t.pad, t.trailer, t.ended = p.pad, [8]byte(p.bytes), true
		return nil
	}
	if p.starts {
		b := &trueBlock{}
		if n := len(t.spare); n > 0 {
			b, t.spare = t.spare[n-1], t.spare[:n-1]
		}
		b.keep(p.block)
		b.phase = p.phase
		t.blocks = append(t.blocks, b)
	}
	b := t.blocks[len(t.blocks)-1]
	b.tokens = append(b.tokens, p.tokens...)
	b.size += len(p.raw)
	b.whole = p.ends
	t.m.buf = append(t.m.buf, p.raw...)
	if t.m.cut == nil {
		t.m.view(t.m.known)
	}
	return nil
}

// keep copies what the tokenizer will write over.
func (b *trueBlock) keep(from *block) {
	lens := append(append(b.lens[:0], from.header.lit...), from.header.dist...)
	nlit := len(from.header.lit)
	ops := append(b.ops[:0], from.header.ops...)
	*b = trueBlock{block: *from, tokens: b.room[:0], lens: lens, ops: ops, room: b.room[:0]}
	b.header.lit, b.header.dist, b.header.ops = lens[:nlit:nlit], lens[nlit:], ops
}

// first returns the block that is coded next.
func (t *truth) first() (*trueBlock, error) {
	for len(t.blocks) == 0 {
		if t.ended {
			return nil, irregular("a member without a final block")
		}
		if err := t.pull(); err != nil {
			return nil, err
		}
	}
	return t.blocks[0], nil
}

// ahead takes the first block apart until it is whole or goes on for longer
// than a section.
func (t *truth) ahead() (*trueBlock, error) {
	b, err := t.first()
	if err != nil {
		return nil, err
	}
	for !b.whole && len(b.tokens) < sectionTokens && len(t.m.buf) < sectionBytes {
		if err := t.pull(); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// frame returns the blocks of the frame, and the first one of the next frame.
func (t *truth) frame() ([]*trueBlock, error) {
	end := t.m.in.end() - t.m.pos
	for {
		size := 0
		for i, b := range t.blocks {
			if !b.whole && (len(b.tokens) > sectionTokens || b.size > sectionBytes) {
				return t.blocks, nil // too much: it cannot be as predicted
			}
			if size += b.size; size > end && (b.whole || i > 0) {
				return t.blocks, nil
			}
		}
		if t.ended {
			return t.blocks, nil
		}
		if err := t.pull(); err != nil {
			return nil, err
		}
	}
}

// coded drops the first n tokens of the first block.
func (t *truth) coded(n int) {
	b := t.blocks[0]
	if cap(b.tokens) > cap(b.room) {
		b.room = b.tokens
	}
	b.tokens = b.tokens[n:]
}

// done drops the first block.
func (t *truth) done() {
	b := t.blocks[0]
	t.blocks = slices.Delete(t.blocks, 0, 1)
	if len(t.spare) < 4 {
		t.spare = append(t.spare, b)
	}
}

// extent returns how many raw bytes come next, and whether the member ends
// with them.
func (t *truth) extent(m *model) (int, bool, error) {
	for !t.ended && m.have()-m.known < extent {
		if err := t.pull(); err != nil {
			return 0, false, err
		}
	}
	n := m.have() - m.known
	if n > extent || n == extent && !t.ended {
		return extent, false, nil
	}
	return n, true, nil
}
