package deflate

import (
	"bytes"
	"encoding/binary"
	"math"
)

const (
	// pieceTokens and pieceBytes bound what next decodes at a time.
	pieceTokens = 16 << 10
	pieceBytes  = 256 << 10
	history     = maxDistance

	// maxMemberHeader bounds a gzip header with its names and extra fields,
	// and maxTrailing what follows the last member.
	maxMemberHeader = 64 << 10
	maxTrailing     = 64 << 10
)

// A pieceKind says what a piece is.
type pieceKind uint8

const (
	pieceHeader   pieceKind = iota // a member begins: its gzip header is in bytes
	pieceBlock                     // a block, or a part of it
	pieceTrailer                   // a member has ended: pad, and 8 bytes of trailer
	pieceTrailing                  // bytes after the last member
	pieceEnd                       // nothing follows
)

// A piece is the next part of a gzip stream. Its slices are valid until the
// next call.
type piece struct {
	kind   pieceKind
	bytes  []byte
	pad    uint8 // pieceTrailer: bits between the last block and the trailer
	phase  uint8 // bits of the last byte that are in use before the piece
	starts bool  // pieceBlock: the first piece of its block
	ends   bool  // and the last one
	block  *block
	tokens []token
	raw    []byte // what the tokens stand for, or the content of a stored block
}

// A tokenizer takes a gzip stream apart (RFC 1952, RFC 1951).
type tokenizer struct {
	in     *bitReader
	out    []byte // history, then what is being decoded
	past   int    // bytes of history in front of the next piece
	tokens []token
	state  pieceKind // what comes next
	block  block
	open   bool // inside of a block
	left   int  // of a stored block
	lit    decoder
	dist   decoder
	clen   decoder
	head   []byte
	ops    []op
	lens   []uint8
	// members counts gzip members.
	members int64
}

func newTokenizer(in *bitReader) *tokenizer {
	return &tokenizer{
		in:     in,
		out:    make([]byte, history+pieceBytes+maxMatch+8),
		tokens: make([]token, pieceTokens),
	}
}

// next returns the next piece. Errors wrap [ErrNotGzip] or [ErrIrregular],
// or are the reader's.
func (t *tokenizer) next() (piece, error) {
	switch t.state {
	case pieceHeader:
		return t.header()
	case pieceBlock:
		return t.body()
	case pieceTrailer:
		return t.trailer()
	case pieceTrailing:
		return t.trailing()
	}
	return piece{kind: pieceEnd}, nil
}

// header reads the header of a member.
func (t *tokenizer) header() (piece, error) {
	t.head = t.head[:0]
	fixed := t.more(10)
	if fixed == nil {
		return piece{}, t.in.problem()
	}
	if !isMember(fixed) {
		return piece{}, notGzip("no gzip header")
	}
	flags := fixed[3]
	if flags&0x04 != 0 { // FEXTRA
		n := t.more(2)
		if n == nil || t.more(int(binary.LittleEndian.Uint16(n))) == nil {
			return piece{}, t.in.problem()
		}
	}
	for _, flag := range []byte{0x08, 0x10} { // FNAME, FCOMMENT
		for flags&flag != 0 {
			c := t.more(1)
			if c == nil {
				return piece{}, t.in.problem()
			}
			if len(t.head) > maxMemberHeader {
				return piece{}, irregular("a gzip header of more than %d bytes", maxMemberHeader)
			}
			if c[0] == 0 {
				break
			}
		}
	}
	if flags&0x02 != 0 && t.more(2) == nil { // FHCRC
		return piece{}, t.in.problem()
	}
	t.state, t.open, t.past = pieceBlock, false, 0
	t.members++
	return piece{kind: pieceHeader, bytes: t.head}, nil
}

// isMember reports whether b begins like a member: magic and method.
func isMember(b []byte) bool {
	return len(b) >= 3 && b[0] == 0x1f && b[1] == 0x8b && b[2] == 8
}

// more appends n bytes of the stream to head and returns them; nil if there
// are not as many.
func (t *tokenizer) more(n int) []byte {
	at := len(t.head)
	t.head = append(t.head, make([]byte, n)...)
	if t.in.bytes(t.head[at:]) < n {
		return nil
	}
	return t.head[at:]
}

