package deflate

import (
	"bytes"
	"testing"
)

// TestEveryModel rebuilds streams with models that did not make them, and with
// framings that are not theirs.
func TestEveryModel(t *testing.T) {
	noise := make([]byte, 300<<10)
	x := uint32(1)
	for i := range noise {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	raw := bytes.Join([][]byte{sampleText(150 << 10), noise[:100<<10], make([]byte, 300<<10), sampleText(60 << 10), noise[:20<<10]}, nil)
	for _, level := range []int{0, 1, 6, -2} {
		gz := gzipOf(t, raw, level)
		for _, ch := range fuzzChoices {
			t.Run(ch.String(), func(t *testing.T) { roundTrip(t, gz, &ch) })
		}
	}
}
