package deflate

// kpLevel5 looks in a table of 4-byte hashes and one of 7-byte hashes with the
// last two positions of each.
type kpLevel5 struct {
	short [1 << kpShortBits]uint32
	long  [1 << kpShortBits]uint64 // the last position in the lower half
}

func (e *kpLevel5) clear() {
	clear(e.short[:])
	clear(e.long[:])
}

func (e *kpLevel5) run(c *kpCursor, src []byte, base uint32, out []token, count *kpCount, stop int) int {
	limit := len(src) - kpMargin
	s, emit, n := c.s, c.emit, 0
	var cv uint64
	if s < limit {
		cv = kpLoad64(src, s)
	}
	for emit < stop {
		at := s
		l, t := 0, 0
		for {
			s = at
			at = s + 1 + (s-emit)>>6
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
				// a match at the next place may be longer
				if d := pn - uint32(longOld); d-1 < kpReach {
					if t2 := at - int(d); uint32(next) == kpLoad32(src, t2) {
						if l2 := kpSameShort(src, at+4, t2+4) + 4; l2 > l {
							s, t, l = at, t2, l2
							break
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
		if end := s + l; l < 30 && end < limit {
			d := base + uint32(end) - uint32(e.long[kpHash7(kpLoad64(src, end))])
			if t2 := s + 2 - int(d); d-1 < kpReach && t2 >= 0 {
				if l2 := kpSame(src, s+2, t2); l2 > l {
					s, t, l = s+2, t2, l2
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
		n += count.long(out[n:], l, s-t)
		s += l
		emit = s
		if at >= s {
			s = at + 1
		}
		if s >= limit {
			goto rest
		}

		// what was passed over goes into the tables in part
		if i := s - l + 1; i < s-1 {
			v := kpLoad64(src, i)
			p := base + uint32(i)
			e.short[kpHash4(v)] = p
			h := kpHash7(v)
			e.long[h] = e.long[h]<<32 | uint64(p)
			h = kpHash7(v >> 8)
			e.long[h] = e.long[h]<<32 | uint64(p+1)
			e.short[kpHash4(v>>16)] = p + 2
			for i += 4; i < s-1; i += 3 {
				v := kpLoad64(src, i)
				p := base + uint32(i)
				h := kpHash7(v)
				e.long[h] = e.long[h]<<32 | uint64(p)
				e.short[kpHash4(v>>8)] = p + 1
			}
		}
		v := kpLoad64(src, s-1)
		p := base + uint32(s-1)
		e.short[kpHash4(v)] = p
		h := kpHash7(v)
		e.long[h] = e.long[h]<<32 | uint64(p)
		cv = v >> 8
	}
	c.s, c.emit = s, emit
	return n

rest:
	return n + c.rest(src, emit, out[n:], count, stop)
}
