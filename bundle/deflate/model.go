package deflate

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
)

const (
	// extent is how many raw bytes are taken in at a time.
	extent = 128 << 10
	// sectionTokens is how far Analyze looks for the end of a block's section,
	// and sectionBytes the same in raw bytes; a block that goes on is coded in
	// pieces of pieceTokens.
	sectionTokens = 1 << 18
	sectionBytes  = 16 << 20
)

// A model walks through a gzip stream, member by member, block by block, and
// codes what is not as predicted. Analyze and the reader share it: with truth
// (the stream, taken apart), it writes corrections; without, it reads them. In
// both cases the stream comes out of w.
type model struct {
	c      *coder
	l      *learned
	p      predictor // nil: the generic model
	s      shape
	cut    *cutter
	choice Choice
	truth  *truth    // nil when rebuilding
	raw    io.Reader // nil when analysing
	w      bitWriter
	codes  codes
	quiet  bool // w is not wanted

	// the member
	head    []byte
	crc     uint32
	buf     []byte // raw bytes around the place of coding
	bufPos  int    // position of buf[0] in the member
	from    int    // position up to which they can be dropped
	known   int    // position up to which both sides know raw bytes
	ended   bool   // the member ends at known
	size    int64  // raw bytes of all members before this one
	state   modelState
	lastTyp blockType

	// the frame
	in    input
	start int // position of the frame in the member
	pos   int // place of coding, from the start of the frame
	tails int // blocks without raw bytes at its end
	ahead forecast
	jobs  []running // when rebuilding
	idle  []*worker

	// the block
	block    block
	left     int  // of a stored block's bytes
	headDone bool // the header has been coded
	sec      []token

	tokenState
	told  int64 // tokens that were coded, not those of frames as predicted
	stats Stats
}

type modelState uint8

const (
	atMember modelState = iota
	atFrame
	atBlock
	inBlock
	inStored
	atTrailer
	atNext
	atEnd
)

// Stats counts what was coded.
type Stats struct {
	Members     int64 // gzip members
	Blocks      int64
	WrongBlocks int64 // their end, type or header was not as predicted
	Tokens      int64
	WrongTokens int64
}

func newModel(c *coder, ch Choice) (*model, error) {
	p, s, f, err := ch.models()
	if err != nil {
		return nil, err
	}
	m := &model{c: c, l: newLearned(), p: p, s: s, cut: f, choice: ch}
	m.ahead = forecast{p: p, s: s}
	m.init()
	return m, nil
}

// step goes on by a part of the stream. It returns false at its end.
func (m *model) step() (bool, error) {
	var err error
	switch m.state {
	case atMember:
		err = m.member()
	case atFrame:
		err = m.frame()
	case atBlock:
		err = m.beginBlock()
	case inBlock:
		err = m.section()
	case inStored:
		err = m.stored()
	case atTrailer:
		err = m.trailer()
	case atNext:
		err = m.next()
	case atEnd:
		return false, nil
	}
	if err == nil {
		err = m.c.err
	}
	return true, err
}

// member codes the header of a member.
func (m *model) member() error {
	var head []byte
	if m.truth != nil {
		var err error
		if head, err = m.truth.member(); err != nil {
			return err
		}
	}
	m.stats.Members++
	if m.c.flag(&m.l.sameHead, bytes.Equal(head, m.head)) {
		head = m.head
	} else {
		n := m.c.number(&m.l.headSize, uint64(len(head)))
		if n > maxMemberHeader {
			return misfit("a gzip header of %d bytes", n)
		}
		head = m.codeBytes(head, int(n))
	}
	m.head = append(m.head[:0], head...)
	m.w.out = append(m.w.out, head...)
	m.size += int64(m.known)
	m.crc, m.known, m.ended, m.bufPos, m.from, m.start = 0, 0, false, 0, 0, 0
	m.buf = m.buf[:0]
	m.lastTyp = 3
	if m.cut != nil {
		m.cut.reset()
	}
	return m.beginFrame()
}

// codeBytes codes n bytes with a model for text.
func (m *model) codeBytes(b []byte, n int) []byte {
	if m.c.reading {
		b = make([]byte, n)
	}
	for i := range n {
		b[i] = byte(m.c.tree(m.l.headByte[:], 8, int(b[i])))
		if m.c.err != nil {
			break
		}
	}
	return b
}

// trailer codes the end of a member.
func (m *model) trailer() error {
	if m.start+m.pos != m.known || !m.ended {
		return misfit("raw bytes are left over")
	}
	var pad uint8
	var is [8]byte
	if m.truth != nil {
		pad, is = m.truth.pad, m.truth.trailer
	}
	pad = m.codePad(&m.l.endPad, pad)
	m.w.align(pad)
	var want [8]byte
	binary.LittleEndian.PutUint32(want[:], m.crc)
	binary.LittleEndian.PutUint32(want[4:], uint32(m.known))
	if m.c.flag(&m.l.trailer, is == want) {
		is = want
	} else {
		for i := range is {
			is[i] = byte(m.c.plain(8, uint32(is[i])))
		}
	}
	m.w.out = append(m.w.out, is[:]...)
	m.state = atNext
	return nil
}

// codePad codes padding, which nearly always is 0.
func (m *model) codePad(p *prob, pad uint8) uint8 {
	if m.c.flag(p, pad == 0) {
		return 0
	}
	return uint8(m.c.plain(7, uint32(pad)))
}

