package deflate

// A framing says how a member is cut into frames, each made by a compressor
// that starts anew.
type framing struct {
	needs int // next wants to see so many bytes, or all that are left
	tail  int // blocks without raw bytes at the end of a frame, at least
	dict  int // bytes before a frame that its compressor is given
	// next returns the size of the frame that data begins with; last says that
	// the member ends with data.
	next func(data []byte, last bool) int
}

// blocks is a framing of equal blocks, each with tail blocks at its end.
func blocks(size, dict, tail int) *framing {
	return &framing{needs: size + 1, dict: dict, tail: tail, next: func(data []byte, _ bool) int { return min(size, len(data)) }}
}
