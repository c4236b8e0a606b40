package deflate

// An input is the part of a frame's raw bytes that is in memory. A frame is
// what one compressor sees between its start (or reset) and its end: mostly the
// whole of a gzip member; with pgzip and pigz one of their blocks. Positions
// count raw bytes from the start of the frame; a dictionary (bytes before the
// frame that the compressor was given) has negative positions.
type input struct {
	data []byte
	base int  // position of data[0]; negative or 0 at the start of a frame
	last bool // data ends where the frame ends: nothing follows
	// final says that the gzip member ends with the frame; only meaningful
	// together with last.
	final bool
}

// end returns the position after the last byte that is in memory.
func (in *input) end() int { return in.base + len(in.data) }

const (
	// behind is how many raw bytes before the place of prediction an input
	// holds at least (or all that there are).
	behind = 64 << 10
	// ahead is how many raw bytes after the place of prediction an input holds
	// at least when predict is called, unless it is the last.
	ahead = 160 << 10
)

// A predictor says which tokens a compressor would make. It is deterministic:
// the same calls give the same tokens on any machine, for ever. What it
// predicts after a wrong prediction is a matter of quality, never of
// correctness, since both sides see the same; so it need not take back what it
// put into its tables.
//
// Positions beyond 2^31 occur; tables hold positions mod 2^32 and compare
// differences, and whatever a stale entry says is checked against the bytes.
type predictor interface {
	// reset starts a frame; nothing of earlier ones may remain. in.base is minus the length of the dictionary, and
	// data holds at least the dictionary.
	reset(in *input)
	// predict appends at least one and at most n tokens that follow what it
	// has predicted so far, and moves on. It looks no further than data. It
	// returns dst as it is at the end of the frame only. A token never reaches
	// beyond in.end().
	predict(in *input, dst []token, n int) []token
	// resume makes pos the place of prediction: a token before it was not as
	// predicted. pos may be before or after what was predicted last.
	resume(in *input, pos int)
}

// A verdict is what a shape thinks of a place between two tokens.
type verdict uint8

const (
	goesOn  verdict = iota // no place where the block could end
	mayEnd                 // could end here, expected to go on (header is decided here)
	mustEnd                // expected to end here
)

// A shape says how a compressor cuts its tokens into blocks, and how it writes
// them. Like a predictor it is deterministic, and free to be wrong.
type shape interface {
	// reset starts a frame; nothing of earlier ones may remain.
	reset()
	// cut looks for the first place after from (from < i <= len(tokens)) where
	// the block could or should end after i tokens, and returns the verdict and
	// i. tokens are those since the block began or since the last cut that was
	// told by took; at is the position of tokens[from] (of what follows, if
	// from is len(tokens)); nothing up to from is such a place. in tells where
	// the frame ends: when all its raw bytes are covered, the verdict is
	// mustEnd. With goesOn, i is meaningless. cut must not change what the
	// shape says later: it is called several times with growing tokens, and
	// with tokens that turn out to be wrong.
	cut(in *input, tokens []token, from, at int) (v verdict, i int)
	// block predicts how the block is written. It is called when the first cut
	// that is mayEnd or mustEnd has been reached (or the block's end, when that
	// comes earlier), with the tokens up to there; pos is the position of
	// tokens[0]. atEnd says that the frame's raw bytes end with these tokens;
	// final that the member does. The stored blocks and empty ones that
	// a compressor puts at the end (flush markers, an empty final block) are
	// asked for one by one with no tokens and atEnd.
	block(tokens []token, pos int, atEnd, final bool) block
	// describe predicts how code lengths that are not as predicted are written:
	// it fills ops and clen of h from lit and dist.
	describe(h *header)
	// took tells what really became of the tokens since the last cut: the block
	// that they are in, that the block ended with them or goes on (also after a
	// cut that was mustEnd), and the position after them. With a stored block,
	// tokens are what the predictor had expected for its bytes; they may be
	// fewer or go beyond.
	took(b *block, ended bool, tokens []token, end int)
}

// A blockType is the two bits of a block's header (RFC 1951, section 3.2.3).
type blockType uint8

const (
	storedBlock blockType = iota
	fixedBlock
	dynamicBlock
)

// A block is what a DEFLATE stream says of a block besides its tokens.
type block struct {
	typ   blockType
	final bool
	pad   uint8 // stored: the bits between the type and the next byte boundary
	// stored: raw bytes, at most 65535.
	size   int
	header header // dynamic
}

// A header is the description of a dynamic block's two codes.
type header struct {
	lit   []uint8   // code lengths of literals and lengths: 257 to 288
	dist  []uint8   // code lengths of distances: 1 to 32
	ops   []op      // lit and dist, run-length coded as the stream has them
	clen  [19]uint8 // lengths of the code for ops, in order of symbols (not of the permutation)
	nclen int       // how many of them are written, 4 to 19
}

// An op is one step of the run-length code for code lengths: symbol 0 to 15
// is a length, 16 repeats the last one 3 to 6 times, 17 and 18 zeros 3 to 10
// and 11 to 138 times. extra is the value of the extra bits.
type op struct{ symbol, extra uint8 }
