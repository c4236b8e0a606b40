package deflate

import "math"

// kpEntropy estimates the bits that the tokens would take in a code of their
// own. The compressor computes in 32-bit floating point, each step rounded.
func kpEntropy(c *kpCount, tokens int) int {
	sum := float32(0)
	bits, matches := 0, 0
	if tokens > 0 {
		part := 1 / float32(tokens)
		for _, f := range c.lit[:256] {
			sum += kpSymbolBitsOf(f, part)
		}
		sum += 15
		for s, f := range c.lit[257:] {
			if f > 0 {
				sum += kpSymbolBitsOf(f, part)
				bits += int(lengthExtra[s]) * int(f)
				matches += int(f)
			}
		}
	}
	if matches > 0 {
		part := 1 / float32(matches)
		for s, f := range c.dist[:maxDist] {
			if f > 0 {
				sum += kpSymbolBitsOf(f, part)
				bits += int(distExtra[s]) * int(f)
			}
		}
	}
	return int(sum) + bits
}

// kpSymbolBitsOf estimates what a symbol costs in all; part is 1 divided by the
// number of all symbols.
func kpSymbolBitsOf(f uint32, part float32) float32 {
	if f == 0 {
		return 0
	}
	n := float32(f)
	each := -kpLog2(float32(n * part))
	if each < 1 {
		each = 1
	} else if each > 15 {
		each = 15
	}
	return float32(each * n)
}

// kpLog2 is a fast logarithm: the exponent, and a parabola for the mantissa.
func kpLog2(v float32) float32 {
	u := math.Float32bits(v)
	whole := float32(int32(u>>23&255) - 128)
	m := math.Float32frombits(u&(1<<23-1) | 127<<23)
	a := float32(-0.34484843*m) + 2.02466578
	b := float32(a*m) - 0.67487759
	return whole + b
}
