package docker

import (
	"fmt"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport/archive"
	"bale/transport/savelist"
)

// manifest is what the sink of an engine that unpacks layers needs of an image's
// manifest.
type manifest struct {
	id     digest.Digest // of the config, and so the engine's image ID
	layers []v1.Descriptor
	held   bool // the engine had the image before
}

// parse reads a manifest. One that is not of a container image is a
// [fault.ErrUnsupported]: such an engine can hold nothing else.
func (e *engine) parse(d v1.Descriptor, content []byte) (*manifest, error) {
	m, err := savelist.ParseImage(d.MediaType, content)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", e, d.Digest, err)
	}
	return &manifest{id: m.Config.Digest, layers: m.Layers}, nil
}

// item returns the manifest's line in a docker-archive. A layer that is not in it
// is one that the engine has; it is named as if it were. There are no tags; see
// [classicSink.Commit].
func (m *manifest) item(w *archive.Writer) archive.Item {
	it := archive.Item{Config: w.Name(m.id), Layers: []string{}}
	for _, d := range m.layers {
		name := w.Name(d.Digest)
		if name == "" {
			name = path.Join(v1.ImageBlobsDir, d.Digest.Algorithm().String(), d.Digest.Encoded())
		}
		it.Layers = append(it.Layers, name)
	}
	return it
}

// zstd reports whether a layer needs an engine that knows Zstandard.
func (m *manifest) zstd() bool {
	for _, d := range m.layers {
		if strings.HasSuffix(d.MediaType, "+zstd") {
			return true
		}
	}
	return false
}
