package docker

import (
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/archive"
)

// How the media types of layers begin, Docker's own and OCI's.
const (
	dockerLayers = "application/vnd.docker.image.rootfs."
	ociLayers    = "application/vnd.oci.image.layer."
)

// manifest is what the sink needs of an image's manifest.
type manifest struct {
	id     digest.Digest // of the config, and so the engine's image ID
	layers []v1.Descriptor
	held   bool // the engine had the image before
}

// parse reads a manifest. One that is not of a container image is a
// [fault.ErrUnsupported]: an engine can hold nothing else.
func parse(mediaType string, content []byte) (*manifest, error) {
	in, err := transport.ParseManifest(mediaType, content)
	if err != nil {
		return nil, err
	}
	if !transport.IsConfig(in.Config.MediaType) {
		return nil, notImage("its config is a %q", in.Config.MediaType)
	}
	if in.Config.Digest.Algorithm() != digest.SHA256 {
		return nil, notImage("its config's digest is %s, and engines use SHA-256", in.Config.Digest)
	}
	for _, d := range in.Layers {
		if !strings.HasPrefix(d.MediaType, ociLayers) && !strings.HasPrefix(d.MediaType, dockerLayers) {
			return nil, notImage("it has a layer of type %q", d.MediaType)
		}
	}
	return &manifest{id: in.Config.Digest, layers: in.Layers}, nil
}

func notImage(format string, args ...any) error {
	return fault.WithHint(fault.Unsupported("not an image that an engine can hold: "+format, args...),
		"put it into a registry or an OCI layout")
}

// item returns the manifest's line in a docker-archive that has its blobs. It
// has no tags; see [Sink.Commit].
func (m *manifest) item(w *archive.Writer) archive.Item {
	it := archive.Item{Config: w.Name(m.id), Layers: []string{}}
	for _, d := range m.layers {
		it.Layers = append(it.Layers, w.Name(d.Digest))
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
