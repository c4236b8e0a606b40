package chunk

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	chunkers "github.com/PlakarKorp/go-cdc-chunkers"
	// Registers the algorithm under its frozen name.
	_ "github.com/PlakarKorp/go-cdc-chunkers/chunkers/fastcdc"
)

// algorithm is FastCDC as the library froze it; its cut points are golden in
// this package's tests.
const algorithm = "fastcdc-v1.0.0"

// cutter cuts streams by their content.
type cutter struct {
	c *chunkers.Chunker
}

func newCutter(lo, normal, hi int) (*cutter, error) {
	c, err := chunkers.NewChunker(algorithm, bytes.NewReader(nil),
		&chunkers.ChunkerOpts{MinSize: lo, NormalSize: normal, MaxSize: hi})
	if err != nil {
		return nil, fmt.Errorf("content-defined chunking: %w", err)
	}
	return &cutter{c}, nil
}

// cut calls emit for each chunk of r up to its end. The slice is valid until
// emit returns.
func (c *cutter) cut(r io.Reader, emit func([]byte) error) error {
	c.c.Reset(r)
	for {
		p, err := c.c.Next()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		// The last chunk may come together with io.EOF.
		if len(p) > 0 {
			if err := emit(p); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

// first returns the length of the first chunk of p.
func (c *cutter) first(p []byte) (int, error) {
	c.c.Reset(bytes.NewReader(p))
	chunk, err := c.c.Next()
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	return len(chunk), nil
}
