package deflate

// A framing says how a member is cut into frames, each made by a compressor
// that starts anew.
type framing struct {
	needs int // next wants to see so many bytes, or all that are left
	dict  int // bytes before a frame that its compressor is given
	// next returns the size of the frame that data begins with; last says that
	// the member ends with data.
	next func(data []byte, last bool) int
}

// blocks is a framing of equal blocks.
func blocks(size, dict int) *framing {
	return &framing{needs: size + 1, dict: dict, next: func(data []byte, _ bool) int { return min(size, len(data)) }}
}
