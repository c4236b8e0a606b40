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
	part   int // how many tokens are found at a time when in doubt

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
	// found at a time at most when they are in doubt, and kpSteps how many
	// steps are remembered.
	kpGiven    = 1 << 13
	kpLazyPart = 256
	kpSteps    = 1 << 10
)

func (k *kpLazy) reset(in *input) {
	k.tokens, k.given, k.steps = k.tokens[:0], 0, k.steps[:0]
	k.doubt, k.part = kpDoubt{}, 1
	k.dict = min(-in.base, maxDistance)
	k.search.costed = false
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
	s.length, s.offset, s.pending, s.barren = kpLazyMatch-1, 0, false, 0
	window := -k.dict
	if over := pos + k.dict - (kpWindow - kpAhead); over > 0 {
		window += (over + maxDistance - 1) / maxDistance * maxDistance
	}
	s.costed = s.costed && window == k.window && pos >= s.costFrom
	k.window = window
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
		want := k.part
		if k.part = min(2*k.part, kpLazyPart); k.doubt.none(k.at) {
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
	if k.at < in.base {
		return false
	}
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
	k.part = 1
	if k.doubt.none(k.at) {
		k.fill(in, max(min(pos, in.end()), 0))
	}
	k.doubt.add(pos, kpWindow)
	k.start(pos)
}
