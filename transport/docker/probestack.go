package docker

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport/archive"
)

// probeStack finds out whether Podman knows the layers that an image begins with,
// and that it has unpacked, by the blobs of the manifest: it is given an image of
// those, without a name and without any blob. id is that image's, which keeps the
// layers at Podman until it is removed.
func (e *engine) probeStack(ctx context.Context, p planned, config []byte) (id digest.Digest, knows bool, err error) {
	var c v1.Image
	if err := json.Unmarshal(config, &c); err != nil {
		return "", false, fault.Damaged("%s: config: %w", e, err)
	}
	c = v1.Image{Platform: c.Platform, RootFS: v1.RootFS{Type: "layers", DiffIDs: c.RootFS.DiffIDs[:p.held]}}
	// Not the image's own history, or it would be that image's parent; nor that of
	// what another run asks.
	question := "bale looks for layers: " + rand.Text()
	for range p.held {
		c.History = append(c.History, v1.History{CreatedBy: question})
	}
	var tar bytes.Buffer
	w := archive.NewWriter(&tar)
	cd, err := putJSON(w, v1.MediaTypeImageConfig, c)
	if err != nil {
		return "", false, err
	}
	m := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, Config: cd}
	for _, l := range p.layers[:p.held] {
		m.Layers = append(m.Layers, v1.Descriptor{MediaType: ociType(l.MediaType), Digest: l.Digest, Size: l.Size})
	}
	md, err := putJSON(w, v1.MediaTypeImageManifest, m)
	if err != nil {
		return "", false, err
	}
	if err := w.CloseLayout(newIndex(md)); err != nil {
		return "", false, err
	}
	if _, err := e.load(ctx, &tar); err != nil {
		return cd.Digest, false, ctx.Err() // it does not know them; then they are sent
	}
	return cd.Digest, true, nil
}

// ociType is the media type of a layer in a manifest of OCI's.
func ociType(mediaType string) string {
	switch {
	case strings.HasSuffix(mediaType, "gzip"):
		return v1.MediaTypeImageLayerGzip
	case strings.HasSuffix(mediaType, "zstd"):
		return v1.MediaTypeImageLayerZstd
	}
	return v1.MediaTypeImageLayer
}
