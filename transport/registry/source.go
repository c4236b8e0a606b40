package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
)

// source implements transport.Source.
type source struct {
	c     *Client
	roots memory
}

var _ transport.Source = (*source)(nil)

// Images resolves one image's name with one request.
func (s *source) Images(ctx context.Context, selector string) ([]transport.Image, error) {
	if selector == "" {
		return nil, fault.WithHint(fault.Usage("a registry cannot be listed"),
			"name the images one by one, such as registry.example.com/team/app:1.0")
	}
	n, err := transport.ParseName(selector)
	if err != nil {
		return nil, err
	}
	t := task{doing: "resolve " + n.String(), object: "image " + n.String(), host: n.Domain}
	w, err := s.c.session(ctx, n, regtransport.PullScope, &t)
	if err != nil {
		return nil, err
	}
	root, content, err := w.resolve(ctx, n)
	if err != nil {
		return nil, t.explain(ctx, err)
	}
	s.roots.put(root.Digest, content)
	return []transport.Image{{Name: n, Root: root}}, nil
}

// Manifest returns a verified manifest.
func (s *source) Manifest(ctx context.Context, in transport.Image, d v1.Descriptor) ([]byte, error) {
	if b := s.roots.get(d.Digest); b != nil && int64(len(b)) == d.Size {
		return b, ctx.Err()
	}
	t := task{
		doing:  fmt.Sprintf("read manifest %s of %s", d.Digest, in.Name),
		object: fmt.Sprintf("manifest %s of %s", d.Digest, in.Name), part: true, host: in.Name.Domain,
	}
	w, err := s.c.session(ctx, in.Name, regtransport.PullScope, &t)
	if err != nil {
		return nil, err
	}
	b, err := w.manifest(ctx, d)
	if err != nil {
		return nil, t.explain(ctx, err)
	}
	return b, nil
}

// Blob opens a blob as a stream. Its digest is the reader's to check; a size
// that differs from d's is noticed before the first byte.
func (s *source) Blob(ctx context.Context, in transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	t := task{
		doing:  fmt.Sprintf("read blob %s of %s", d.Digest, in.Name),
		object: fmt.Sprintf("blob %s of %s", d.Digest, in.Name), part: true, host: in.Name.Domain,
	}
	if err := blob.Check(d.Digest, d.Size); err != nil {
		return nil, t.explain(ctx, err)
	}
	w, err := s.c.session(ctx, in.Name, regtransport.PullScope, &t)
	if err != nil {
		return nil, err
	}
	resp, err := w.do(withStream(ctx), http.MethodGet, "blobs/"+d.Digest.String(), nil, http.StatusOK)
	if err != nil {
		return nil, t.explain(ctx, err)
	}
	if n := resp.ContentLength; n >= 0 && n != d.Size {
		_ = resp.Body.Close()
		return nil, fault.Damaged("%s: the registry has %d bytes of it, not %d", t.doing, n, d.Size)
	}
	return &stream{ctx: ctx, rc: resp.Body, t: t}, nil
}

// Close ends idle connections.
func (s *source) Close() error {
	s.c.wire.closeIdle()
	return nil
}

// stream is a blob on its way; a connection that breaks is put into words.
type stream struct {
	ctx context.Context
	rc  io.ReadCloser
	t   task
}

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.rc.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = s.t.explain(s.ctx, err)
	}
	return n, err
}

func (s *stream) Close() error { return s.rc.Close() }
