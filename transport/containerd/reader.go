package containerd

import (
	"bufio"
	"context"
	"io"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// readSize is how many bytes one call reads: each call is a stream of its own to
// containerd, so that small ones would be slow.
const readSize = 1 << 20

// reader reads content from containerd.
type reader struct {
	n   *node
	ctx context.Context
	d   v1.Descriptor
	ra  content.ReaderAt
	buf *bufio.Reader
}

// open opens content of the namespace. What is not there is a [fault.ErrMissing].
func (n *node) open(ctx context.Context, d v1.Descriptor) (*reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := &reader{n: n, ctx: ctx, d: d}
	var err error
	if r.ra, err = n.api.ContentStore().ReaderAt(n.in(ctx), d); err != nil {
		return nil, r.fail(err)
	}
	r.buf = bufio.NewReaderSize(content.NewReader(r.ra), readSize)
	return r, nil
}

// Read implements [io.Reader].
func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.buf.Read(p)
	if err != nil && err != io.EOF {
		err = r.fail(err)
	}
	return n, err
}

func (r *reader) fail(err error) error {
	if errdefs.IsNotFound(err) && r.ctx.Err() == nil {
		return r.n.missing("no content %s", r.d.Digest)
	}
	return r.n.fail(r.ctx, "read "+r.d.Digest.String(), err)
}

// Close implements [io.Closer].
func (r *reader) Close() error { return r.ra.Close() }
