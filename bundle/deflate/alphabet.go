package deflate

// The alphabets of RFC 1951, section 3.2.5: first length or distance of each
// symbol and how many extra bits follow it.
var (
	lengthBase = [29]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59,
		67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthExtra = [29]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distBase    = [30]uint16{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769,
		1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	distExtra = [30]uint8{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}

	// clenOrder is the order in which a header lists the code-length code.
	clenOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	// opBits and opBase tell the extra bits of an op and what they count from.
	opBits = [19]uint8{16: 2, 17: 3, 18: 7}
	opBase = [19]uint8{16: 3, 17: 3, 18: 11}
)

var (
	lengthSymbol [maxMatch + 1]uint8 // symbol - 257 of each length
	distLow      [256]uint8          // symbol of distance - 1 below 256
	distHigh     [256]uint8          // symbol of distance - 1 from 256 on, by its upper bits
)

func init() {
	for s := range lengthBase {
		for n := 0; n < 1<<lengthExtra[s] && int(lengthBase[s])+n <= maxMatch; n++ {
			lengthSymbol[int(lengthBase[s])+n] = uint8(s)
		}
	}
	for s := range distBase {
		for n := range 1 << distExtra[s] {
			d := int(distBase[s]) + n - 1
			if d < 256 {
				distLow[d] = uint8(s)
			} else {
				distHigh[d>>7] = uint8(s)
			}
		}
	}
}

// distSymbol returns the symbol of a distance from 1 to 32768.
func distSymbol(d uint32) uint8 {
	d--
	if d < 256 {
		return distLow[d]
	}
	return distHigh[d>>7&255]
}

// count adds a token to the histograms of its block.
func (t token) count(lit *[maxLitLen]uint32, dist *[maxDist]uint32) {
	if !t.isMatch() {
		lit[t.byte()]++
		return
	}
	lit[257+int(lengthSymbol[t.length()])]++
	dist[distSymbol(t.distance())]++
}

// The codes of fixed blocks (RFC 1951, section 3.2.6).
var fixedLit, fixedDist = func() (lit [288]uint8, dist [32]uint8) {
	for i := range lit {
		switch {
		case i < 144:
			lit[i] = 8
		case i < 256:
			lit[i] = 9
		case i < 280:
			lit[i] = 7
		default:
			lit[i] = 8
		}
	}
	for i := range dist {
		dist[i] = 5
	}
	return lit, dist
}()
