package deflate

const (
	kpPairBits = 16
	// level 3 stays 4 bytes under the greatest distance, and 5 where the older
	// one of two candidates is tried, or a match follows at once.
	kpNear  = maxDistance - 4
	kpNearX = kpNear - 1
)

// kpLevel3 has a table of 5-byte hashes with the last two positions of each.
type kpLevel3 struct {
	last [1 << kpPairBits]uint64 // the last position in the lower half
}

func (e *kpLevel3) clear() { clear(e.last[:]) }

func (e *kpLevel3) put(v uint64, p uint32) {
	h := kpHash5(v, kpPairBits)
	e.last[h] = e.last[h]<<32 | uint64(p)
}

func (e *kpLevel3) run(c *kpCursor, src []byte, base uint32, out []token, count *kpCount, stop int) int {
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
			at = s + 1 + (s-emit)>>7
			if at > limit {
				goto rest
			}
			h := kpHash5(cv, kpPairBits)
			now := kpLoad64(src, at)
			old := e.last[h]
			p := base + uint32(s)
			e.last[h] = old<<32 | uint64(p)
			if d := p - uint32(old); d-1 < kpNear {
				t = s - int(d)
				d2 := p - uint32(old>>32)
				t2 := s - int(d2)
				if uint32(cv) == kpLoad32(src, t) {
					if d2-1 < kpNear && uint32(cv) == kpLoad32(src, t2) &&
						kpSame(src, s+4, t2+4) > kpSame(src, s+4, t+4) {
						t = t2
					}
					break
				}
				if d2-1 < kpNearX && uint32(cv) == kpLoad32(src, t2) {
					t = t2
					break
				}
			}
			cv = now
		}
		for {
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
				// not the end of the match, but of what it repeats
				if t += l; t+8 < len(src) {
					e.put(kpLoad64(src, t), base+uint32(t))
				}
				goto rest
			}
			for i := s - l + 2; i < s-5; i += 6 {
				e.put(kpLoad64(src, i), base+uint32(i))
			}
			v := kpLoad64(src, s-2)
			p := base + uint32(s)
			e.put(v, p-2)
			e.put(v>>8, p-1)
			v >>= 16
			h := kpHash5(v, kpPairBits)
			old := e.last[h]
			e.last[h] = old<<32 | uint64(p)
			if d := p - uint32(old); d-1 < kpNearX {
				if t = s - int(d); uint32(v) == kpLoad32(src, t) {
					continue
				}
				d = p - uint32(old>>32)
				if t = s - int(d); d-1 < kpNearX && uint32(v) == kpLoad32(src, t) {
					continue
				}
			}
			cv = v >> 8
			s++
			break
		}
	}
	c.s, c.emit = s, emit
	return n

rest:
	return n + c.rest(src, emit, out[n:], count, stop)
}
