package registry

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
)

// layer shows a blob to the library. It implements partial.CompressedLayer.
type layer struct {
	ctx  context.Context
	d    v1.Descriptor
	hash ggcr.Hash
	open transport.Opener

	mu     sync.Mutex
	opened []*content
}

func newLayer(ctx context.Context, d v1.Descriptor, open transport.Opener) (*layer, error) {
	hash, err := ggcr.NewHash(d.Digest.String())
	return &layer{ctx: ctx, d: d, hash: hash, open: open}, err
}

// from returns the blob as the library wants it, to be mounted from another
// repository if there is one.
func (l *layer) from(repo *name.Repository) (ggcr.Layer, error) {
	whole, err := partial.CompressedToLayer(l)
	if err != nil || repo == nil {
		return whole, err
	}
	return &remote.MountableLayer{Layer: whole, Reference: repo.Digest(l.d.Digest.String())}, nil
}

func (l *layer) Digest() (ggcr.Hash, error) { return l.hash, nil }

func (l *layer) Size() (int64, error) { return l.d.Size, nil }

func (l *layer) MediaType() (types.MediaType, error) { return types.MediaType(l.d.MediaType), nil }

// Compressed opens the content. The library calls it again for another try.
func (l *layer) Compressed() (io.ReadCloser, error) {
	rc, err := l.open(l.ctx)
	if err != nil {
		return nil, &contentError{err}
	}
	c := &content{rc: rc}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened = append(l.opened, c)
	return c, nil
}

// release closes what the library may still have open: net/http closes a
// request's body at some time after the request has failed.
func (l *layer) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.opened {
		_ = c.Close() // it was only read, and its end is what counts
	}
	l.opened = nil
}

// content marks the errors of a blob's content, so that they are not taken
// for the registry's, and may be closed while it is read.
type content struct {
	mu     sync.Mutex
	rc     io.ReadCloser
	closed bool
}

func (c *content) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, os.ErrClosed
	}
	n, err := c.rc.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &contentError{err}
	}
	return n, err
}

func (c *content) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	return c.rc.Close()
}

// contentError is an error of the side that content comes from.
type contentError struct{ err error }

func (e *contentError) Error() string { return e.err.Error() }
func (e *contentError) Unwrap() error { return e.err }
