package bale

import (
	"context"
	"slices"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/index"
	"bale/transport"
)

// Lacks implements [transport.Partial]: of an index, the bundle lists what was
// left out. What is not in the bundle and not listed is damage.
func (s *Source) Lacks(ctx context.Context, in transport.Image, d v1.Descriptor) (bool, error) {
	if _, ok := s.r.Index().Blob(d.Digest); ok {
		return false, ctx.Err()
	}
	images := s.r.Index().Images
	i := slices.IndexFunc(images, func(i index.Image) bool { return i.Name == in.Name.String() })
	if i < 0 {
		return false, ctx.Err()
	}
	return slices.ContainsFunc(images[i].Omitted, func(o index.Omission) bool { return o.Digest == d.Digest }), ctx.Err()
}

// subject is something in a repository that others are attached to.
type subject struct {
	repository string
	digest     digest.Digest
}

// Referrers implements [transport.Referring].
func (s *Source) Referrers(ctx context.Context, in transport.Image, d v1.Descriptor) ([]transport.Image, error) {
	s.attaching.Lock()
	defer s.attaching.Unlock()
	if s.attached == nil {
		attached, err := s.findAttached(ctx)
		if err != nil {
			return nil, err
		}
		s.attached = attached
	}
	return s.attached[subject{in.Name.Repository(), d.Digest}], ctx.Err()
}

// findAttached finds out which images are attached to others.
func (s *Source) findAttached(ctx context.Context) (map[subject][]transport.Image, error) {
	images, err := s.Images(ctx, "")
	if err != nil {
		return nil, err
	}
	found := make(map[subject][]transport.Image)
	for _, i := range images {
		if d, kind, ok := transport.AttachedTo(i.Name.Tag); ok && kind != "" {
			of := subject{i.Name.Repository(), d}
			found[of] = append(found[of], i)
			continue
		}
		content, err := s.Manifest(ctx, i, i.Root)
		if err != nil {
			return nil, err
		}
		m, err := transport.ParseManifest(i.Root.MediaType, content)
		if err != nil {
			return nil, err
		}
		if m.Subject != "" {
			of := subject{i.Name.Repository(), m.Subject}
			found[of] = append(found[of], i)
		}
	}
	return found, nil
}

var (
	_ transport.Partial   = (*Source)(nil)
	_ transport.Referring = (*Source)(nil)
)
