package deflate

// kpLevel4 has a table of 4-byte hashes and one of 7-byte hashes.
type kpLevel4 struct {
	short [1 << kpShortBits]uint32
	long  [1 << kpShortBits]uint32
	past  kpPast
}

func (e *kpLevel4) clear() {
	clear(e.short[:])
	clear(e.long[:])
}

func (e *kpLevel4) run(c *kpCursor, src []byte, base uint32, out []token, count *kpCount, stop int) int {
	limit := len(src) - kpMargin
	s, emit, n := c.s, c.emit, 0
	var cv uint64
	if s < limit {
		cv = kpLoad64(src, s)
	}
	for emit < stop {
		at, t := s, 0
		for {
			s = at
			at = s + 1 + (s-emit)>>6
			if at > limit {
				goto rest
			}
			hs, hl := kpHash4(cv), kpHash7(cv)
			p := base + uint32(s)
			next := kpLoad64(src, at)
			ds, dl := p-e.short[hs], p-e.long[hl]
			e.short[hs] = p
			e.long[hl] = p
			if t = s - int(dl); dl-1 < kpReach && uint32(cv) == kpLoad32(src, t) {
				break
			}
			if t = s - int(ds); ds-1 < kpReach && uint32(cv) == kpLoad32(src, t) {
				// a match at the next place may be longer
				d := base + uint32(at) - e.long[kpHash7(next)]
				if t2 := at - int(d); d-1 < kpReach && uint32(next) == kpLoad32(src, t2) {
					l2 := 0
					if e.past.used {
						l2 = e.past.same(src[at+4:], int(d)+4)
					} else {
						l2 = kpSame(src, at+4, t2+4)
					}
					if l2 > kpSame(src, s+4, t+4) {
						s, t = at, t2
					}
				}
				break
			}
			cv = next
		}
		l := kpSame(src, s+4, t+4) + 4
		for t > 0 && s > emit && src[t-1] == src[s-1] {
			s--
			t--
			l++
		}
		if emit < s {
			count.literals(out[n:], src[emit:s])
			n += s - emit
		}
		n += count.long(out[n:], l, s-t)
		s += l
		emit = s
		if at >= s {
			s = at + 1
		}
		if s >= limit {
			if s+8 < len(src) {
				v := kpLoad64(src, s)
				e.short[kpHash4(v)] = base + uint32(s)
				e.long[kpHash7(v)] = base + uint32(s)
			}
			goto rest
		}
		for i := at; i < s-1; i += 3 {
			v := kpLoad64(src, i)
			p := base + uint32(i)
			e.long[kpHash7(v)] = p
			e.long[kpHash7(v>>8)] = p + 1
			e.short[kpHash4(v>>8)] = p + 1
		}
		v := kpLoad64(src, s-1)
		p := base + uint32(s-1)
		e.short[kpHash4(v)] = p
		e.long[kpHash7(v)] = p
		cv = v >> 8
	}
	c.s, c.emit = s, emit
	return n

rest:
	return n + c.rest(src, emit, out[n:], count, stop)
}

// From 1.18.0 on, where level 4 asks whether a match at the next place is
// longer, it takes the distance of that match for its place in the compressor's
// buffer. What it compares with is then at the beginning of the buffer, further
// back than an input remembers, so that it has to be kept.
//
// The buffer takes kpBuffer bytes; when the next encode block does not fit, all
// but the last maxDistance bytes are dropped.
const (
	kpBuffer = 5 * kpGrid
	kpKept   = maxDistance + kpGrid + 4 // what can be compared with
)

// A kpPast is the beginning of the compressor's buffer.
type kpPast struct {
	used  bool
	start int // its position
	head  []byte
}

// same returns how many bytes of a are as those from i on.
func (h *kpPast) same(a []byte, i int) int {
	if i >= len(h.head) {
		return 0
	}
	b := h.head[i:]
	return kpCommon(a[:min(len(a), len(b))], b)
}

// begin is told of an encode block before it is searched: from to end, in a
// frame with a dictionary of dict bytes.
func (h *kpPast) begin(in *input, from, end, dict int) {
	if !h.used {
		return
	}
	start := -dict
	if from >= 0 {
		first := (kpBuffer - dict) / kpGrid // encode blocks in the buffer at first
		const later = (kpBuffer - maxDistance) / kpGrid
		slid := -1 // the block before which the buffer was moved
		if m := from / kpGrid; m >= first {
			slid = m - (m-first)%later
			if slid == m && h.fits(m, first, end-from, dict) {
				if slid -= later; slid < first {
					slid = -1
				}
			}
		}
		if slid >= 0 {
			start = slid*kpGrid - maxDistance
		}
	}
	if start != h.start || from <= h.start {
		h.start, h.head = start, h.head[:0]
	}
	have := h.start + len(h.head)
	to := min(end, in.end(), h.start+kpKept)
	if to > have && have < in.base {
		h.head = h.head[:0] // too late
	} else if to > have {
		h.head = append(h.head, in.data[have-in.base:to-in.base]...)
	}
}

// fits reports whether block m, of size bytes, still fits, though a whole one
// would not.
func (h *kpPast) fits(m, first, size, dict int) bool {
	filled := dict + first*kpGrid
	if m > first {
		filled = maxDistance + (kpBuffer-maxDistance)/kpGrid*kpGrid
	}
	return filled+size <= kpBuffer
}
