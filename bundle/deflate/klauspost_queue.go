package deflate

import "slices"

// klauspost predicts the tokens of levels 1 to 6, and of Huffman codes only. It
// searches an encode block at a time, since what becomes of its matches depends
// on how many they are, and keeps the tokens until they are asked for.
//
// The shape asks for blocks that have not been reached. That must not change
// what is predicted: after a resume the tables are made anew from the raw bytes
// in front of it, so that it does not matter how far the search had gone; and
// where tokens are in doubt, nothing looks ahead.
type klauspost struct {
	find  kpFinder // nil: no search, all is literals
	past  *kpPast  // level 4
	grid  int      // size of encode blocks
	doubt kpDoubt

	dict   int      // bytes before the frame
	bias   uint32   // what the tables add to positions
	top    int      // a position that the tables hold none beyond
	at     int      // tokens were found up to here
	cursor kpCursor // s and emit are positions here

	tokens []token // found, with some that were delivered
	given  int     // how many were
	known  [kpKnown]kpFound
	blocks int // how many were found: the last are in known
	waste  kpCount
}

// A kpFound is an encode block that was found.
type kpFound struct {
	start, end int
	count      kpCount
}

const (
	// kpStored and kpUnsearched are the greatest sizes of a frame's last encode
	// block that is stored, or written as literals, without a search.
	kpStored     = 32
	kpUnsearched = 127
	// kpKnown is how many encode blocks are remembered, and kpHeld how many
	// tokens a look ahead may leave to be delivered.
	kpKnown = 32
	kpHeld  = 1 << 20
	// kpReplay is how many bytes are searched again to fill the tables.
	kpReplay = 1 << 16
	// kpBias keeps what frames have put into the tables out of each other's
	// reach.
	kpBias = 3 * maxDistance
)

func (k *klauspost) reset(in *input) {
	k.tokens, k.given, k.blocks = k.tokens[:0], 0, 0
	k.at, k.cursor, k.doubt = 0, kpNowhere, kpDoubt{}
	k.dict = min(-in.base, maxDistance)
	k.empty()
	if k.past != nil {
		k.past.head = k.past.head[:0]
		k.past.start = -k.dict
	}
	k.replay(in, -k.dict, 0)
}

// empty makes the tables forget all positions: with another bias, what they
// hold is too far away. Before positions come around, they are emptied.
func (k *klauspost) empty() {
	k.bias += uint32(k.top) + kpBias
	if k.top > 1<<30 || k.bias > 1<<30 || k.bias < kpBias {
		k.bias = kpBias
		if k.find != nil {
			k.find.clear()
		}
	}
	k.top = 0
}

// source returns the bytes that a search from a position up to end sees, and
// the position of the first.
func (k *klauspost) source(in *input, from, end int) ([]byte, int) {
	lo := max(in.base, from-maxDistance, -k.dict)
	return in.data[lo-in.base : end-in.base], lo
}

// check makes sure that what the tables hold is in memory, as it is with an
// input that keeps its promise.
func (k *klauspost) check(in *input) {
	if in.base > max(k.at-maxDistance, -k.dict) {
		k.empty()
	}
}

// room returns memory for n more tokens.
func (k *klauspost) room(n int) []token {
	k.tokens = slices.Grow(k.tokens, n)
	return k.tokens[len(k.tokens):][:n]
}

// begin tells level 4 of the encode block that pos is in.
func (k *klauspost) begin(in *input, pos, end int) {
	if k.past != nil {
		if pos >= 0 {
			pos = pos / k.grid * k.grid
		}
		k.past.begin(in, pos, end, k.dict)
	}
	k.top = max(k.top, end)
}

// replay searches from a place to another for the sake of the tables only.
func (k *klauspost) replay(in *input, from, to int) {
	if k.find == nil {
		return
	}
	for from < to {
		end := to
		if from < 0 {
			end = min(end, 0)
		} else {
			end = min(end, (from/k.grid+1)*k.grid)
		}
		if end-from > kpTiny {
			k.begin(in, from, end)
			src, lo := k.source(in, from, end)
			c := kpCursor{s: from - lo, emit: from - lo, repeat: 1}
			k.find.run(&c, src, k.bias+uint32(lo), k.room(end-from+1), &k.waste, len(src))
		}
		from = end
	}
}