// next codes what follows a member.
func (m *model) next() error {
	var what pieceKind
	var rest []byte
	if m.truth != nil {
		var err error
		if what, rest, err = m.truth.next(); err != nil {
			return err
		}
	}
	const ( // in this order, since the end is what mostly comes
		nothing = iota
		another
		trailing
	)
	k := map[pieceKind]int{pieceEnd: nothing, pieceHeader: another, pieceTrailing: trailing}[what]
	switch m.c.tree(m.l.next[:], 2, k) {
	case nothing:
		m.state = atEnd
	case another:
		m.state = atMember
	case trailing:
		n := m.c.number(&m.l.tail, uint64(len(rest)))
		if n > maxTrailing {
			return misfit("%d trailing bytes", n)
		}
		m.w.out = append(m.w.out, m.codeBytes(rest, int(n))...)
		m.state = atEnd
	default:
		return misfit("nothing known follows a member")
	}
	if m.state == atEnd {
		m.size += int64(m.known)
		m.known = 0
		return m.c.finish()
	}
	return nil
}

// grow makes the next extent of raw bytes known.
func (m *model) grow() error {
	if m.ended {
		return nil
	}
	n, last := extent, false
	if m.truth != nil {
		var err error
		if n, last, err = m.truth.extent(m); err != nil {
			return err
		}
	}
	if last = m.c.flag(&m.l.lastExtent, last); last {
		k := m.c.number(&m.l.lastSize, uint64(n))
		if k > extent {
			return misfit("an extent of %d bytes", k)
		}
		n = int(k)
	}
	if m.c.err != nil {
		return m.c.err
	}
	if m.truth == nil {
		at := len(m.buf)
		m.buf = append(m.buf, make([]byte, n)...)
		if _, err := io.ReadFull(m.raw, m.buf[at:]); err != nil {
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				err = misfit("raw bytes run out")
			}
			return err
		}
	}
	at := m.known - m.bufPos
	m.crc = crc32.Update(m.crc, crc32.IEEETable, m.buf[at:at+n])
	m.known += n
	m.ended = last
	return nil
}

// slide drops raw bytes that nobody needs any more. The input must be viewed
// again afterwards.
func (m *model) slide() {
	drop := m.from - m.bufPos
	if drop < 256<<10 {
		return
	}
	m.buf = append(m.buf[:0], m.buf[drop:]...)
	m.bufPos += drop
}

// beginFrame starts the frame at start.
func (m *model) beginFrame() error {
	m.pos, m.tails = 0, 0
	if m.cut == nil {
		m.in = input{}
		if err := m.look(0); err != nil {
			return err
		}
	} else {
		dict := min(m.start, m.cut.dict)
		m.from = m.start - dict
		m.slide()
		for !m.ended && m.known-m.start < m.cut.needs {
			if err := m.grow(); err != nil {
				return err
			}
		}
		data := m.buf[m.start-m.bufPos : m.known-m.bufPos]
		n := m.cut.next(data)
		if n <= 0 || n > len(data) {
			n = len(data)
		}
		m.in = input{base: -dict, last: true, final: m.ended && n == len(data)}
		m.view(m.start + n)
	}
	if m.p != nil {
		m.p.reset(&m.in)
	}
	m.s.reset()
	m.forget()
	// frames that begin inside of a block or of a byte have no forecast
	if m.state != inBlock {
		m.state = atBlock
		aligned := m.w.n == 0
		if m.truth != nil {
			b, err := m.truth.first()
			if err != nil {
				return err
			}
			aligned = b.phase == 0
		}
		if m.cut != nil && m.p != nil && aligned {
			m.state = atFrame
		}
	}
	return nil
}

// view makes the input show the raw bytes up to end.
func (m *model) view(end int) {
	m.in.base = m.from - m.start
	m.in.data = m.buf[m.from-m.bufPos : end-m.bufPos : end-m.bufPos]
}

// look makes sure that the predictor sees far enough ahead of pos, which is
// at or after the place of coding. What it sees depends on the place of coding
// and on pos only.
func (m *model) look(pos int) error {
	if m.cut != nil {
		return nil
	}
	for !m.ended && m.known-m.start-pos < ahead {
		if err := m.grow(); err != nil {
			return err
		}
	}
	m.from = max(m.start+m.pos-behind, m.from)
	m.slide()
	m.in.last, m.in.final = m.ended, m.ended
	m.view(m.known)
	return nil
}

// covered reports whether all raw bytes of the frame have been coded.
func (m *model) covered() bool { return m.in.last && m.pos >= m.in.end() }

// nextFrame starts the frame after the present one, which is covered.
func (m *model) nextFrame() error {
	over := m.pos - m.in.end() // a token that went over the end
	if over > 0 && m.state != inBlock {
		defer func() { m.state = atBlock }()
	}
	m.start += m.in.end()
	if err := m.beginFrame(); err != nil {
		return err
	}
	for m.cut != nil && over >= m.in.end() && !m.in.final && over > 0 {
		over -= m.in.end()
		m.start += m.in.end()
		if err := m.beginFrame(); err != nil {
			return err
		}
	}
	if over > 0 {
		m.pos = over
		if m.p != nil {
			m.p.resume(&m.in, m.pos)
		}
	}
	return nil
}

// have returns up to which position of the member raw bytes are in memory.
func (m *model) have() int { return m.bufPos + len(m.buf) }
