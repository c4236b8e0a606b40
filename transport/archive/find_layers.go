package archive

import (
	"context"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
)

var _ transport.Holding = (*source)(nil)

// FindLayers implements [transport.Holding]. An archive is one whole, so near
// does not matter. To know what its layers are, all of them are read.
func (s *source) FindLayers(ctx context.Context, _ []transport.Name, want []transport.Layer) ([]transport.FoundLayer, error) {
	if err := s.readAll(ctx); err != nil {
		return nil, err
	}
	f := transport.NewFinder(s, want, s.stat)
	if err := f.Ask(ctx, transport.Image{}); err != nil {
		return nil, err
	}
	for _, m := range s.images {
		if f.Done() {
			break
		}
		img, err := s.image(ctx, m, nil)
		if err != nil {
			return nil, err
		}
		if err := f.Look(ctx, img); err != nil {
			return nil, err
		}
	}
	return f.Found(), nil
}

// stat implements [transport.Stat].
func (s *source) stat(ctx context.Context, _ transport.Image, d v1.Descriptor) (int64, bool, error) {
	if err := ctx.Err(); err != nil {
		return 0, false, err
	}
	r, ok := s.Archive.Blob(d.Digest)
	if !ok {
		return 0, false, nil
	}
	return r.Size(), d.Size < 0 || d.Size == r.Size(), nil
}
