package docker

import (
	"encoding/json"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

// rawLayers checks layers that came unpacked. No descriptor names their
// digests; the configs of the images that they belong to do.
type rawLayers struct {
	came  map[digest.Digest]digest.Digest   // what unpacked layers turned out to be, by the blob's digest
	want  map[digest.Digest][]digest.Digest // what configs say, by the config's digest
	total int                               // in want
}

func newRawLayers() rawLayers {
	return rawLayers{came: make(map[digest.Digest]digest.Digest), want: make(map[digest.Digest][]digest.Digest)}
}

// config takes note of what a config says about its image's layers.
func (r *rawLayers) config(d digest.Digest, content []byte) error {
	var c struct {
		RootFS v1.RootFS `json:"rootfs"`
	}
	if err := json.Unmarshal(content, &c); err != nil {
		return fault.Damaged("config %s: %w", d, err)
	}
	if r.total += len(c.RootFS.DiffIDs); r.total > transport.MaxNodes {
		return fault.Unsupported("configs list more than %d layers", transport.MaxNodes)
	}
	r.want[d] = c.RootFS.DiffIDs
	return nil
}

// check fails if a layer of an image came unpacked and is not what the image's
// config says.
func (r *rawLayers) check(m *manifest) error {
	want := r.want[m.id]
	for i, l := range m.layers {
		got, ok := r.came[l.Digest]
		if !ok {
			continue // the engine unpacks and checks it
		}
		if i >= len(want) || want[i] != got {
			return fault.Damaged("layer %s unpacks to %s, which is not what config %s says", l.Digest, got, m.id)
		}
	}
	return nil
}
