package deflate

const kpWideBits = 17

// kpLevel2 is level 1 with a larger table, that also gets places inside of
// matches.
type kpLevel2 struct {
	last [1 << kpWideBits]uint32
}

func (e *kpLevel2) clear() { clear(e.last[:]) }

func (e *kpLevel2) run(c *kpCursor, src []byte, base uint32, out []token, count *kpCount, stop int) int {
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
			at = s + kpStep + (s-emit)>>kpPatient
			if at > limit {
				goto rest
			}
			h := kpHash5(cv, kpWideBits)
			now := kpLoad64(src, at)
			p := base + uint32(s)
			d := p - e.last[h]
			e.last[h] = p
			h = kpHash5(now, kpWideBits)
			if t = s - int(d); d-1 < kpReach && uint32(cv) == kpLoad32(src, t) {
				e.last[h] = base + uint32(at)
				break
			}
			// the next place is tried at once
			cv = now
			s = at
			at++
			p = base + uint32(s)
			d = p - e.last[h]
			e.last[h] = p
			if t = s - int(d); d-1 < kpReach && uint32(cv) == kpLoad32(src, t) {
				break
			}
			cv = now >> 8
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
				if s+l+8 < len(src) {
					e.last[kpHash5(kpLoad64(src, s), kpWideBits)] = base + uint32(s)
				}
				goto rest
			}
			for i := s - l + 2; i < s-5; i += 7 {
				// the last of the three hashes has a zero for its fifth byte
				v := kpLoad64(src, i)
				p := base + uint32(i)
				e.last[kpHash5(v, kpWideBits)] = p
				e.last[kpHash5(v>>16, kpWideBits)] = p + 2
				e.last[kpHash5(v>>32, kpWideBits)] = p + 4
			}
			v := kpLoad64(src, s-2)
			p := base + uint32(s)
			h, h1 := kpHash5(v, kpWideBits), kpHash5(v>>8, kpWideBits)
			e.last[h] = p - 2
			e.last[h1] = p - 1
			h = kpHash5(v>>16, kpWideBits)
			d := p - e.last[h]
			e.last[h] = p
			if t = s - int(d); d-1 >= maxDistance || uint32(v>>16) != kpLoad32(src, t) {
				cv = v >> 24
				s++
				break
			}
		}
	}
	c.s, c.emit = s, emit
	return n

rest:
	return n + c.rest(src, emit, out[n:], count, stop)
}
