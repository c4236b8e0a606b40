package deflate

// kpLazy predicts the tokens of levels 7 to 9, a window at a time.
//
// As with klauspost, looking ahead for the shape must not change what is
// predicted: after a resume, the tables are made anew if that was possible, and
// where tokens are in doubt, nothing looks ahead.
type kpLazy struct {
	search kpLazySearch
	v      *kpVariant
	doubt  kpDoubt

	dict   int // bytes before the frame
	at     int // tokens were found up to here
	index  int // where the search goes on
	top    int // positions before it are in the tables
	window int // position of its beginning

	tokens []token // found, with some that were delivered
	given  int     // how many were
	steps  []kpStepped
	room   []token
	found  kpFound
}

// A kpStepped tells what was found in one window, or a part of it.
type kpStepped struct {
	start, end int
	tokens     int // how many
	window     int
	needs      int  // up to where raw bytes had to be known for it
	last       bool // and that nothing follows them
}

const (
	// kpBlockTokens is how many tokens make a block.
	kpBlockTokens = 1 << 15
	// kpGiven is how many delivered tokens are kept, kpLazyPart how many are
	// found at a time when they are in doubt, and kpSteps how many steps are
	// remembered.
	kpGiven    = 1 << 13
	kpLazyPart = 64
	kpSteps    = 1 << 10
)

func (k *kpLazy) reset(in *input) {
	k.tokens, k.given, k.steps = k.tokens[:0], 0, k.steps[:0]
	k.doubt = kpDoubt{}
	k.dict = min(-in.base, maxDistance)
	k.fill(in, 0)
	k.start(0)
}

// fill empties the tables and fills them with what is before pos.
func (k *kpLazy) fill(in *input, pos int) {
	s := &k.search
	s.clear()
	from := max(in.base, -k.dict, pos-maxDistance)
	src := in.data[from-in.base:]
	n := min(pos-from, len(src)-kpLazyMatch+1)
	if pos == 0 {
		// what follows a dictionary is not known when it is put in
		n = min(n, k.dict-kpLazyMatch+1)
	}
	s.top = 0
	for i := range max(n, 0) {
		s.insert(src, i, k.base(from))
	}
	k.top = from + s.top
}

// base is what the tables call a position.
func (k *kpLazy) base(pos int) uint32 { return uint32(pos + k.dict + 1) }

// start makes pos the place where the search goes on, with no match at hand.
func (k *kpLazy) start(pos int) {
	k.at, k.index = pos, pos
	s := &k.search
	s.length, s.offset, s.pending, s.barren, s.costed = kpLazyMatch-1, 0, false, 0, false
	k.window = -k.dict
	if over := pos + k.dict - (kpWindow - kpAhead); over > 0 {
		k.window += (over + maxDistance - 1) / maxDistance * maxDistance
	}
}

func (k *kpLazy) predict(in *input, dst []token, n int) []token {
	if k.given > 4*kpGiven {
		k.tokens = append(k.tokens[:0], k.tokens[k.given-kpGiven:]...)
		k.given = kpGiven
	}
	for n > 0 {
		if left := k.tokens[k.given:]; len(left) > 0 {
			n = min(n, len(left))
			k.given += n
			return append(dst, left[:n]...)
		}
		if k.at >= in.end() || k.at < in.base {
			break
		}
		want := kpLazyPart
		if k.doubt.none(k.at) {
			want = noLimit
		}
		if !k.step(in, want) {
			// there should be more bytes: a literal will do
			dst = append(dst, literal(in.data[k.at-in.base]))
			k.drop(k.at)
			k.start(k.at + 1)
			break
		}
	}
	return dst
}

// step searches the window up to its end, or until there are want tokens. It
// returns false if too few bytes are known.
func (k *kpLazy) step(in *input, want int) bool {
	w := kpStepped{start: k.at, window: k.window, needs: k.window + kpWindow}
	if in.end() <= w.needs {
		w.needs, w.last = in.end(), true
		if !in.last {
			return false
		}
	}
	lo := max(k.window, in.base)
	s := &k.search
	s.at, s.top, s.costFrom = k.index-lo, k.top-lo, s.costFrom-lo
	if k.room == nil {
		k.room = make([]token, kpWindow+kpAhead)
	}
	n, all := s.run(in.data[lo-in.base:], k.base(lo), w.needs-lo, w.last, k.room, want)
	k.index, k.top, s.costFrom = s.at+lo, s.top+lo, s.costFrom+lo
	k.at = k.index
	if s.pending {
		k.at--
	}
	w.end, w.tokens = k.at, n
	k.tokens = append(k.tokens, k.room[:n]...)
	if m := len(k.steps); m > 0 && k.steps[m-1].window == w.window {
		k.steps[m-1].end = w.end
		k.steps[m-1].tokens += n
	} else {
		if m >= kpSteps {
			k.steps = append(k.steps[:0], k.steps[m/2:]...)
		}
		k.steps = append(k.steps, w)
	}
	if all && !w.last {
		k.window += maxDistance
		s.costed = false
	}
	return true
}

