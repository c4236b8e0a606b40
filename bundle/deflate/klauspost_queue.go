package deflate

// klauspost predicts the tokens of klauspost/compress/flate. It searches an
// encode block at a time, since what becomes of its matches depends on how many
// they are, and keeps the tokens until they are asked for.
//
// Shape asks for blocks that have not been reached. That must not change what
// is predicted: after a resume the tables are made anew from the raw bytes in
// front of it, so that it does not matter how far the search had gone; and as
// long as parts of blocks are searched, it goes nowhere by itself.
type klauspost struct {
	find kpFinder // nil: no search, all is literals
	past *kpPast  // level 4
	grid int      // size of encode blocks
	dict int      // bytes before the frame
	bias uint32   // what the tables add to positions
	top  int      // a position that the tables hold none beyond

	at     int      // tokens were found up to here
	cursor kpCursor // s and emit are positions here
	doubt  kpDoubt

	queue []*kpFound
	next  int // the first of queue of which not all was delivered
	given int // tokens of it that were
	held  int // tokens in queue
	known []*kpFound
	spare [][]token
	plain kpFound // without a search
	waste kpCount
}

// A kpFound is what was found for an encode block, or for a part of one.
type kpFound struct {
	start, end int
	whole      bool
	tokens     []token
	count      kpCount // of a whole block
}

const (
	// kpStored and kpUnsearched are the greatest sizes of a frame's last encode
	// block that is stored, or written as literals, without a search.
	kpStored     = 32
	kpUnsearched = 127
	// kpKnown is how many whole blocks are remembered, and kpHeld how many
	// tokens a look ahead may leave in the queue.
	kpKnown = 32
	kpHeld  = 1 << 19
	// kpReplay is how many bytes are searched again to fill the tables.
	kpReplay = 1 << 16
)

func (k *klauspost) reset(in *input) {
	for len(k.queue) > 0 {
		k.drop(len(k.queue) - 1)
	}
	k.next, k.given, k.known = 0, 0, k.known[:0]
	k.at, k.doubt = 0, kpDoubt{}
	k.dict = min(-in.base, maxDistance)
	k.empty()
	if k.past != nil {
		k.past.head = k.past.head[:0]
		k.past.start = -k.dict
	}
	if k.find != nil && k.dict > kpTiny {
		k.replay(in, -k.dict, 0)
	}
}

// empty makes the tables forget all positions: at their bias, what they hold is
// too far away. They are really emptied when positions have come half around.
func (k *klauspost) empty() {
	k.bias += uint32(k.top) + 3*maxDistance
	if k.top > 1<<30 || k.bias > 1<<30 {
		k.bias = 3 * maxDistance
		if k.find != nil {
			k.find.clear()
		}
	}
	k.top = 0
}

// drop removes block i of the queue.
func (k *klauspost) drop(i int) {
	f := k.queue[i]
	k.queue = append(k.queue[:i], k.queue[i+1:]...)
	k.held -= len(f.tokens)
	if len(k.spare) < 4 {
		k.spare = append(k.spare, f.tokens[:0])
	}
	f.tokens = nil
}

// source returns the bytes that a search up to end sees, from the furthest
// byte that a match at from can begin at, and their first position.
func (k *klauspost) source(in *input, from, end int) ([]byte, int) {
	lo := max(in.base, from-maxDistance, -k.dict)
	return in.data[lo-in.base : end-in.base], lo
}

// begin tells level 4 of the encode block that pos is in.
func (k *klauspost) begin(in *input, pos, end int) {
	if k.past != nil {
		if pos >= 0 {
			pos = pos / k.grid * k.grid
		}
		k.past.begin(in, pos, end, k.dict)
	}
}

// replay searches from a place to another for the sake of the tables only.
func (k *klauspost) replay(in *input, from, to int) {
	out := k.room(k.grid + 1)
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
			k.find.run(&c, src, k.bias+uint32(lo), out, &k.waste, len(src))
		}
		from = end
	}
	k.top = max(k.top, to)
	k.spare = append(k.spare, out)
}

// room returns memory for n tokens.
func (k *klauspost) room(n int) []token {
	for len(k.spare) > 0 {
		r := k.spare[len(k.spare)-1]
		k.spare = k.spare[:len(k.spare)-1]
		if cap(r) >= n {
			return r[:n]
		}
	}
	return make([]token, n)
}