// body decodes a piece of a block.
func (t *tokenizer) body() (piece, error) {
	p := piece{kind: pieceBlock, block: &t.block, phase: uint8(-t.in.n & 7)}
	if !t.open {
		if err := t.begin(); err != nil {
			return piece{}, err
		}
		p.starts, t.open = true, true
	}
	// the end of what was decoded last becomes history
	keep := min(t.past, history)
	copy(t.out, t.out[t.past-keep:t.past])
	t.past = keep
	from := keep
	var err error
	if t.block.typ == storedBlock {
		p.ends, err = t.copyStored()
	} else {
		p.tokens, p.ends, err = t.decode()
	}
	if err != nil {
		return piece{}, err
	}
	p.raw = t.out[from:t.past]
	if p.ends {
		t.open = false
		if t.block.final {
			t.state = pieceTrailer
		}
	}
	return p, nil
}

// begin reads what stands before the content of a block.
func (t *tokenizer) begin() error {
	b := t.in
	b.load()
	t.block = block{final: b.bits(1) == 1, typ: blockType(b.bits(2))}
	switch t.block.typ {
	case storedBlock:
		t.block.pad = b.align()
		var n [4]byte
		if b.over() || b.bytes(n[:]) < 4 {
			return b.problem()
		}
		size := binary.LittleEndian.Uint16(n[:])
		if size != ^binary.LittleEndian.Uint16(n[2:]) {
			return notGzip("a stored block whose length is damaged")
		}
		t.block.size, t.left = int(size), int(size)
	case fixedBlock:
		t.lit.build(fixedLit[:], litBits, litEntry)
		t.dist.build(fixedDist[:], distBits, distEntry)
	case dynamicBlock:
		if err := t.codes(); err != nil {
			return err
		}
	default:
		return notGzip("a block of no known type")
	}
	if b.over() {
		return b.problem()
	}
	return nil
}

// codes reads the codes of a dynamic block (RFC 1951, section 3.2.7).
func (t *tokenizer) codes() error {
	b, h := t.in, &t.block.header
	nlit, ndist := int(b.bits(5))+257, int(b.bits(5))+1
	h.nclen = int(b.bits(4)) + 4
	for _, s := range clenOrder[:h.nclen] {
		h.clen[s] = uint8(b.bits(3))
	}
	if !t.clen.build(h.clen[:], clenBits, clenEntry) {
		return notGzip("a code for code lengths that cannot be")
	}
	t.ops, t.lens = t.ops[:0], t.lens[:0]
	for len(t.lens) < nlit+ndist {
		if b.n < 16 {
			b.load()
		}
		e := t.clen.table[b.acc&(1<<t.clen.bits-1)]
		if e&kindMask != kindLiteral || b.over() {
			return notGzip("code lengths that cannot be")
		}
		b.bits(uint(e & 15))
		o := op{symbol: uint8(e >> entryValue)}
		o.extra = uint8(b.bits(uint(opBits[o.symbol])))
		t.ops = append(t.ops, o)
		if o.symbol < 16 {
			t.lens = append(t.lens, o.symbol)
			continue
		}
		var v uint8
		if o.symbol == 16 {
			if len(t.lens) == 0 {
				return notGzip("code lengths that repeat nothing")
			}
			v = t.lens[len(t.lens)-1]
		}
		for range opBase[o.symbol] + o.extra {
			t.lens = append(t.lens, v)
		}
	}
	if len(t.lens) > nlit+ndist {
		return notGzip("more code lengths than codes")
	}
	h.lit, h.dist, h.ops = t.lens[:nlit], t.lens[nlit:], t.ops
	if !t.lit.build(h.lit, litBits, litEntry) || !t.dist.build(h.dist, distBits, distEntry) {
		return notGzip("a Huffman code that cannot be")
	}
	return nil
}

// copyStored takes over content of a stored block.
func (t *tokenizer) copyStored() (ends bool, err error) {
	n := min(t.left, pieceBytes)
	if t.in.bytes(t.out[t.past:t.past+n]) < n {
		return false, t.in.problem()
	}
	t.past += n
	t.left -= n
	return t.left == 0, nil
}

