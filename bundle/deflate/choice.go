package deflate

import (
	"fmt"
)

// A Family is a kin of compressors.
type Family uint8

// The families that predictors are for.
const (
	Generic   Family = iota // any compressor: matches of a hash chain
	Go                      // Go's compress/flate up to 1.26
	Klauspost               // klauspost/compress and pgzip, and Go from 1.27 on
	Zlib                    // zlib, GNU gzip, BusyBox, pigz
)

// A Choice names a model: what is thought to have made a stream. It is
// written to recipes, so that the meaning of each value is fixed for ever.
type Choice struct {
	Family  Family
	Variant uint8 // of the family's code, see its constants
	Level   int8
	Memory  uint8 // zlib's memLevel
	Framing Framing
}

// A Framing is a way of cutting a stream into parts that are compressed
// separately.
type Framing uint8

// The framings.
const (
	Single    Framing = iota // one compressor for the whole of a member
	PGZip1M                  // pgzip: blocks of 1 MiB
	PGZip256K                // pgzip with blocks of 256 KiB
	PGZip128K
	PGZip512K
	Pigz128K        // pigz: blocks of 128 KiB
	PigzIndependent // pigz -i
	PigzRsync       // pigz -R
)

// models returns the parts of the model; p is nil for the generic one.
func (ch Choice) models() (p predictor, s shape, f *framing, err error) {
	switch ch.Family {
	case Generic:
		s = newGenericShape()
	default:
		return nil, nil, nil, fmt.Errorf("%w: unknown family of compressors %d", ErrRecipe, ch.Family)
	}
	if f, err = ch.Framing.cuts(); err != nil {
		return nil, nil, nil, err
	}
	return p, s, f, nil
}

func (f Framing) cuts() (*framing, error) {
	switch f {
	case Single:
		return nil, nil
	case PGZip1M:
		return blocks(1<<20, 16<<10, 1), nil
	case PGZip256K:
		return blocks(256<<10, 16<<10, 1), nil
	}
	return nil, fmt.Errorf("%w: unknown framing %d", ErrRecipe, f)
}
