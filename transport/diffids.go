package transport

import (
	"encoding/json"

	"github.com/opencontainers/go-digest"

	"bale/bundle/blob"
)

// maxConfig is the greatest size in bytes of a config that is read for its
// diff ids. They have some ten kilobytes.
const maxConfig = 8 << 20

// DiffIDs returns what the layers of an image decompress to, by its config
// (image-spec, config.md, rootfs): one digest for each of m's layers, in their
// order. It returns nil if the config does not say: that of an artifact, or one
// that does not fit the manifest.
func DiffIDs(m *Manifest, config []byte) []digest.Digest {
	var c struct {
		RootFS struct {
			DiffIDs []digest.Digest `json:"diff_ids"`
		} `json:"rootfs"`
	}
	if err := json.Unmarshal(config, &c); err != nil || len(c.RootFS.DiffIDs) != len(m.Layers) {
		return nil
	}
	for _, d := range c.RootFS.DiffIDs {
		if blob.Check(d, 0) != nil {
			return nil
		}
	}
	return c.RootFS.DiffIDs
}
