package blob

import (
	"context"
	"io"
)

// WithContext returns a reader of r that ends with ctx's error once ctx has ended.
// It stays at its first error, so that whoever reads on in vain sees it again.
func WithContext(ctx context.Context, r io.Reader) io.Reader { return &contextReader{ctx: ctx, r: r} }

type contextReader struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (c *contextReader) Read(p []byte) (int, error) {
	if c.err == nil {
		c.err = c.ctx.Err()
	}
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.r.Read(p)
	c.err = err
	return n, err
}
