package deflate

// A cutter says how a member is cut into frames, each made by a compressor
// that starts anew.
type cutter struct {
	needs int // next wants to see so many bytes, or all that are left
	dict  int // bytes before a frame that its compressor is given
	tail  int // blocks without raw bytes at the end of a frame, at least
	// next returns the size of the frame that data begins with. It is asked for
	// frames in order, and reset by reset at the beginning of a member.
	next  func(data []byte) int
	reset func()
}

// equalFrames cuts frames of one size, each with tail flush markers at its end,
// unless it takes more to fill up the last byte.
func equalFrames(size, dict, tail int) *cutter {
	return &cutter{
		needs: size + 1, dict: dict, tail: tail, reset: func() {},
		next: func(data []byte) int { return min(size, len(data)) },
	}
}

// pgzipDict is how much of the block before pgzip gives to a compressor.
const pgzipDict = 16 << 10

// cutter returns what a framing does; nil if it does nothing.
func (f Framing) cutter() (*cutter, error) {
	switch f {
	case Single:
		return nil, nil
	case PGZip1M, PGZip512K, PGZip256K:
		return equalFrames(f.size(), pgzipDict, 1), nil
	case Pigz:
		return equalFrames(pigzBlock, zlibWindow, 0), nil
	case PigzAlone:
		return equalFrames(pigzBlock, 0, 2), nil
	case PigzRsync:
		p := &pigzRsync{}
		return &cutter{needs: pigzBlock + 1, dict: zlibWindow, next: p.next, reset: p.reset}, nil
	}
	return nil, misfit("unknown framing %d", f)
}