// decode decodes tokens until the block ends or a piece is full.
func (t *tokenizer) decode() ([]token, bool, error) {
	b := t.in
	out, op := t.out, t.past
	tokens := t.tokens
	lit, dist := t.lit.table, t.dist.table
	litMask, distMask := uint64(1<<t.lit.bits-1), uint64(1<<t.dist.bits-1)
	n, ends := 0, false
	limit := op + pieceBytes
	for n < len(tokens) && op < limit {
		if b.n < 48 { // 15 + 5 + 15 + 13 bits at most
			b.load()
			if b.over() {
				return nil, false, b.problem()
			}
		}
		e := lit[b.acc&litMask]
		if e&kindMask == kindTable {
			e = further(lit, e, b)
		}
		b.acc >>= e & 15
		b.n -= uint(e & 15)
		if e&kindMask == kindLiteral {
			out[op] = byte(e >> entryValue)
			op++
			tokens[n] = 1<<16 | token(e>>entryValue)
			n++
			continue
		}
		if e&kindMask != kindBase {
			if e&kindMask == kindEnd {
				ends = true
				break
			}
			return nil, false, notGzip("a code without a meaning")
		}
		x := e >> entryExtra & 15
		length := e>>entryValue + uint32(b.acc&(1<<x-1))
		b.acc >>= x
		b.n -= uint(x)
		if length == maxMatch && x != 0 {
			return nil, false, irregular("a length of %d in two symbols", maxMatch)
		}
		e = dist[b.acc&distMask]
		if e&kindMask == kindTable {
			e = further(dist, e, b)
		}
		if e&kindMask != kindBase {
			return nil, false, notGzip("a distance without a meaning")
		}
		b.acc >>= e & 15
		x = e >> entryExtra & 15
		d := e>>entryValue + uint32(b.acc&(1<<x-1))
		b.acc >>= x
		b.n -= uint(e&15 + x)
		if int(d) > op {
			return nil, false, notGzip("a match before the beginning")
		}
		copyMatch(out, op, int(d), int(length))
		op += int(length)
		tokens[n] = match(length, d)
		n++
	}
	if b.over() {
		return nil, false, b.problem()
	}
	t.past = op
	return tokens[:n], ends, nil
}

// further resolves an entry that names a further table, and drops the bits
// that led there.
func further(table []uint32, e uint32, b *bitReader) uint32 {
	width := e >> entryExtra & 15
	if width == 0 {
		return invalid
	}
	b.acc >>= e & 15
	b.n -= uint(e & 15)
	return table[e>>entryValue+uint32(b.acc&(1<<width-1))]
}

// copyMatch repeats what stands distance bytes before op. out has room for 8
// bytes more than length.
func copyMatch(out []byte, op, distance, length int) {
	if distance >= 8 {
		src := out[op-distance : op+length+8-distance]
		dst := out[op : op+length+8]
		for i := 0; i < length; i += 8 {
			binary.LittleEndian.PutUint64(dst[i:], binary.LittleEndian.Uint64(src[i:]))
		}
		return
	}
	if distance == 1 {
		c := out[op-1]
		run := out[op : op+length]
		for i := range run {
			run[i] = c
		}
		return
	}
	for i := op; i < op+length; i++ {
		out[i] = out[i-distance]
	}
}

// trailer reads the end of a member.
func (t *tokenizer) trailer() (piece, error) {
	p := piece{kind: pieceTrailer, pad: t.in.align()}
	t.head = t.head[:0]
	if p.bytes = t.more(8); p.bytes == nil || t.in.over() {
		return piece{}, t.in.problem()
	}
	next := t.in.peek(3)
	switch {
	case len(next) == 0:
		if t.in.err != nil {
			return piece{}, t.in.err
		}
		t.state = pieceEnd
	case isMember(next):
		t.state = pieceHeader
	default:
		t.state = pieceTrailing
	}
	return p, nil
}

// trailing reads what stands after the last member.
func (t *tokenizer) trailing() (piece, error) {
	var buf bytes.Buffer
	part := make([]byte, 4<<10)
	for {
		n := t.in.bytes(part)
		buf.Write(part[:n])
		if buf.Len() > maxTrailing {
			return piece{}, irregular("more than %d bytes after the end", maxTrailing)
		}
		if n < len(part) {
			break
		}
	}
	if t.in.err != nil {
		return piece{}, t.in.err
	}
	t.state = pieceEnd
	return piece{kind: pieceTrailing, bytes: buf.Bytes()}, nil
}

// noLimit is a position that is never reached.
const noLimit = math.MaxInt
