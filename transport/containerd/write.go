package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
)

// writeSize is how many bytes go to containerd at a time; it answers each.
const writeSize = 1 << 20

// errStale is that the beginning of a blob, which an earlier run left, does not
// fit the rest.
var errStale = errors.New("containerd: what was there is not the beginning of the content")

func opener(content []byte) transport.Opener {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
}

// write stores content under the lease, unless it is there.
func (s *Sink) write(ctx context.Context, d v1.Descriptor, open transport.Opener) error {
	if err := blob.Check(d.Digest, d.Size); err != nil {
		return fmt.Errorf("write to containerd:%s: %w", s.n.namespace, err)
	}
	lctx, err := s.leased(ctx)
	if err != nil {
		return err
	}
	if err = s.ingest(lctx, d, open, false); errors.Is(err, errStale) {
		err = s.ingest(lctx, d, open, true)
	}
	return err
}

// ingest writes content, or what an earlier run has not written of it.
func (s *Sink) ingest(ctx context.Context, d v1.Descriptor, open transport.Opener, anew bool) error {
	sctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the stream
	doing := "write " + d.Digest.String()
	// A name of our own: somebody else's unfinished download is theirs to finish.
	ref := "bale-" + d.Digest.String()
	w, err := content.OpenWriter(sctx, s.n.api.ContentStore(), content.WithRef(ref),
		content.WithDescriptor(v1.Descriptor{Digest: d.Digest, Size: d.Size}))
	if errdefs.IsAlreadyExists(err) {
		return nil // and the lease has it now
	}
	if err != nil {
		return s.n.fail(ctx, doing, err)
	}
	defer func() { _ = w.Close() }() // what counts is Commit
	st, err := w.Status()
	if err != nil {
		return s.n.fail(ctx, doing, err)
	}
	at := st.Offset
	if anew || at > d.Size {
		if err := w.Truncate(0); err != nil {
			return s.n.fail(ctx, doing, err)
		}
		at = 0
	}
	// All of it is there also if another namespace has it.
	if at < d.Size {
		err := s.fill(ctx, w, d, open, at)
		if errors.Is(err, fault.ErrDamaged) {
			// Nobody shall go on from there. If that fails, Commit finds out.
			_ = s.n.api.ContentStore().Abort(ctx, ref)
		}
		if err != nil {
			return err
		}
	}
	err = w.Commit(sctx, d.Size, d.Digest)
	switch {
	case err == nil, errdefs.IsAlreadyExists(err):
		return ctx.Err()
	case errdefs.IsFailedPrecondition(err) && at > 0 && ctx.Err() == nil:
		return errStale
	}
	return s.n.fail(ctx, doing, err)
}

// fill writes the content from a place on.
func (s *Sink) fill(ctx context.Context, w io.Writer, d v1.Descriptor, open transport.Opener, at int64) error {
	rc, err := open(ctx)
	if err != nil {
		return err
	}
	in := watched{ctx: ctx, r: rc}
	_, err = io.CopyN(io.Discard, &in, at)
	if err == nil {
		_, err = io.CopyBuffer(w, &in, make([]byte, writeSize))
	}
	if cerr := rc.Close(); err == nil {
		in.err, err = cerr, cerr
	}
	if in.err != nil || err == nil {
		return in.err
	}
	// A stream that broke off does not say why.
	if _, _, gone := s.n.info(ctx, d.Digest); gone != nil {
		return gone
	}
	return s.n.fail(ctx, "write "+d.Digest.String(), err)
}

// watched is a source's stream that ends with its context, and remembers how it
// failed.
type watched struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	if w.err = w.ctx.Err(); w.err != nil {
		return 0, w.err
	}
	n, err := w.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}
