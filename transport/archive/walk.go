package archive

import (
	"context"
	"errors"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/layout"
)

// walk goes through the manifests of an image, each once.
type walk struct {
	ctx  context.Context
	src  layout.Source
	img  transport.Image
	seen map[digest.Digest]bool
}

// leadsTo reports whether a manifest, or one below an index, has a config.
func (w walk) leadsTo(d v1.Descriptor, config digest.Digest, depth int) (bool, error) {
	m, err := w.manifest(d, depth)
	if err != nil || m == nil {
		return false, err
	}
	if m.Config != nil {
		return m.Config.Digest == config, nil
	}
	for _, c := range m.Manifests {
		if has, err := w.leadsTo(c, config, depth+1); err != nil || has {
			return has, err
		}
	}
	return false, nil
}

// usable reports whether all of a manifest is there, or something of an index.
func (w walk) usable(d v1.Descriptor, depth int) (bool, error) {
	if !transport.IsIndex(d.MediaType) {
		lacks, err := w.src.Lacks(w.ctx, w.img, d)
		return !lacks, err
	}
	m, err := w.manifest(d, depth)
	if err != nil || m == nil {
		return false, err
	}
	for _, c := range m.Manifests {
		if ok, err := w.usable(c, depth+1); err != nil || ok {
			return ok, err
		}
	}
	return len(m.Manifests) == 0, nil
}

// manifest reads a manifest or index; nil if it is not there, is something else,
// or was read before.
func (w walk) manifest(d v1.Descriptor, depth int) (*transport.Manifest, error) {
	if depth > transport.MaxDepth {
		return nil, fault.Damaged("indexes are nested deeper than %d", transport.MaxDepth)
	}
	if w.seen[d.Digest] || !transport.IsIndex(d.MediaType) && !transport.IsManifest(d.MediaType) {
		return nil, nil
	}
	w.seen[d.Digest] = true
	content, err := w.src.Manifest(w.ctx, w.img, d)
	if errors.Is(err, fault.ErrMissing) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return transport.ParseManifest(d.MediaType, content)
}
