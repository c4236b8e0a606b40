package deflate

// Bounds of DEFLATE (RFC 1951, section 3.2.5).
const (
	minMatch    = 3
	maxMatch    = 258
	maxDistance = 32768
	endOfBlock  = 256
	maxLitLen   = 286 // literal and length symbols that may have a meaning
	maxDist     = 30  // distance symbols that may have a meaning
)

// A token is one step of LZ77: a literal byte, or a match of length and
// distance. Its length in raw bytes is in the upper 16 bits (1 for a literal);
// the lower 16 hold the byte or the distance.
type token uint32

func literal(b byte) token                { return 1<<16 | token(b) }
func match(length, distance uint32) token { return token(length<<16 | distance) }

func (t token) isMatch() bool    { return t >= 2<<16 }
func (t token) length() int      { return int(t >> 16) }
func (t token) byte() byte       { return byte(t) }
func (t token) distance() uint32 { return uint32(t & 0xffff) }
