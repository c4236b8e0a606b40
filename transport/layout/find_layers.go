package layout

import (
	"context"
	"errors"
	"fmt"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
)

var _ transport.Holding = (*source)(nil)

// FindLayers implements [transport.Holding]. A layout is one whole, so near
// does not matter: any blob counts, and then any layer of the images that
// index.json lists.
func (s *source) FindLayers(ctx context.Context, _ []transport.Name, want []transport.Layer) ([]transport.FoundLayer, error) {
	f := transport.NewFinder(s, want, s.stat)
	if err := f.Ask(ctx, transport.Image{}); err != nil {
		return nil, err
	}
	for _, e := range s.entries {
		if f.Done() {
			break
		}
		if err := f.Look(ctx, e.image()); err != nil {
			return nil, err
		}
	}
	return f.Found(), nil
}

// stat implements [transport.Stat]. The blob's content is not looked at.
func (s *source) stat(ctx context.Context, _ transport.Image, d v1.Descriptor) (int64, bool, error) {
	if err := ctx.Err(); err != nil {
		return 0, false, err
	}
	if err := blob.Check(d.Digest, 0); err != nil {
		return 0, false, fmt.Errorf("%s: %w", s.r.where, err)
	}
	file, size, err := s.r.files.open(blobPath(d), "blob "+d.Digest.String())
	switch {
	case errors.Is(err, fault.ErrMissing), errors.Is(err, fault.ErrDamaged):
		return 0, false, nil
	case err != nil:
		return 0, false, err
	}
	_ = file.Close() // it was only looked at
	return size, d.Size < 0 || d.Size == size, nil
}
