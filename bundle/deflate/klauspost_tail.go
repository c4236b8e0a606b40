package deflate

// tail looks for a match that reaches further than the one at start: at the
// latest place with the same hash as what follows it. The first two bytes may
// differ; they are then owed as literals.
func (e *kpLazySearch) tail(src []byte, start, length, offset, first, look, last int, base uint32) (int, int, int) {
	const skip = 2
	end := start + length
	if length >= maxMatch-skip || end >= last {
		return length, offset, 0
	}
	d := int(base + uint32(end) - e.head[kpHashHead(src, end)])
	if d == offset || d < 1 || d >= start-first-skip {
		return length, offset, 0
	}
	n := kpCommon(src[start+skip:start+min(look, maxMatch+skip)], src[start+skip-d:])
	if n <= length {
		return length, offset, 0
	}
	owed := skip
	for owed > 0 && n < maxMatch && src[start+owed-1] == src[start+owed-1-d] {
		n++
		owed--
	}
	return n, d, owed
}

// oldTail is tail up to 1.15.14: it asks what the last two bytes and what
// follows them have.
func (e *kpLazySearch) oldTail(src []byte, start, length, offset, first, look, last int, base uint32) (int, int) {
	const skip = 2
	end := start + length
	if end+skip >= last {
		return length, offset
	}
	d := int(base + uint32(end-skip) - e.head[kpHashHead(src, end-skip)])
	if d < 1 || d >= start-first {
		return length, offset
	}
	if n := kpCommon(src[start:start+min(look, maxMatch)], src[start-d:]); n > length {
		return n, d
	}
	return length, offset
}
