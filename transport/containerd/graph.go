package containerd

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
)

// isManifest reports whether content refers to other content in a way we know.
func isManifest(mediaType string) bool {
	return transport.IsIndex(mediaType) || transport.IsManifest(mediaType)
}

// bare is a descriptor with what names content and nothing else.
func bare(d v1.Descriptor) v1.Descriptor {
	return v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
}

// manifest reads and verifies a manifest or index.
func (n *node) manifest(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	r, err := n.open(ctx, d)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // only read from
	b, err := blob.ReadAll(r, d.Digest, d.Size, transport.MaxManifest)
	if err != nil {
		return nil, fmt.Errorf("containerd:%s: manifest %s: %w", n.namespace, d.Digest, err)
	}
	return b, nil
}

// info returns what containerd says of content; ok is false if it is not in the
// namespace.
func (n *node) info(ctx context.Context, d digest.Digest) (i content.Info, ok bool, err error) {
	i, err = n.api.ContentStore().Info(n.in(ctx), d)
	switch {
	case errdefs.IsNotFound(err) && ctx.Err() == nil:
		return i, false, nil
	case err != nil:
		return i, false, n.fail(ctx, "look for "+d.String(), err)
	}
	return i, true, nil
}

// stat reports whether content is in the namespace, as a presence.
func (n *node) stat(ctx context.Context, d v1.Descriptor) (bool, error) {
	i, ok, err := n.info(ctx, d.Digest)
	return ok && i.Size == d.Size, err
}

// presence reports whether an object is there.
type presence func(ctx context.Context, d v1.Descriptor) (bool, error)

// gap is something that is not there.
type gap struct {
	what v1.Descriptor
	of   v1.Descriptor // the manifest or index that names it; zero for a root
}

// An artifact may keep as a layer what is another image's manifest.
type seenKey struct {
	digest   digest.Digest
	manifest bool
}

// search goes through graphs of manifests.
type search struct {
	n    *node
	has  presence
	seen map[seenKey]bool

	// sparse goes on where something is not there.
	sparse bool
	// visit, if not nil, is called for each manifest that is there, after those
	// below it.
	visit func(ctx context.Context, d v1.Descriptor, m *transport.Manifest) error
}

func (n *node) search(has presence) *search {
	return &search{n: n, has: has, seen: make(map[seenKey]bool)}
}

// complete returns what is not there of all that is under d, d itself included:
// the first such thing, or nil.
func (s *search) complete(ctx context.Context, d v1.Descriptor) (*gap, error) {
	return s.manifest(ctx, d, v1.Descriptor{}, 0)
}

// manifest looks for what an index lists, or for a root.
func (s *search) manifest(ctx context.Context, d, above v1.Descriptor, depth int) (*gap, error) {
	if !isManifest(d.MediaType) {
		return s.object(ctx, d, above, false)
	}
	key := seenKey{d.Digest, true}
	if s.seen[key] {
		return nil, nil
	}
	if depth > transport.MaxDepth {
		return nil, fault.Damaged("containerd:%s: indexes are nested more than %d deep", s.n.namespace, transport.MaxDepth)
	}
	if g, err := s.object(ctx, d, above, true); g != nil || err != nil || !s.seen[key] {
		return g, err
	}
	b, err := s.n.manifest(ctx, d)
	if err != nil {
		return nil, err
	}
	m, err := transport.ParseManifest(d.MediaType, b)
	if err != nil {
		return nil, fmt.Errorf("containerd:%s: manifest %s: %w", s.n.namespace, d.Digest, err)
	}
	for _, c := range blobs(m) {
		if g, err := s.object(ctx, c, d, false); g != nil || err != nil {
			return g, err
		}
	}
	for _, c := range m.Manifests {
		if g, err := s.manifest(ctx, c, d, depth+1); g != nil || err != nil {
			return g, err
		}
	}
	if s.visit != nil {
		return nil, s.visit(ctx, d, m)
	}
	return nil, nil
}

// object looks for one object, which is in seen afterwards if it is there.
func (s *search) object(ctx context.Context, d, above v1.Descriptor, manifest bool) (*gap, error) {
	key := seenKey{d.Digest, manifest}
	if s.seen[key] {
		return nil, nil
	}
	if err := blob.Check(d.Digest, d.Size); err != nil {
		return nil, err
	}
	if len(s.seen) == transport.MaxNodes {
		return nil, fault.Damaged("containerd:%s: an image of more than %d objects", s.n.namespace, transport.MaxNodes)
	}
	ok, err := s.has(ctx, d)
	switch {
	case err != nil:
		return nil, err
	case ok:
		s.seen[key] = true
	case !s.sparse:
		return &gap{d, above}, nil
	}
	return nil, nil
}

// blobs returns the config and the layers that a place must have.
func blobs(m *transport.Manifest) []v1.Descriptor {
	var out []v1.Descriptor
	if m.Config != nil {
		out = append(out, *m.Config)
	}
	for _, l := range m.Layers {
		if !transport.IsForeign(l.MediaType) || len(l.URLs) == 0 {
			out = append(out, l)
		}
	}
	return out
}

// passable returns nil for what is wrong with one object only.
func passable(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return transport.Passable(err)
}