func (k *klauspost) predict(in *input, dst []token, n int) []token {
	for n > 0 {
		if k.next < len(k.queue) {
			left := k.queue[k.next].tokens[k.given:]
			if len(left) > 0 {
				m := min(n, len(left))
				k.given += m
				return append(dst, left[:m]...)
			}
			k.given = 0
			k.drop(k.next)
			continue
		}
		if k.at >= in.end() || k.at < in.base {
			break
		}
		if !k.search(in) {
			k.part(in)
		}
	}
	return dst
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

// search finds the tokens of a whole block, if there is one at the place.
func (k *klauspost) search(in *input) bool {
	if k.at%k.grid != 0 || !k.doubt.none(k.at) {
		return false
	}
	end, all := k.blockEnd(in, k.at)
	if !all {
		return false
	}
	size := end - k.at
	src, lo := k.source(in, k.at, end)
	raw := src[k.at-lo:]
	out := k.room(k.grid + 1)
	n := 0
	f := k.found()
	*f = kpFound{start: k.at, end: end, whole: true, tokens: f.tokens}
	switch {
	case k.find == nil || size <= kpUnsearched:
		kpLiterals(out, raw)
		n = size
	default:
		k.begin(in, k.at, end)
		c := kpCursor{s: k.at - lo, emit: k.at - lo, repeat: 1}
		n = k.find.run(&c, src, k.bias+uint32(lo), out, &f.count, len(src))
		k.top = end
		if n == size {
			f.count.none = true
			out[size-minMatch] = kpNothing
			n = size - minMatch + 1
		} else if n > size-size>>4 {
			kpLiterals(out, raw)
			n = size
		}
	}
	f.tokens = out[:n]
	f.count.tokens, f.count.raw = n, size
	if n == size {
		f.count = kpCount{}
		f.count.raws(raw)
	}
	k.held += n
	k.queue = append(k.queue, f)
	if len(k.known) > kpKnown {
		copy(k.known, k.known[1:])
		k.known = k.known[:kpKnown]
	}
	k.known = append(k.known, f)
	k.at = end
	return true
}

func (k *klauspost) found() *kpFound { return &kpFound{} }

// part finds the next tokens without a look at what becomes of the block.
func (k *klauspost) part(in *input) {
	if k.cursor.emit != k.at {
		k.cursor = kpCursor{s: k.at, emit: k.at, repeat: 1}
	}
	end, _ := k.blockEnd(in, k.at)
	src, lo := k.source(in, k.at, end)
	out := k.room(k.grid + 1)
	n := 0
	if raw := src[k.at-lo:]; k.find == nil || len(raw) <= kpTiny || k.cursor.s > end {
		kpLiterals(out, raw)
		n = len(raw)
		k.at = end
	} else {
		k.begin(in, k.at, end)
		c := kpCursor{s: k.cursor.s - lo, emit: k.at - lo, repeat: k.cursor.repeat}
		n = k.find.run(&c, src, k.bias+uint32(lo), out, &k.waste, c.emit+1)
		k.at = c.emit + lo
		k.cursor = kpCursor{s: c.s + lo, emit: k.at, repeat: c.repeat}
		k.top = max(k.top, end)
	}
	k.held += n
	k.queue = append(k.queue, &kpFound{tokens: out[:n]})
}

func (k *klauspost) resume(in *input, pos int) {
	for len(k.queue) > 0 {
		k.drop(len(k.queue) - 1)
	}
	k.next, k.given = 0, 0
	for n := len(k.known); n > 0 && k.known[n-1].end >= pos; n-- {
		k.known = k.known[:n-1]
	}
	if k.doubt.none(k.at) && k.find != nil {
		// whole blocks were searched, none knows how far
		k.empty()
		k.replay(in, max(in.base, -k.dict, pos-kpReplay), min(pos, in.end()))
	}
	k.at = pos
	k.cursor = kpCursor{s: pos, emit: pos, repeat: 1}
	k.doubt.add(pos, k.grid)
}

// block returns the whole encode block at pos, or nil: if it is not known, or
// cannot be yet.
func (k *klauspost) block(in *input, pos int) *kpFound {
	if k.find == nil {
		end, all := k.blockEnd(in, pos)
		if !all || pos < in.base {
			return nil
		}
		k.plain = kpFound{start: pos, end: end}
		k.plain.count.raws(in.data[pos-in.base : end-in.base])
		return &k.plain
	}
	for k.doubt.none(k.at) && k.at <= pos && k.at < in.end() && k.held < kpHeld {
		if !k.search(in) {
			break
		}
	}
	for i := len(k.known) - 1; i >= 0; i-- {
		if f := k.known[i]; f.start == pos {
			if end, all := k.blockEnd(in, pos); end == f.end && all {
				return f
			}
			break
		}
	}
	return nil
}

// counted returns what an encode block consists of that ends at end, if it was
// found whole and has so many tokens.
func (k *klauspost) counted(end, tokens int) *kpCount {
	for i := len(k.known) - 1; i >= 0; i-- {
		if f := k.known[i]; f.end == end {
			if f.count.tokens == tokens {
				return &f.count
			}
			break
		}
	}
	return nil
}

// cut returns after which token an encode block ends, and where that is; 0 if
// it does not end yet.
func (k *klauspost) cut(in *input, tokens []token, from, at int) (i, end int) {
	next := (at/k.grid + 1) * k.grid
	if in.last {
		next = min(next, in.end())
	}
	i = from
	for ; len(tokens)-i >= 8; i += 8 {
		t := tokens[i : i+8 : i+8]
		n := t[0].length() + t[1].length() + t[2].length() + t[3].length() +
			t[4].length() + t[5].length() + t[6].length() + t[7].length()
		if at+n >= next {
			break
		}
		at += n
	}
	for ; i < len(tokens); i++ {
		if at += tokens[i].length(); at >= next {
			return i + 1, at
		}
	}
	return 0, at
}

// about returns the bits of an encode block when stored, and whether it is
// written when no more bytes come.
func (k *klauspost) about(start, end int, atEnd bool) (stored int, sync bool) {
	return storedBits(end - start), atEnd
}
