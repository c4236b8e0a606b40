package deflate

// kpOldLevel5 is level 5 as it was before 1.15.11: a better match at the end of
// one has to begin at the same place, or is not looked for.
type kpOldLevel5 struct {
	short [1 << 16]uint32
	long  [1 << 16]uint64 // the last position in the lower half
	v     *kpOld
}

func (e *kpOldLevel5) clear() {
	clear(e.short[:])
	clear(e.long[:])
}

// put adds a position to the long table.
func (e *kpOldLevel5) put(hash uint16, p uint32) {
	e.long[hash] = e.long[hash]<<32 | uint64(p)
}

func (e *kpOldLevel5) run(c *kpCursor, src []byte, base uint32, out []token, count *kpCount, stop int) int {
	limit := len(src) - kpMargin
	s, emit, n := c.s, c.emit, 0
	tail, plain := e.v.tail, e.v.plain
	shift := 32 - e.v.bits
	hash4 := func(v uint64) uint16 { return uint16(uint32(v) * kpPrime4 >> (shift & 31)) }
	hash7 := func(v uint64) uint16 { return uint16(v << 8 * kpPrime7 >> ((shift + 32) & 63)) }
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
			hs, hl := hash4(cv), hash7(cv)
			shortOld, longOld := e.short[hs], e.long[hl]
			next := kpLoad64(src, at)
			p, pn := base+uint32(s), base+uint32(at)
			e.short[hs] = p
			e.long[hl] = longOld<<32 | uint64(p)
			hs, hl = hash4(next), hash7(next)

			if d := p - uint32(longOld); d-1 < kpReach {
				d2 := p - uint32(longOld>>32)
				t = s - int(d)
				t2 := s - int(d2)
				second := d2-1 < kpReach && uint32(cv) == kpLoad32(src, t2)
				if uint32(cv) == kpLoad32(src, t) {
					e.short[hs] = pn
					e.put(hl, pn)
					if second {
						l = kpSameShort(src, s+4, t+4) + 4
						if l2 := kpSameShort(src, s+4, t2+4) + 4; l2 > l {
							t, l = t2, l2
						}
					}
					break
				}
				if second {
					t = t2
					e.short[hs] = pn
					e.put(hl, pn)
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
		if end := s + l; tail && l < 30 && end < limit {
			d := base + uint32(end) - uint32(e.long[hash7(kpLoad64(src, end))])
			if t2 := s - int(d); d-1 < kpReach && t2 >= 0 {
				if l2 := kpSame(src, s, t2); l2 > l {
					t, l = t2, l2
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
		if plain {
			n += count.plain(out[n:], l, s-t)
		} else {
			n += count.long(out[n:], l, s-t)
		}
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
			e.short[hash4(v)] = p
			e.put(hash7(v), p)
			e.put(hash7(v>>8), p+1)
			e.short[hash4(v>>16)] = p + 2
			for i += 4; i < s-1; i += 3 {
				v := kpLoad64(src, i)
				p := base + uint32(i)
				e.put(hash7(v), p)
				e.short[hash4(v>>8)] = p + 1
			}
		}
		v := kpLoad64(src, s-1)
		p := base + uint32(s-1)
		e.short[hash4(v)] = p
		e.put(hash7(v), p)
		cv = v >> 8
	}
	c.s, c.emit = s, emit
	return n

rest:
	if emit < len(src) {
		count.literals(out[n:], src[emit:])
		n += len(src) - emit
	}
	c.s, c.emit = len(src), len(src)
	return n
}
