package archive

import (
	"context"
	"encoding/json"
	"path"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/tarfile"
)

// Image is one image in an archive.
type Image struct {
	ID   digest.Digest // of the config: what Docker calls the image's ID
	Tags []string      // as manifest.json has them

	a      *Archive
	config *config
	layers []tarfile.File
}

// config is a config's entry and what is needed of its content.
type config struct {
	tarfile.File
	id      digest.Digest
	diffIDs []digest.Digest
}

// named finds the digest in the names that configs have: "<hex>.json",
// "blobs/sha256/<hex>" and "sha256:<hex>".
var named = regexp.MustCompile(`^(?:sha256:)?([0-9a-f]{64})$`)

// image finds what an item of manifest.json names.
func (a *Archive) image(it Item, configs map[int64]*config) (*Image, error) {
	f, err := a.file(it.Config)
	if err != nil {
		return nil, err
	}
	c := configs[f.Offset]
	if c == nil {
		if c, err = a.readConfig(f, it.Config); err != nil {
			return nil, err
		}
		configs[f.Offset] = c
		a.blobs[c.id] = f
	}
	if len(it.Layers) != len(c.diffIDs) {
		return nil, fault.Damaged("%s: image %s has %d layers, but its config says %d", a.where, c.id, len(it.Layers), len(c.diffIDs))
	}
	m := &Image{ID: c.id, Tags: it.RepoTags, a: a, config: c}
	for _, name := range it.Layers {
		f, err := a.file(name)
		if err != nil {
			return nil, err
		}
		m.layers = append(m.layers, f)
	}
	return m, nil
}

func (a *Archive) readConfig(f tarfile.File, name string) (*config, error) {
	b, err := a.read(f, name, MaxConfig)
	if err != nil {
		return nil, err
	}
	id := digest.FromBytes(b)
	if m := named.FindStringSubmatch(strings.TrimSuffix(path.Base(name), ".json")); m != nil && m[1] != id.Encoded() {
		return nil, fault.Damaged("%s: config %q has digest %s", a.where, name, id)
	}
	var c struct {
		RootFS v1.RootFS `json:"rootfs"`
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, fault.Damaged("%s: config %q: %w", a.where, name, err)
	}
	for _, d := range c.RootFS.DiffIDs {
		if err := d.Validate(); err != nil {
			return nil, fault.Damaged("%s: config %q: diff id %q: %w", a.where, name, string(d), err)
		}
		if d.Algorithm() != digest.SHA256 {
			return nil, fault.Unsupported("%s: config %q: diff id %s is not a SHA-256", a.where, name, d)
		}
	}
	return &config{File: f, id: id, diffIDs: c.RootFS.DiffIDs}, nil
}

// Manifest returns an OCI image manifest for the image (image-spec,
// manifest.md): the config as it is and the layers as they are in the archive,
// raw or compressed. To learn their digests it reads each layer of the archive
// once; one that does not unpack to what the config says is a
// [fault.ErrDamaged].
func (m *Image) Manifest(ctx context.Context) ([]byte, error) {
	layers := []v1.Descriptor{}
	for i, f := range m.layers {
		d, err := m.a.describe(ctx, f, m.config.diffIDs[i])
		if err != nil {
			return nil, err
		}
		layers = append(layers, d)
	}
	return makeManifest(v1.Descriptor{Digest: m.ID, Size: m.config.Size}, layers)
}

// makeManifest returns the OCI image manifest for a config and layers.
func makeManifest(config v1.Descriptor, layers []v1.Descriptor) ([]byte, error) {
	b, err := json.Marshal(v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: v1.MediaTypeImageManifest,
		Config:    v1.Descriptor{MediaType: v1.MediaTypeImageConfig, Digest: config.Digest, Size: config.Size},
		Layers:    layers,
	})
	if err != nil {
		return nil, err
	}
	if len(b) > transport.MaxManifest {
		return nil, fault.Unsupported("image %s: its manifest would have %d bytes, over the limit of %d", config.Digest, len(b), transport.MaxManifest)
	}
	return b, nil
}
