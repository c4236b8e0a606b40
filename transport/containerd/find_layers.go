package containerd

import (
	"context"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
)

// FindLayers implements [transport.Holding]. A namespace is one whole: any
// content counts, and then any layer of its images, those near first.
func (s *Source) FindLayers(ctx context.Context, near []transport.Name, want []transport.Layer) ([]transport.FoundLayer, error) {
	f := transport.NewFinder(s, want, s.statLayer)
	if err := f.Ask(ctx, transport.Image{}); err != nil {
		return nil, err
	}
	if f.Done() {
		return f.Found(), ctx.Err()
	}
	c, err := s.n.catalog(ctx)
	if err != nil {
		return nil, err
	}
	repositories := make(map[string]bool)
	for _, n := range near {
		repositories[n.Repository()] = true
	}
	slices.SortStableFunc(c.all, func(a, b record) int {
		x, y := repositories[a.name.Repository()], repositories[b.name.Repository()]
		switch {
		case x == y:
			return 0
		case x:
			return -1
		}
		return 1
	})
	for _, r := range c.all {
		if f.Done() {
			break
		}
		if err := f.Look(ctx, r.image()); err != nil {
			return nil, err
		}
	}
	return f.Found(), nil
}

// statLayer implements [transport.Stat].
func (s *Source) statLayer(ctx context.Context, _ transport.Image, d v1.Descriptor) (int64, bool, error) {
	i, ok, err := s.n.info(ctx, d.Digest)
	return i.Size, ok && (d.Size < 0 || d.Size == i.Size), err
}