func (k *klauspost) predict(in *input, dst []token, n int) []token {
	if k.given > k.grid {
		k.tokens = append(k.tokens[:0], k.tokens[k.given:]...)
		k.given = 0
	}
	for {
		if left := k.tokens[k.given:]; len(left) > 0 {
			n = min(n, len(left))
			k.given += n
			return append(dst, left[:n]...)
		}
		if k.at >= in.end() || k.at < in.base {
			return dst
		}
		k.tokens, k.given = k.tokens[:0], 0
		if !k.search(in) {
			k.part(in)
		}
	}
}

// blockEnd returns the end of the encode block that pos is in, and whether all
// of it is in memory.
func (k *klauspost) blockEnd(in *input, pos int) (int, bool) {
	end := (pos/k.grid + 1) * k.grid
	if end <= in.end() {
		return end, true
	}
	return in.end(), in.last
}

// search finds the tokens of an encode block, if one begins here, none are in
// doubt, and all of it is in memory.
func (k *klauspost) search(in *input) bool {
	if k.at%k.grid != 0 || !k.doubt.none(k.at) || k.at < in.base {
		return false
	}
	end, all := k.blockEnd(in, k.at)
	if !all {
		return false
	}
	k.check(in)
	size := end - k.at
	src, lo := k.source(in, k.at, end)
	raw := src[k.at-lo:]
	out := k.room(k.grid + 1)
	f := &k.known[k.blocks%kpKnown]
	k.blocks++
	*f = kpFound{start: k.at, end: end}
	n := size
	if k.find != nil && size > kpUnsearched {
		k.begin(in, k.at, end)
		c := kpCursor{s: k.at - lo, emit: k.at - lo, repeat: 1}
		if n = k.find.run(&c, src, k.bias+uint32(lo), out, &f.count, len(src)); n == size {
			f.count.none = true
		} else if n > size-size>>4 {
			n = size // too few matches: literals only
		}
	}
	switch {
	case f.count.none:
		n = size - minMatch + 1
		out[n-1] = kpNothing
	case n == size:
		kpLiterals(out, raw)
		f.count = kpCount{}
		f.count.raws(raw)
	}
	f.count.tokens, f.count.raw = n, size
	k.tokens = k.tokens[:len(k.tokens)+n]
	k.at = end
	return true
}

// part finds the next tokens without a look at what becomes of the encode
// block.
func (k *klauspost) part(in *input) {
	if k.cursor.emit != k.at {
		k.cursor = kpCursor{s: k.at, emit: k.at, repeat: 1}
	}
	k.check(in)
	end, _ := k.blockEnd(in, k.at)
	src, lo := k.source(in, k.at, end)
	left := end - k.at
	if k.find == nil || left <= kpTiny {
		out := k.room(left)
		kpLiterals(out, src[k.at-lo:])
		k.tokens = k.tokens[:len(k.tokens)+left]
		k.at = end
		return
	}
	k.begin(in, k.at, end)
	c := kpCursor{s: k.cursor.s - lo, emit: k.at - lo, repeat: k.cursor.repeat}
	if c.repeat > c.emit {
		c.repeat = 1
	}
	n := k.find.run(&c, src, k.bias+uint32(lo), k.room(left+1), &k.waste, c.emit+1)
	k.tokens = k.tokens[:len(k.tokens)+n]
	k.at = c.emit + lo
	k.cursor = kpCursor{s: c.s + lo, emit: k.at, repeat: c.repeat}
}

func (k *klauspost) resume(in *input, pos int) {
	k.tokens, k.given = k.tokens[:0], 0
	for n := min(k.blocks, kpKnown); n > 0 && k.known[(k.blocks-1)%kpKnown].end >= pos; n-- {
		k.known[(k.blocks-1)%kpKnown] = kpFound{}
		k.blocks--
	}
	if k.doubt.none(k.at) {
		// encode blocks were searched, nobody knows how far
		k.empty()
		k.replay(in, max(in.base, -k.dict, pos-kpReplay), min(pos, in.end()))
	}
	k.at, k.cursor = pos, kpNowhere
	k.doubt.add(pos, k.grid)
}
