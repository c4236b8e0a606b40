package deflate

const (
	kpStep    = 2 // levels 1 and 2 go at least so far from place to place
	kpPatient = 5 // and a byte more for each 1<<kpPatient bytes without a match
)

// kpLevel1 has one table of 5-byte hashes.
type kpLevel1 struct {
	last [1 << kpShortBits]uint32
}

func (e *kpLevel1) clear() { clear(e.last[:]) }

func (e *kpLevel1) run(c *kpCursor, src []byte, base uint32, out []token, count *kpCount, stop int) int {
	limit := len(src) - kpMargin
	s, emit, n := c.s, c.emit, 0
	var cv uint64
	if s < limit {
		cv = kpLoad64(src, s)
	}
	for emit < stop {
		var at, t int
		for {
			at = s + kpStep + (s-emit)>>kpPatient
			if at > limit {
				goto rest
			}
			h := kpHash5(cv, kpShortBits)
			now := kpLoad64(src, at)
			p := base + uint32(s)
			d := p - e.last[h]
			e.last[h] = p
			h = kpHash5(now, kpShortBits)
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
				e.last[h] = p + 1 // under the hash of the place before
				break
			}
			cv = now >> 8
			s = at
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
					e.last[kpHash5(kpLoad64(src, s), kpShortBits)] = base + uint32(s)
				}
				goto rest
			}
			v := kpLoad64(src, s-2)
			p := base + uint32(s)
			e.last[kpHash5(v, kpShortBits)] = p - 2
			v >>= 16
			h := kpHash5(v, kpShortBits)
			d := p - e.last[h]
			e.last[h] = p
			if t = s - int(d); d-1 >= maxDistance || uint32(v) != kpLoad32(src, t) {
				cv = v >> 8
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
