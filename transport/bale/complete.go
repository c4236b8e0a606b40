package bale

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/transport"
)

// Complete checks that the graph of every image of a bundle is in the bundle,
// except for what the index lists as left out. It reads each manifest once and
// nothing else. What is not there, or has another size, is a
// [fault.ErrDamaged]: whoever made the bundle claimed otherwise.
func Complete(ctx context.Context, r *bundle.Reader) error {
	_, err := complete(ctx, r)
	return err
}

// Metadata returns the manifests, indexes and configs of a bundle's images, each
// once: what its receipt keeps. It checks what [Complete] checks.
func Metadata(ctx context.Context, r *bundle.Reader) ([]digest.Digest, error) {
	c, err := complete(ctx, r)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(c.meta)), nil
}

// diffIDs returns what the layers of a bundle's images decompress to, as far as
// configs say.
func diffIDs(ctx context.Context, r *bundle.Reader) (map[digest.Digest]digest.Digest, error) {
	c := newCompleter(r)
	c.diffIDs = make(map[digest.Digest]digest.Digest)
	err := c.all(ctx)
	return c.diffIDs, err
}

func complete(ctx context.Context, r *bundle.Reader) (*completer, error) {
	c := newCompleter(r)
	return c, c.all(ctx)
}

func newCompleter(r *bundle.Reader) *completer {
	return &completer{s: NewSource(r), known: make(map[manifestKey]*below), meta: make(map[digest.Digest]bool)}
}

// all goes through all images.
func (c *completer) all(ctx context.Context) error {
	images, err := c.s.Images(ctx, "")
	if err != nil {
		return err
	}
	for n, img := range images {
		b, err := c.manifest(ctx, img, img.Root, 0)
		if err != nil {
			return fmt.Errorf("image %s: %w", img.Name, err)
		}
		omitted := make(map[digest.Digest]bool)
		for _, o := range c.s.r.Index().Images[n].Omitted {
			omitted[o.Digest] = true
		}
		for _, d := range b.absent {
			if !omitted[d] {
				return fault.Damaged("image %s: %s is missing from the bundle, and not listed as left out", img.Name, d)
			}
		}
	}
	return nil
}

// completer remembers what it found out, since many images may share a graph.
type completer struct {
	s      *Source
	known  map[manifestKey]*below
	absent int // in all of known
	meta   map[digest.Digest]bool
	// Of layers, if it is wanted.
	diffIDs map[digest.Digest]digest.Digest
}

type manifestKey struct {
	digest    digest.Digest
	mediaType string
}

// below is what is known of a manifest and all under it.
type below struct {
	absent []digest.Digest // not in the bundle, each once
	height int             // indexes and manifests under it, one under the other
}

// manifest looks at a manifest and all under it.
func (c *completer) manifest(ctx context.Context, img transport.Image, d v1.Descriptor, depth int) (*below, error) {
	if there, err := c.has(d); err != nil {
		return nil, err
	} else if !there {
		return &below{absent: []digest.Digest{d.Digest}}, nil
	}
	key := manifestKey{d.Digest, d.MediaType}
	if b, ok := c.known[key]; ok {
		return b, tooDeep(depth + b.height)
	}
	if err := tooDeep(depth); err != nil {
		return nil, err
	}
	content, err := c.s.Manifest(ctx, img, d)
	if err != nil {
		return nil, err
	}
	m, err := transport.ParseManifest(d.MediaType, content)
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", d.Digest, err)
	}
	c.meta[d.Digest] = true
	if err := c.config(ctx, img, m); err != nil {
		return nil, err
	}
	out := &below{}
	seen := make(map[digest.Digest]bool)
	absent := func(d digest.Digest) {
		if !seen[d] {
			seen[d] = true
			out.absent = append(out.absent, d)
		}
	}
	children := make(map[*below]bool)
	for _, child := range m.Manifests {
		b, err := c.manifest(ctx, img, child, depth+1)
		if err != nil {
			return nil, err
		}
		if children[b] {
			continue
		}
		children[b] = true
		out.height = max(out.height, b.height+1)
		for _, d := range b.absent {
			absent(d)
		}
	}
	blobs := m.Layers
	if m.Config != nil {
		blobs = append(blobs, *m.Config)
	}
	for _, b := range blobs {
		if there, err := c.has(b); err != nil {
			return nil, err
		} else if !there {
			absent(b.Digest)
		} else if isMeta(b) {
			c.meta[b.Digest] = true
		}
	}
	if c.absent += len(out.absent); c.absent > transport.MaxNodes {
		return nil, fault.Damaged("more than %d manifests and blobs are missing from the bundle", transport.MaxNodes)
	}
	c.known[key] = out
	return out, nil
}

// config takes note of what a config says of its manifest's layers.
func (c *completer) config(ctx context.Context, img transport.Image, m *transport.Manifest) error {
	if c.diffIDs == nil || m.Config == nil || m.Config.Size > transport.MaxManifest {
		return nil
	}
	if there, err := c.has(*m.Config); err != nil || !there {
		return err
	}
	content, err := c.s.Manifest(ctx, img, *m.Config)
	if err != nil {
		return fmt.Errorf("config %s: %w", m.Config.Digest, err)
	}
	for i, id := range transport.DiffIDs(m, content) {
		c.diffIDs[m.Layers[i].Digest] = id
	}
	return nil
}

func tooDeep(depth int) error {
	if depth > transport.MaxDepth {
		return fault.Damaged("indexes are nested more than %d deep", transport.MaxDepth)
	}
	return nil
}

// has reports whether the bundle has a blob.
func (c *completer) has(d v1.Descriptor) (bool, error) {
	b, ok := c.s.r.Index().Blob(d.Digest)
	if ok && b.Size != d.Size {
		return false, fault.Damaged("%s has %d bytes in the bundle, but is referred to with %d", d.Digest, b.Size, d.Size)
	}
	return ok, nil
}
