package archive

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/layout"
	"bale/transport/savelist"
)

// sink writes an archive as current engines do: an OCI layout with manifest.json
// beside it, so that who knows layouts finds the images' own manifests, and
// engines of all ages find the images. Since engines before Docker 23 know no
// Zstandard, layers that are compressed so are unpacked, and a new manifest is
// made for their images.
type sink struct {
	transport.Sink // of the layout
	where          string
	platform       v1.Platform
	configs        diffIDs

	mu       sync.Mutex
	unpacked map[digest.Digest]v1.Descriptor // layers as they were written, by what they were
	remade   map[digest.Digest]v1.Descriptor // manifests likewise
}

// NewSink returns a sink that writes images into one file, a docker-archive,
// which is there under its name once it is complete. A file that is there
// already is an error that wraps [fs.ErrExist], unless [Overwrite] is given. The
// path "-" stands for what [Stdout] gives.
func NewSink(path string, opts ...Option) (transport.Sink, error) {
	o := options{platform: savelist.HostPlatform()}
	for _, set := range opts {
		set(&o)
	}
	s := &sink{
		where: "docker-archive:" + path, platform: o.platform,
		unpacked: make(map[digest.Digest]v1.Descriptor), remade: make(map[digest.Digest]v1.Descriptor),
	}
	l := append(o.layout, layout.Called(s.where), layout.Hybrid(o.platform))
	if o.ref != "" {
		n, err := transport.ParseName(o.ref)
		if err != nil {
			return nil, err
		}
		if n.Digest != "" {
			return nil, fault.Usage("%s:%s: an image has a digest and cannot be given one", s.where, o.ref)
		}
		l = append(l, layout.WithRef(n.String()))
	}
	inner, err := layout.NewArchiveSink(path, l...)
	if err != nil {
		return nil, err
	}
	s.Sink = inner
	return s, nil
}

// Properties implements [transport.Sink].
func (s *sink) Properties() transport.Properties {
	p := s.platform
	return transport.Properties{Ordered: true, Platform: &p, NoReferrers: true, ForgetsManifest: true}
}

// Holds implements [transport.Sink]. A manifest of something else than a
// container image is a [fault.ErrUnsupported].
func (s *sink) Holds(ctx context.Context, img transport.Image, content []byte) (bool, error) {
	if _, err := s.parse(img.Root, content); err != nil {
		return false, err
	}
	return s.Sink.Holds(ctx, img, content)
}

func (s *sink) parse(d v1.Descriptor, content []byte) (*savelist.Image, error) {
	m, err := savelist.ParseImage(d.MediaType, content)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", s.where, d.Digest, err)
	}
	return m, nil
}

// Has implements [transport.Sink].
func (s *sink) Has(ctx context.Context, d v1.Descriptor, images []transport.Image) (bool, error) {
	s.mu.Lock()
	if raw, ok := s.unpacked[d.Digest]; ok {
		d = raw
	}
	s.mu.Unlock()
	return s.Sink.Has(ctx, d, images)
}

// WriteBlob implements [transport.Sink]. If the content turns out to be bad,
// nothing more can be written.
func (s *sink) WriteBlob(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
	if transport.IsConfig(d.MediaType) {
		return s.writeConfig(ctx, d, images, open)
	}
	return s.writeLayer(ctx, d, images, open)
}

// writeConfig keeps what a config says about its image's layers.
func (s *sink) writeConfig(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
	if d.Size > MaxConfig {
		return fault.Unsupported("%s: config %s has %d bytes, over the limit of %d", s.where, d.Digest, d.Size, MaxConfig)
	}
	var content bytes.Buffer
	err := s.Sink.WriteBlob(ctx, d, images, func(ctx context.Context) (io.ReadCloser, error) {
		rc, err := open(ctx)
		if err != nil {
			return nil, err
		}
		content.Reset()
		return teed{io.TeeReader(rc, &content), rc}, nil
	})
	if err != nil || content.Len() == 0 {
		return err // without content, it was written before
	}
	return s.configs.note(d.Digest, content.Bytes())
}

type teed struct {
	io.Reader
	io.Closer
}

// WriteManifest implements [transport.Sink]. If the content turns out not to
// belong together, nothing more can be written.
func (s *sink) WriteManifest(ctx context.Context, d v1.Descriptor, images []transport.Image, content []byte) error {
	m, err := s.parse(d, content)
	if err != nil {
		return err
	}
	for _, b := range append([]v1.Descriptor{m.Config}, m.Layers...) {
		has, err := s.Has(ctx, b, images)
		if err != nil {
			return err
		}
		if !has {
			err := fault.Missing("%s: blob %s of manifest %s was not written", s.where, b.Digest, d.Digest)
			if transport.IsForeign(b.MediaType) {
				return fault.WithHint(err, "its publisher keeps this layer to itself: --foreign-layers fetches it; registries and layouts can do without")
			}
			return err
		}
	}
	changed, err := s.remake(m)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", s.where, d.Digest, err)
	}
	if changed {
		if content, err = makeManifest(m.Config, m.Layers); err != nil {
			return fmt.Errorf("%s: %w", s.where, err)
		}
		made := v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromBytes(content), Size: int64(len(content))}
		s.mu.Lock()
		s.remade[d.Digest] = made
		s.mu.Unlock()
		d = made
	}
	return s.Sink.WriteManifest(ctx, d, s.called(images), content)
}

// remake puts the layers of an image in place that were written unpacked, and
// checks them by its config: no other digest names them.
func (s *sink) remake(m *savelist.Image) (changed bool, err error) {
	want := s.configs.of(m.Config.Digest)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, l := range m.Layers {
		raw, ok := s.unpacked[l.Digest]
		if !ok {
			continue
		}
		if i >= len(want) || want[i] != raw.Digest {
			return false, fault.Damaged("layer %s unpacks to %s, which is not what config %s says", l.Digest, raw.Digest, m.Config.Digest)
		}
		m.Layers[i], changed = raw, true
	}
	if !changed {
		return false, nil
	}
	for i, l := range m.Layers {
		// By other types than its own no OCI manifest may call a layer.
		if t := ociTypes[l.MediaType]; t != "" {
			m.Layers[i].MediaType = t
		}
	}
	return true, nil
}

// ociTypes are OCI's media types for Docker's.
var ociTypes = map[string]string{
	savelist.DockerLayer:     v1.MediaTypeImageLayer,
	savelist.DockerLayerGzip: v1.MediaTypeImageLayerGzip,
}

// called returns images as they are in the archive.
func (s *sink) called(images []transport.Image) []transport.Image {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]transport.Image, len(images))
	for i, img := range images {
		if made, ok := s.remade[img.Root.Digest]; ok {
			img.Root = made
			if img.Name.Digest != "" {
				img.Name.Digest = made.Digest
			}
		}
		out[i] = img
	}
	return out
}

// Commit implements [transport.Sink].
func (s *sink) Commit(ctx context.Context, images []transport.Image) error {
	return s.Sink.Commit(ctx, s.called(images))
}
