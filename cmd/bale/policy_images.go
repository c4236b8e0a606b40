package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle"
	"bale/bundle/index"
	"bale/transport"
	"bale/transport/bale"
	"bale/verify/policy"
)

// policyImages returns the images of a bundle as a policy looks at them. What is
// attached to others is told from them, and if platforms are wanted the manifests
// and configs of all are read.
func policyImages(ctx context.Context, r *bundle.Reader, platforms bool) ([]policy.Image, error) {
	src := bale.NewSource(r)
	images, err := src.Images(ctx, "")
	if err != nil {
		return nil, err
	}
	var out []policy.Image
	for n, i := range images {
		one, err := policyImage(ctx, r, src, i, r.Index().Images[n].Omitted, platforms)
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", i.Name, err)
		}
		out = append(out, one)
	}
	return out, nil
}

// unknownPlatform is what an image is for that does not say.
const unknownPlatform = "unknown"

// platformWalk finds all platforms that an image is for: those that its indexes
// say, by which an engine chooses, and those that its configs say, which is what
// then runs. Attestations in an index are for none.
type platformWalk struct {
	ctx     context.Context
	src     *bale.Source
	image   transport.Image
	omitted map[digest.Digest]bool
	configs map[digest.Digest]*v1.Platform // of manifests; nil if it does not say
	indexes map[digest.Digest]bool         // that were looked at
	found   []string
}

// policyImage looks at one image. That its graph is whole and not too deep was
// checked before.
func policyImage(ctx context.Context, r *bundle.Reader, src *bale.Source, i transport.Image, omitted []index.Omission, platforms bool) (out policy.Image, err error) {
	w := &platformWalk{
		ctx: ctx, src: src, image: i, omitted: make(map[digest.Digest]bool),
		configs: make(map[digest.Digest]*v1.Platform), indexes: make(map[digest.Digest]bool),
	}
	for _, o := range omitted {
		w.omitted[o.Digest] = true
	}
	out = policy.Image{Name: i.Name.String(), Digest: i.Root.Digest}
	if out.Attached, err = isAttached(ctx, r, src, i); err != nil {
		return out, err
	}
	if !platforms {
		return out, nil
	}
	if err := w.below(i.Root, nil); err != nil {
		return out, err
	}
	out.Platforms = w.found
	if len(w.found) == 0 && !out.Attached {
		m, err := w.manifest(i.Root)
		if err != nil {
			return out, err
		}
		if m.Config != nil && transport.CanRun(m.Config.MediaType) {
			out.Platforms = []string{unknownPlatform}
		}
	}
	return out, nil
}

func (w *platformWalk) manifest(d v1.Descriptor) (*transport.Manifest, error) {
	return manifestOf(w.ctx, w.src, w.image, d)
}

// below looks at a manifest and all under it; declared is what an index says
// that it is for, nil if nothing.
func (w *platformWalk) below(d v1.Descriptor, declared *v1.Platform) error {
	switch {
	case transport.IsIndex(d.MediaType):
		return w.index(d)
	case !transport.IsManifest(d.MediaType):
		return nil
	}
	p, err := w.config(d)
	if err != nil || p == nil {
		return err
	}
	says := *p
	if says.Variant == "" && declared != nil && says.OS == declared.OS && says.Architecture == declared.Architecture {
		says.Variant = declared.Variant // older builders leave it to the index
	}
	w.add(says)
	return nil
}

func (w *platformWalk) index(d v1.Descriptor) error {
	if w.indexes[d.Digest] {
		return nil
	}
	w.indexes[d.Digest] = true
	m, err := w.manifest(d)
	if err != nil {
		return err
	}
	for _, c := range m.Manifests {
		if w.omitted[c.Digest] {
			continue
		}
		declared := c.Platform
		if declared != nil && (declared.OS == "" || declared.OS == unknownPlatform) {
			declared = nil
		}
		if declared != nil {
			w.add(*declared)
		}
		if err := w.below(c, declared); err != nil {
			return err
		}
	}
	return nil
}

// config returns what the config of a manifest says that its image is for.
func (w *platformWalk) config(d v1.Descriptor) (*v1.Platform, error) {
	if p, known := w.configs[d.Digest]; known {
		return p, nil
	}
	w.configs[d.Digest] = nil
	m, err := w.manifest(d)
	if err != nil || m.Config == nil || !transport.CanRun(m.Config.MediaType) {
		return nil, err
	}
	content, err := w.src.Manifest(w.ctx, w.image, *m.Config) // a config is no larger
	if err != nil {
		return nil, err
	}
	var p v1.Platform
	if json.Unmarshal(content, &p) != nil || p.OS == "" || p.OS == unknownPlatform {
		return nil, nil
	}
	w.configs[d.Digest] = &p
	return &p, nil
}

func (w *platformWalk) add(p v1.Platform) {
	if s := transport.FormatPlatform(p); !slices.Contains(w.found, s) {
		w.found = append(w.found, s)
	}
}
