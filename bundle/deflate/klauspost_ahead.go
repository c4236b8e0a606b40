package deflate

// reach searches up to pos, if nothing is in doubt.
func (k *kpLazy) reach(in *input, pos int) {
	pos = min(pos, in.end())
	for k.doubt.none(k.at) && k.at < pos && len(k.tokens) < kpHeld && k.step(in, noLimit) {
	}
}

// stepOf returns which of steps has found what ends at pos, or -1.
func (k *kpLazy) stepOf(pos int) int {
	for i := len(k.steps) - 1; i >= 0; i-- {
		if w := &k.steps[i]; w.start < pos {
			if pos <= w.end {
				return i
			}
			break
		}
	}
	return -1
}

func (k *kpLazy) about(start, end int, atEnd bool) (stored int, sync bool) {
	a, b := k.stepOf(start), k.stepOf(end)
	if start == 0 {
		a = 0
		if k.v.dictStored {
			start = -k.dict
		}
	}
	stored, sync = -1, atEnd
	if end-start <= 1<<16-1 {
		stored = storedBits(end - start)
	}
	if b < 0 {
		return stored, sync
	}
	// what began in the lower half of a window cannot be stored any more when
	// the window has moved on
	if a >= 0 && a < b && (b-a > 1 || start < k.steps[a].window+maxDistance) {
		stored = -1
	}
	return stored, sync || k.steps[b].last
}

func (k *kpLazy) cut(in *input, tokens []token, from, at int) (i, end int) {
	most := max(kpBlockTokens, from+1)
	for i, t := range tokens[from:min(len(tokens), most)] {
		if at += t.length(); in.last && at >= in.end() {
			k.reach(in, at)
			return from + i + 1, at
		}
	}
	if len(tokens) < most {
		return 0, at
	}
	return most, at
}

// counted returns nothing: blocks are counted as they come.
func (k *kpLazy) counted(int, int) *kpCount { return nil }

// block may only know a part of the block: it then thinks that the rest is like
// it.
func (k *kpLazy) block(in *input, pos int) *kpFound {
	if !k.doubt.none(k.at) {
		return nil
	}
	k.reach(in, pos+1)
	// where pos is in tokens
	i, j, at := len(k.steps), len(k.tokens), k.at
	for i > 0 && at > pos {
		i--
		j -= k.steps[i].tokens
		at = k.steps[i].start
	}
	if at > pos || j < 0 {
		// part of this step was dropped
		if i == len(k.steps) || k.steps[i].end <= pos {
			return nil
		}
		at, j = k.steps[i].end, j+k.steps[i].tokens
		for j > 0 && at > pos {
			j--
			at -= k.tokens[j].length()
		}
	}
	for at < pos && j < len(k.tokens) {
		at += k.tokens[j].length()
		j++
	}
	if at != pos {
		return nil
	}
	k.found = kpFound{start: pos}
	c := &k.found.count
	for c.tokens < kpBlockTokens {
		if i == len(k.steps) {
			if k.reach(in, k.at+1); i == len(k.steps) {
				break
			}
		}
		w := &k.steps[i]
		if w.last && !(in.last && in.end() == w.needs) || !w.last && in.end() <= w.needs {
			break // not to be known from this input
		}
		n := j
		for ; at < w.end && n < len(k.tokens) && c.tokens+n-j < kpBlockTokens; n++ {
			at += k.tokens[n].length()
		}
		c.add(k.tokens[j:n])
		j = n
		i++
	}
	k.found.end = at
	if c.tokens < kpBlockTokens && !(in.last && at == in.end()) && !c.scale(kpBlockTokens) {
		return nil
	}
	return &k.found
}
