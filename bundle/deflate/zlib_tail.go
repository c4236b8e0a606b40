package deflate

// zlibTail is what zlib and gzip see when the raw bytes run out. zlib searches
// no further than they reach; gzip compares whatever its window holds after
// them, and only then cuts the match off. So what it takes depends on what
// stood there before.
type zlibTail struct {
	zlibKind
	open   bool // a prediction near the end is under way
	eof    bool // gzip has noticed the end
	window int  // position of the first byte in gzip's window
	filled bool // data is complete
	data   []byte
	base   int // position of data[0]
}

const (
	// gzipSlide is where in its window of 64 KiB gzip moves on.
	gzipSlide = 2*zlibWindow - zlibLookahead
)

func (t *zlibTail) reset() { t.open, t.eof, t.filled = false, false, false }

// step tells that tokens are looked for at pos.
func (t *zlibTail) step(in *input, pos int) {
	if !t.gnu() || t.eof {
		return
	}
	if !t.open {
		t.open, t.window = true, 0
	}
	if n := pos - gzipSlide - 1; n >= t.window {
		t.window = (n/zlibWindow + 1) * zlibWindow
	}
	if in.last && in.end()-pos < zlibLookahead {
		t.eof = true
		if pos-t.window == gzipSlide {
			t.window += zlibWindow
		}
	}
}

// view returns what is searched at pos, how many bytes count, and whether
// there is a search at all.
func (t *zlibTail) view(in *input, pos int) (data []byte, base, longest int, ok bool) {
	left := in.end() - pos
	if left < minMatch {
		return nil, 0, 0, false
	}
	if !t.gnu() {
		return in.data, in.base, min(maxMatch, left), true
	}
	if !t.eof {
		return in.data, in.base, min(maxMatch, left), true
	}
	if pos-t.window > gzipSlide && t.variant != zlibBusyBox {
		return nil, 0, 0, false
	}
	t.fill(in)
	return t.data, t.base, maxMatch, true
}

// fill makes a copy of the end of the raw bytes with what gzip's window holds
// after them.
func (t *zlibTail) fill(in *input) {
	if t.filled {
		return
	}
	t.filled = true
	keep := in.data[max(0, len(in.data)-zlibWindow-2*maxMatch):]
	t.data = append(t.data[:0], keep...)
	end := in.end()
	t.base = end - len(keep)
	for k := range maxMatch + 8 {
		var c byte
		at := end + k - t.window // place in the window
		old := len(keep) + k - zlibWindow
		switch {
		case k < 2 && t.variant != zlibBusyBox: // gzip clears these
		case t.window == 0 || t.window == zlibWindow && at < zlibWindow: // nothing has been there yet
		case old >= 0:
			// before the window moved on, at the same place
			c = t.data[old]
		}
		t.data = append(t.data, c)
	}
}
