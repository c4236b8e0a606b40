package deflate

// kpLevel6 has the tables of level 5. It also tries the last distance again,
// and fills the tables with more of what it passes over.
type kpLevel6 struct {
	short [1 << kpShortBits]uint32
	long  [1 << kpShortBits]uint64 // the last position in the lower half
}

func (e *kpLevel6) clear() {
	clear(e.short[:])
	clear(e.long[:])
}

func (e *kpLevel6) run(c *kpCursor, src []byte, base uint32, out []token, count *kpCount, stop int) int {
	limit := len(src) - kpMargin
	s, emit, repeat, n := c.s, c.emit, c.repeat, 0
	var cv uint64
	if s < limit {
		cv = kpLoad64(src, s)
	}
	for emit < stop {
		at := s
		l, t := 0, 0
		for {
			s = at
			at = s + 1 + (s-emit)>>7
			if at > limit {
				goto rest
			}
			hs, hl := kpHash4(cv), kpHash7(cv)
			shortOld, longOld := e.short[hs], e.long[hl]
			next := kpLoad64(src, at)
			p := base + uint32(s)
			e.short[hs] = p
			e.long[hl] = longOld<<32 | uint64(p)
			hs, hl = kpHash4(next), kpHash7(next)
			pn := base + uint32(at)

			if d := p - uint32(longOld); d-1 < kpReach {
				d2 := p - uint32(longOld>>32)
				t = s - int(d)
				if uint32(cv) == kpLoad32(src, t) {
					e.short[hs] = pn
					e.long[hl] = e.long[hl]<<32 | uint64(pn)
					if t2 := s - int(d2); d2-1 < kpReach && uint32(cv) == kpLoad32(src, t2) {
						l = kpSameShort(src, s+4, t+4) + 4
						if l2 := kpSameShort(src, s+4, t2+4) + 4; l2 > l {
							t, l = t2, l2
						}
					}
					break
				}
				t = s - int(d2)
				if d2-1 < kpReach && uint32(cv) == kpLoad32(src, t) {
					e.short[hs] = pn
					e.long[hl] = e.long[hl]<<32 | uint64(pn)
					break
				}
			}

			d := p - shortOld
			t = s - int(d)
			if d-1 < kpReach && uint32(cv) == kpLoad32(src, t) {
				l = kpSameShort(src, s+4, t+4) + 4
				longOld = e.long[hl]
				e.short[hs] = pn
				e.long[hl] = longOld<<32 | uint64(pn)
				if t2 := s + 1 - repeat; uint32(cv>>8) == kpLoad32(src, t2) {
					if l2 := kpSameShort(src, s+5, t2+4) + 4; l2 > l {
						s, t, l = s+1, t2, l2
						break
					}
				}
				// a match at the next place may be longer
				if d := pn - uint32(longOld); d-1 < kpReach {
					if t2 := at - int(d); uint32(next) == kpLoad32(src, t2) {
						if l2 := kpSameShort(src, at+4, t2+4) + 4; l2 > l {
							s, t, l = at, t2, l2
						}
					}
					d = pn - uint32(longOld>>32)
					if t2 := at - int(d); d-1 < kpReach && uint32(next) == kpLoad32(src, t2) {
						if l2 := kpSameShort(src, at+4, t2+4) + 4; l2 > l {
							s, t, l = at, t2, l2
						}
					}
				}
				break
			}
			cv = next
		}

		if l == 0 {
			l = kpSame(src, s+4, t+4) + 4
		} else if l == maxMatch {
			l += kpSame(src, s+l, t+l)
		}
		// a better match may end where this one does: it is found by what
		// follows, and may differ in its first two bytes
		if end := s + l; end < limit {
			from := s + 2
			old := e.long[kpHash7(kpLoad64(src, end))]
			// the newest may be in front: the next place was put in already
			if d := int32(base + uint32(end) - uint32(old)); d < maxDistance {
				if t2 := from - int(d); d > 0 && t2 >= 0 {
					if l2 := kpSame(src, from, t2); l2 > l {
						s, t, l = from, t2, l2
					}
				}
				// from the end of what is the best now
				d := base + uint32(from+l-2) - uint32(old>>32)
				if t2 := from - int(d); d-1 < kpReach && t2 >= 0 {
					if l2 := kpSame(src, from, t2); l2 > l {
						s, t, l = from, t2, l2
					}
				}
			}
		}
		for t > 0 && s > emit && src[t-1] == src[s-1] {
			s--
			t--
			l++
		}
		if emit < s {
			count.literals(out[n:], src[emit:s])
			n += s - emit
		}
		repeat = s - t
		n += count.long(out[n:], l, repeat)
		s += l
		emit = s
		if at >= s {
			s = at + 1
		}
		if s >= limit {
			for i := at + 1; i < len(src)-8; i += 2 {
				v := kpLoad64(src, i)
				p := base + uint32(i)
				e.short[kpHash4(v)] = p
				h := kpHash7(v)
				e.long[h] = e.long[h]<<32 | uint64(p)
			}
			goto rest
		}
		for i := at + 1; i < s-1; i += 2 {
			v := kpLoad64(src, i)
			p := base + uint32(i)
			e.short[kpHash4(v)] = p
			h := kpHash7(v)
			e.long[h] = e.long[h]<<32 | uint64(p)
			h = kpHash7(v >> 8)
			e.long[h] = e.long[h]<<32 | uint64(p+1)
		}
		cv = kpLoad64(src, s)
	}
	c.s, c.emit, c.repeat = s, emit, repeat
	return n

rest:
	return n + c.rest(src, emit, out[n:], count, stop)
}
