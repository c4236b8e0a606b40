package deflate

// lately returns the encode block that is remembered and for which is returns
// true.
func (k *klauspost) lately(is func(f *kpFound) bool) *kpFound {
	for i := k.blocks - 1; i >= max(k.blocks-kpKnown, 0); i-- {
		if f := &k.known[i%kpKnown]; f.end > f.start && is(f) {
			return f
		}
	}
	return nil
}

func (k *klauspost) block(in *input, pos int) *kpFound {
	end, all := k.blockEnd(in, pos)
	if !all || pos < in.base || pos >= end {
		return nil
	}
	if k.find == nil {
		f := &k.known[0]
		*f = kpFound{start: pos, end: end}
		f.count.raws(in.data[pos-in.base : end-in.base])
		return f
	}
	for k.at <= pos && len(k.tokens) < kpHeld && k.search(in) {
	}
	return k.lately(func(f *kpFound) bool { return f.start == pos && f.end == end })
}

func (k *klauspost) counted(end, tokens int) *kpCount {
	if f := k.lately(func(f *kpFound) bool { return f.end == end }); f != nil && f.count.tokens == tokens && k.find != nil {
		return &f.count
	}
	return nil
}

func (k *klauspost) cut(in *input, tokens []token, from, at int) (i, end int) {
	next := (at/k.grid + 1) * k.grid
	if in.last {
		next = min(next, in.end())
	}
	i = from
	for ; len(tokens)-i >= 8; i += 8 {
		t := tokens[i : i+8 : i+8]
		n := t[0].length() + t[1].length() + t[2].length() + t[3].length() +
			t[4].length() + t[5].length() + t[6].length() + t[7].length()
		if at+n >= next {
			break
		}
		at += n
	}
	for ; i < len(tokens); i++ {
		if at += tokens[i].length(); at >= next {
			return i + 1, at
		}
	}
	return 0, at
}

func (k *klauspost) about(start, end int, atEnd bool) (stored int, sync bool) {
	return storedBits(end - start), atEnd
}
