package registry

import (
	"context"
	"fmt"
	"io"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
)

// source implements transport.Source.
type source struct {
	c     *Client
	roots memory

	attachments perRepository[*tagList]
	aware       perRepository[aware] // which have a referrers API
}

var _ transport.Source = (*source)(nil)

// Images resolves one image's name with one request.
func (s *source) Images(ctx context.Context, selector string) ([]transport.Image, error) {
	if selector == "" {
		return nil, fault.WithHint(fault.Usage("a registry cannot be listed"),
			"name the images one by one, such as registry.example.com/team/app:1.0")
	}
	n, err := s.c.ParseName(selector)
	if err != nil {
		return nil, err
	}
	var root v1.Descriptor
	var content []byte
	t := task{doing: "resolve " + n.String(), object: "image " + n.String(), host: n.Domain}
	err = s.c.reading(ctx, n, t, func(w *session, t task) (err error) {
		root, content, err = w.resolve(ctx, n)
		return t.explain(ctx, err)
	})
	if err != nil {
		return nil, err
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
	var b []byte
	err := s.c.reading(ctx, in.Name, t, func(w *session, t task) (err error) {
		b, err = w.manifest(ctx, d)
		return t.explain(ctx, err)
	})
	return b, err
}

// Blob opens a blob as a stream that outlives its connections. Its digest is the
// reader's to check; a size that differs from d's is noticed before the first
// byte. A foreign layer that the registry does not have comes from where its
// descriptor says.
func (s *source) Blob(ctx context.Context, in transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	t := task{
		doing:  fmt.Sprintf("read blob %s of %s", d.Digest, in.Name),
		object: fmt.Sprintf("blob %s of %s", d.Digest, in.Name), part: true, host: in.Name.Domain,
	}
	if err := blob.Check(d.Digest, d.Size); err != nil {
		return nil, t.explain(ctx, err)
	}
	rc, err := s.open(ctx, in, d, t)
	if err != nil && len(d.URLs) > 0 && transport.IsForeign(d.MediaType) {
		return s.c.Foreign(ctx, in, d, err)
	}
	return rc, err
}

// open opens a blob at the first place that has it.
func (s *source) open(ctx context.Context, in transport.Image, d v1.Descriptor, t task) (rc io.ReadCloser, err error) {
	err = s.c.reading(ctx, in.Name, t, func(w *session, at task) error {
		opened, err := openStream(ctx, d, at, s.c.opts.backoff(), w.blob(d.Digest))
		if err != nil {
			return err
		}
		rc = opened
		if w.mirror != nil {
			rc = &failover{rc: opened, next: func(err error) (io.ReadCloser, error) {
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				s.c.places.gaveUp(*w.mirror, in.Name, err)
				return s.open(ctx, in, d, t)
			}}
		}
		return nil
	})
	return rc, err
}

// Close ends idle connections.
func (s *source) Close() error {
	s.c.wire.closeIdle()
	return nil
}
