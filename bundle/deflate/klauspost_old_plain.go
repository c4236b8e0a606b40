package deflate

// plain is long as it was before 1.15.0: as many tokens of length 255 as leave
// one that can be a match.
func (c *kpCount) plain(out []token, length, distance int) int {
	const most = maxMatch - minMatch
	n := 0
	d := distSymbol(uint32(distance)) & 31
	for ; length > maxMatch; length -= most {
		out[n] = match(most, uint32(distance))
		c.lit[257+int(lengthSymbol[most])]++
		c.dist[d]++
		n++
	}
	out[n] = match(uint32(length), uint32(distance))
	c.lit[257+int(lengthSymbol[length])]++
	c.dist[d]++
	return n + 1
}

// kpPlain is a finder whose long matches are made of tokens as before 1.15.0.
type kpPlain struct {
	kpFinder
	found []token
}

func (e *kpPlain) run(c *kpCursor, src []byte, base uint32, out []token, count *kpCount, stop int) int {
	n := e.kpFinder.run(c, src, base, out, count, stop)
	e.found = append(e.found[:0], out[:n]...)
	n = 0
	for i := 0; i < len(e.found); i++ {
		t := e.found[i]
		d := t.distance()
		if !t.isMatch() || t.length() < maxMatch-minMatch || i+1 == len(e.found) ||
			!e.found[i+1].isMatch() || e.found[i+1].distance() != d {
			out[n] = t
			n++
			continue
		}
		// two in a row with the same distance are parts of one match
		length := 0
		for ; i < len(e.found) && e.found[i].isMatch() && e.found[i].distance() == d; i++ {
			k := e.found[i].length()
			length += k
			count.lit[257+int(lengthSymbol[k])]--
			count.dist[distSymbol(d)&31]--
		}
		i--
		n += count.plain(out[n:], length, int(d))
	}
	return n
}
