package savelist

import (
	"runtime"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

// How the media types of layers begin, Docker's own and OCI's.
const (
	dockerLayers = "application/vnd.docker.image.rootfs."
	ociLayers    = "application/vnd.oci.image.layer."
)

// Docker's media types of layers (distribution, manifest-v2-2.md).
const (
	DockerLayer     = dockerLayers + "diff.tar"
	DockerLayerGzip = dockerLayers + "diff.tar.gzip"
)

// Image is what a container image consists of.
type Image struct {
	Config v1.Descriptor // its digest is what engines call the image's ID
	Layers []v1.Descriptor
}

// HostPlatform is what engines on this machine run, in a virtual machine where
// they have to.
func HostPlatform() v1.Platform { return v1.Platform{OS: "linux", Architecture: runtime.GOARCH} }

// ParseImage reads a manifest. One that is not of a container image is a
// [fault.ErrUnsupported]: the list, and an engine, can hold nothing else.
func ParseImage(mediaType string, content []byte) (*Image, error) {
	in, err := transport.ParseManifest(mediaType, content)
	if err != nil {
		return nil, err
	}
	switch {
	case in.Config == nil:
		return nil, notImage("it is an index, not the manifest for one platform")
	case !transport.IsConfig(in.Config.MediaType):
		return nil, notImage("its config is a %q", in.Config.MediaType)
	case in.Config.Digest.Algorithm() != digest.SHA256:
		return nil, notImage("its config's digest is %s, and engines use SHA-256", in.Config.Digest)
	}
	for _, d := range in.Layers {
		if !strings.HasPrefix(d.MediaType, ociLayers) && !strings.HasPrefix(d.MediaType, dockerLayers) {
			return nil, notImage("it has a layer of type %q", d.MediaType)
		}
	}
	return &Image{Config: *in.Config, Layers: in.Layers}, nil
}

func notImage(format string, args ...any) error {
	return fault.WithHint(fault.Unsupported("not an image that an engine can hold: "+format, args...),
		"put it into a registry or an OCI layout, or name the images that are wanted")
}

// Item returns the image's line in a list; name gives the entry of a blob, or
// "" for one that is not in the tar, and then there is no such line.
func (m *Image) Item(name func(digest.Digest) string) (it Item, ok bool) {
	it = Item{Config: name(m.Config.Digest), Layers: []string{}}
	for _, d := range m.Layers {
		it.Layers = append(it.Layers, name(d.Digest))
	}
	return it, it.Config != "" && !slices.Contains(it.Layers, "")
}
