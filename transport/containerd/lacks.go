package containerd

import (
	"context"
	"strings"

	"github.com/containerd/containerd/v2/core/images"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
)

// layerLabel begins the labels by which a manifest keeps its layers from being
// collected.
const layerLabel = "containerd.io/gc.ref.content.l."

// Lacks implements [transport.Partial]. Layers that containerd has discarded
// after unpacking them are not such a lack: the image was brought there, and
// leaving it out would lose it.
func (s *Source) Lacks(ctx context.Context, _ transport.Image, d v1.Descriptor) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	g, err := s.n.search(s.n.stat).complete(ctx, d)
	if err != nil || g == nil {
		return false, err
	}
	if !images.IsLayerType(g.what.MediaType) {
		return true, nil
	}
	return !s.discards(ctx, g.of), nil
}

// discards reports whether an image's layers are given up once they are
// unpacked: its manifest, or one that its index lists, is labelled to keep its
// config and no layers.
func (s *Source) discards(ctx context.Context, d v1.Descriptor) bool {
	found := false
	look := s.n.search(func(ctx context.Context, d v1.Descriptor) (bool, error) {
		if !isManifest(d.MediaType) {
			return false, nil
		}
		i, ok, err := s.n.info(ctx, d.Digest)
		if err != nil || !ok || !transport.IsManifest(d.MediaType) {
			return ok, err
		}
		config, layers := false, false
		for k := range i.Labels {
			config = config || strings.HasPrefix(k, "containerd.io/gc.ref.content.config")
			layers = layers || strings.HasPrefix(k, layerLabel)
		}
		found = found || config && !layers
		return true, nil
	})
	look.sparse = true
	_, err := look.complete(ctx, d)
	return err == nil && found // it is for advice: what cannot be read is no sign
}
