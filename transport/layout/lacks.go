package layout

import (
	"context"
	"errors"
	"fmt"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
)

// Lacks implements [transport.Partial]: a layout may be without blobs that its
// indexes lead to (image-layout.md). One that is there and has not the size
// that it should have is no such lack.
func (s *source) Lacks(ctx context.Context, _ transport.Image, d v1.Descriptor) (bool, error) {
	there, err := s.r.has(ctx, d)
	if err != nil || !there || !transport.IsManifest(d.MediaType) {
		return !there && err == nil, err
	}
	content, err := s.r.manifest(ctx, d)
	if err != nil {
		return false, err
	}
	m, err := transport.ParseManifest(d.MediaType, content)
	if err != nil {
		return false, fmt.Errorf("%s: manifest %s: %w", s.r.where, d.Digest, err)
	}
	below := slices.Clone(m.Layers)
	if m.Config != nil {
		below = append(below, *m.Config)
	}
	for _, b := range below {
		if transport.IsForeign(b.MediaType) && len(b.URLs) > 0 {
			continue // its publisher keeps it
		}
		if there, err := s.r.has(ctx, b); err != nil || !there {
			return err == nil, err
		}
	}
	return false, nil
}

// has reports whether there is a blob, whatever it is.
func (r *reader) has(ctx context.Context, d v1.Descriptor) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if err := blob.Check(d.Digest, d.Size); err != nil {
		return false, fmt.Errorf("%s: %w", r.where, err)
	}
	rc, _, err := r.files.open(blobPath(d), "blob "+d.Digest.String())
	switch {
	case errors.Is(err, fault.ErrMissing):
		return false, nil
	case errors.Is(err, fault.ErrDamaged):
		return true, nil // whoever reads it hears of it
	case err != nil:
		return false, err
	}
	_ = rc.Close() // it was only looked at
	return true, nil
}

// TakesSparse implements [transport.Sparse].
func (*sink) TakesSparse(context.Context, transport.Image, []byte, []v1.Descriptor) (bool, error) {
	return true, nil
}

// TakesSparse implements [transport.Sparse].
func (*tarSink) TakesSparse(context.Context, transport.Image, []byte, []v1.Descriptor) (bool, error) {
	return true, nil
}

var (
	_ transport.Partial = (*source)(nil)
	_ transport.Sparse  = (*sink)(nil)
	_ transport.Sparse  = (*tarSink)(nil)
)
