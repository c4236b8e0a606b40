package docker

import (
	"context"
	"fmt"
	"sync"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

// stacks knows which layers of images an engine has that unpacks them. It knows a
// layer together with what lies below it, by the chain ID of both (image-spec,
// config.md), so one may be there in one image and not in another.
type stacks struct {
	e *engine

	mu    sync.Mutex
	there map[digest.Digest]bool    // chain IDs at the engine; nil: it was not asked
	plans map[digest.Digest]planned // by manifest
}

// planned is an image that is to be written.
type planned struct {
	layers []v1.Descriptor // the lowest first
	chains []digest.Digest // one for each layer
	held   int             // how many of the lowest layers the engine has
}

// plan finds out which layers of an image the engine has. It returns false if the
// image's config does not say what they unpack to.
func (s *stacks) plan(ctx context.Context, root v1.Descriptor, content, config []byte) (planned, bool, error) {
	m, err := transport.ParseManifest(root.MediaType, content)
	if err != nil {
		return planned{}, false, fmt.Errorf("%s: %s: %w", s.e, root.Digest, err)
	}
	diffIDs := transport.DiffIDs(m, config)
	if len(diffIDs) == 0 {
		return planned{}, false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.there == nil {
		if s.there, err = s.e.chains(ctx); err != nil {
			return planned{}, false, err
		}
	}
	p := planned{layers: m.Layers, chains: identity.ChainIDs(diffIDs)}
	for p.held < len(p.chains) && s.there[p.chains[p.held]] {
		p.held++
	}
	return p, true, nil
}

// keep remembers a plan, which [stacks.has] goes by.
func (s *stacks) keep(root digest.Digest, p planned) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.plans == nil {
		s.plans = map[digest.Digest]planned{}
	}
	s.plans[root] = p
}

// has reports whether every one of the images has the layer only where the engine
// has it.
func (s *stacks) has(d digest.Digest, images []transport.Image) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, img := range images {
		if !s.plans[img.Root.Digest].has(d) {
			return false
		}
	}
	return len(images) > 0
}

// has reports whether the engine has the layer wherever the image has it.
func (p planned) has(d digest.Digest) bool {
	n := 0
	for i, l := range p.layers {
		if l.Digest != d {
			continue
		}
		if i >= p.held {
			return false
		}
		n++
	}
	return n > 0
}

// lost looks for a layer that the engine has had when the copy began, and has
// not any more. It does what it can: another error came before.
func (s *stacks) lost(ctx context.Context) error {
	there, err := s.e.chains(ctx)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.plans {
		for i, c := range p.chains[:p.held] {
			if !there[c] {
				return fault.WithHint(fault.Missing("%s: layer %s was there when the copy began, and was not sent; since then it was deleted", s.e, p.layers[i].Digest),
					"run the same command again: it sends what is not there")
			}
		}
	}
	return nil
}

// chains returns the chain IDs of all that the engine's images are made of.
func (e *engine) chains(ctx context.Context) (map[digest.Digest]bool, error) {
	images, err := e.holders(ctx, nil)
	if err != nil {
		return nil, err
	}
	there := map[digest.Digest]bool{}
	for _, img := range images {
		for _, c := range identity.ChainIDs(img.layers) {
			there[c] = true
		}
	}
	return there, nil
}
