package deflate

// A kpCount is what an encode block consists of.
type kpCount struct {
	lit    [maxLitLen]uint32 // literals and lengths, without the end of block
	dist   [32]uint32        // only maxDist are used
	tokens int
	raw    int  // bytes
	none   bool // the search found nothing, see kpNothing
}

// kpNothing is in the predictions for an encode block that the search found no
// match in, in place of its last three literals. The compressor stores such a
// block, so that its tokens are not to be seen; but one whose matches were too
// few to be used, all literals as well, it may write otherwise. The fast levels
// never make a token of this length.
var kpNothing = match(minMatch, 1)

func (c *kpCount) add(tokens []token) {
	c.tokens += len(tokens)
	for _, t := range tokens {
		if !t.isMatch() {
			c.lit[t.byte()]++
			continue
		}
		n := t.length()
		c.raw += n - 1
		c.lit[257+int(lengthSymbol[min(n, maxMatch)])]++
		c.dist[min(distSymbol(t.distance()), maxDist-1)]++
	}
	c.raw += len(tokens)
}

// raws adds raw bytes. Four tables of counts keep equal bytes from having
// to wait for each other.
func (c *kpCount) raws(raw []byte) {
	var a, b, d [256]uint32
	e := c.lit[:256]
	c.tokens += len(raw)
	c.raw += len(raw)
	for ; len(raw) >= 4; raw = raw[4:] {
		a[raw[0]]++
		b[raw[1]]++
		d[raw[2]]++
		e[raw[3]]++
	}
	for _, x := range raw {
		e[x]++
	}
	for i := range e {
		e[i] += a[i] + b[i] + d[i]
	}
}

// literals puts literals into out and counts them.
func (c *kpCount) literals(out []token, lits []byte) {
	out = out[:len(lits)]
	for i, b := range lits {
		out[i] = literal(b)
		c.lit[b]++
	}
}

// long puts a match of any length into out and counts it; the rest after a
// token of the greatest length is one that can be a match.
func (c *kpCount) long(out []token, length, distance int) int {
	n := 0
	d := distSymbol(uint32(distance)) & 31
	for length > maxMatch {
		k := maxMatch
		if length <= maxMatch+minMatch {
			k = maxMatch - minMatch
		}
		out[n] = match(uint32(k), uint32(distance))
		c.lit[257+int(lengthSymbol[k])]++
		c.dist[d]++
		n++
		length -= k
	}
	out[n] = match(uint32(length), uint32(distance))
	c.lit[257+int(lengthSymbol[length])]++
	c.dist[d]++
	return n + 1
}

// scale makes a part of a block stand for one of so many tokens. It returns
// false if it is too small for that.
func (c *kpCount) scale(tokens int) bool {
	if c.tokens < tokens/4 {
		return false
	}
	factor := uint32(tokens * 64 / c.tokens)
	for i := range c.lit {
		c.lit[i] = (c.lit[i]*factor + 63) / 64
	}
	for i := range c.dist {
		c.dist[i] = (c.dist[i]*factor + 63) / 64
	}
	c.tokens, c.raw = tokens, 1<<17
	return true
}