// drop forgets what was found up to pos or beyond, and all tokens.
func (k *kpLazy) drop(pos int) {
	k.tokens, k.given = k.tokens[:0], 0
	n := len(k.steps)
	for n > 0 && k.steps[n-1].end >= pos {
		n--
	}
	k.steps = k.steps[:n]
}

func (k *kpLazy) resume(in *input, pos int) {
	k.drop(pos)
	if k.doubt.none(k.at) {
		k.fill(in, max(min(pos, in.end()), 0))
	}
	k.doubt.add(pos, kpWindow)
	k.start(pos)
}

// reach searches up to pos, if nothing is in doubt.
func (k *kpLazy) reach(in *input, pos int) {
	pos = min(pos, in.end())
	for k.doubt.none(k.at) && k.at < pos && len(k.tokens) < kpHeld {
		at, n := k.at, len(k.tokens)
		if !k.step(in, noLimit) || k.at == at && len(k.tokens) == n {
			break
		}
	}
}

// stepOf returns which of steps has found what ends at pos, or -1.
func (k *kpLazy) stepOf(pos int) int {
	for i := len(k.steps) - 1; i >= 0; i-- {
		if w := &k.steps[i]; w.start < pos {
			if pos <= w.end {
				return i
			}
			break
		}
	}
	return -1
}

// about returns the bits of a block when stored, negative if it cannot be, and
// whether it is written when no more bytes come.
func (k *kpLazy) about(start, end int, atEnd bool) (stored int, sync bool) {
	a, b := k.stepOf(start), k.stepOf(end)
	if start == 0 {
		a = 0
		if k.v.dictStored {
			start = -k.dict
		}
	}
	stored, sync = -1, atEnd
	if end-start <= 1<<16-1 {
		stored = storedBits(end - start)
	}
	if b < 0 {
		return stored, sync
	}
	// what began in the lower half of a window cannot be stored any more when
	// the window has moved on
	if a >= 0 && a < b && (b-a > 1 || start < k.steps[a].window+maxDistance) {
		stored = -1
	}
	return stored, sync || k.steps[b].last
}

// cut returns after which token a block ends, and where that is; 0 if it does
// not end yet.
func (k *kpLazy) cut(in *input, tokens []token, from, at int) (i, end int) {
	for i, t := range tokens[from:min(len(tokens), kpBlockTokens)] {
		if at += t.length(); in.last && at >= in.end() {
			k.reach(in, at)
			return from + i + 1, at
		}
	}
	if len(tokens) < kpBlockTokens {
		return 0, at
	}
	return kpBlockTokens, at
}

// counted returns nothing: blocks are counted as they come.
func (k *kpLazy) counted(int, int) *kpCount { return nil }

// block returns what the block at pos consists of, or thinks so because of a
// part of it; nil if even that is unknown.
func (k *kpLazy) block(in *input, pos int) *kpFound {
	if !k.doubt.none(k.at) {
		return nil
	}
	k.reach(in, pos+1)
	// where pos is in tokens
	i, j, at := len(k.steps), len(k.tokens), k.at
	for i > 0 && at > pos {
		i--
		j -= k.steps[i].tokens
		at = k.steps[i].start
	}
	if at > pos || j < 0 {
		// part of this step was dropped
		if i == len(k.steps) || k.steps[i].end <= pos {
			return nil
		}
		at, j = k.steps[i].end, j+k.steps[i].tokens
		for j > 0 && at > pos {
			j--
			at -= k.tokens[j].length()
		}
	}
	for at < pos && j < len(k.tokens) {
		at += k.tokens[j].length()
		j++
	}
	if at != pos {
		return nil
	}
	k.found = kpFound{start: pos}
	c := &k.found.count
	for c.tokens < kpBlockTokens {
		if i == len(k.steps) {
			if k.reach(in, k.at+1); i == len(k.steps) {
				break
			}
		}
		w := &k.steps[i]
		if w.last && !(in.last && in.end() == w.needs) || !w.last && in.end() <= w.needs {
			break // not to be known from this input
		}
		n := j
		for ; at < w.end && n < len(k.tokens) && c.tokens+n-j < kpBlockTokens; n++ {
			at += k.tokens[n].length()
		}
		c.add(k.tokens[j:n])
		j = n
		i++
	}
	k.found.end = at
	if c.tokens < kpBlockTokens && !(in.last && at == in.end()) && !c.scale(kpBlockTokens) {
		return nil
	}
	return &k.found
}

// scale makes a part of a block stand for one of so many tokens. It returns
// false if it is too small for that.
func (c *kpCount) scale(tokens int) bool {
	if c.tokens < tokens/4 {
		return false
	}
	factor := uint32(tokens * 64 / c.tokens)
	for i := range c.lit {
		c.lit[i] = (c.lit[i]*factor + 63) / 64
	}
	for i := range c.dist {
		c.dist[i] = (c.dist[i]*factor + 63) / 64
	}
	c.tokens, c.raw = tokens, 1<<17
	return true
}
