package docker

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
	"bale/transport/archive"
)

// Sink writes images into an engine. Blobs go into one docker-archive that
// streams into the engine as they come, without a file on this side; the
// engine keeps it in its own temporary folder (of DOCKER_TMPDIR or below its
// data root) until it is complete.
type Sink struct {
	e         *engine
	load      *load           // nil until there is something to load
	fresh     []digest.Digest // IDs that the engine did not have
	committed bool
	raw       rawLayers

	mu        sync.Mutex // for Holds, which need not be called in order
	manifests map[digest.Digest]*manifest
}

// note keeps what an image consists of, by its manifest's digest.
func (s *Sink) note(d digest.Digest, m *manifest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.manifests[d] = m
}

// noted returns nil for a manifest that is not known.
func (s *Sink) noted(d digest.Digest) *manifest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.manifests[d]
}

// NewSink connects to an engine.
func NewSink(ctx context.Context, opts Options) (*Sink, error) {
	e, err := connect(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &Sink{e: e, manifests: map[digest.Digest]*manifest{}, raw: newRawLayers()}, nil
}

// Properties implements [transport.Sink].
func (s *Sink) Properties() transport.Properties {
	p := s.e.platform
	return transport.Properties{Ordered: true, Platform: &p, ForgetsManifest: true}
}

// Holds implements [transport.Sink]: it reports whether the engine has an
// image of this ID. A manifest of something else than a container image is a
// [fault.ErrUnsupported].
func (s *Sink) Holds(ctx context.Context, img transport.Image, content []byte) (bool, error) {
	m, err := s.parse(img.Root, content)
	if err != nil {
		return false, err
	}
	if _, m.held, err = s.e.inspect(ctx, m.id.String()); err != nil {
		return false, err
	}
	if m.held {
		s.note(img.Root.Digest, m)
	}
	return m.held, nil
}

// Has implements [transport.Sink]. An engine knows no compressed layers, and
// does not tell which raw ones it could reuse.
func (s *Sink) Has(context.Context, v1.Descriptor, []transport.Image) (bool, error) {
	return false, nil
}

// WriteBlob implements [transport.Sink]. If the content turns out to be bad,
// the stream into the engine is broken off and nothing more can be written.
func (s *Sink) WriteBlob(ctx context.Context, d v1.Descriptor, _ []transport.Image, open transport.Opener) error {
	if !transport.IsConfig(d.MediaType) {
		return s.write(ctx, open, func(w *archive.Writer, r io.Reader) error { return w.WriteBlob(d, r) })
	}
	if d.Size > archive.MaxConfig {
		return fault.Unsupported("docker engine %s: config %s has %d bytes, over the limit of %d", s.e.host, d.Digest, d.Size, archive.MaxConfig)
	}
	return s.write(ctx, open, func(w *archive.Writer, r io.Reader) error {
		if w.Has(d.Digest) {
			return nil
		}
		var content bytes.Buffer
		if err := w.WriteBlob(d, io.TeeReader(r, &content)); err != nil {
			return err
		}
		return s.raw.config(d.Digest, content.Bytes())
	})
}

// WriteRaw implements [transport.Unpacking]: an engine would only unpack the
// layer again.
func (s *Sink) WriteRaw(ctx context.Context, d v1.Descriptor, size int64, _ []transport.Image, open transport.Opener) error {
	return s.write(ctx, open, func(w *archive.Writer, r io.Reader) error {
		if w.Has(d.Digest) {
			return nil
		}
		h := digest.SHA256.Digester()
		if err := w.WriteRaw(d, size, io.TeeReader(r, h.Hash())); err != nil {
			return err
		}
		s.raw.came[d.Digest] = h.Digest()
		return nil
	})
}

func (s *Sink) write(ctx context.Context, open transport.Opener, f func(*archive.Writer, io.Reader) error) error {
	r, err := open(ctx)
	if err != nil {
		return err
	}
	if s.load == nil {
		s.load = s.e.startLoad(ctx)
	}
	err = s.load.do(ctx, func(w *archive.Writer) error { return f(w, r) })
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	return err
}

// WriteManifest implements [transport.Sink]: it takes note of what the image
// consists of.
func (s *Sink) WriteManifest(ctx context.Context, d v1.Descriptor, _ []transport.Image, content []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m, err := s.parse(d, content)
	if err != nil {
		return err
	}
	for _, b := range append([]v1.Descriptor{{Digest: m.id}}, m.layers...) {
		if s.load == nil || !s.load.w.Has(b.Digest) {
			return fault.Missing("docker engine %s: blob %s of manifest %s was not written", s.e.host, b.Digest, d.Digest)
		}
	}
	if err := s.raw.check(m); err != nil {
		s.load.abort()
		return fmt.Errorf("docker engine %s: %s: %w", s.e.host, d.Digest, err)
	}
	s.note(d.Digest, m)
	return nil
}

func (s *Sink) parse(d v1.Descriptor, content []byte) (*manifest, error) {
	if transport.IsIndex(d.MediaType) {
		return nil, fmt.Errorf("docker engine %s: %s is an index, not the manifest for one platform", s.e.host, d.Digest)
	}
	m, err := parse(d.MediaType, content)
	if err != nil {
		return nil, fmt.Errorf("docker engine %s: %s: %w", s.e.host, d.Digest, err)
	}
	return m, nil
}

// Close implements [transport.Sink].
func (s *Sink) Close() error {
	if s.load != nil {
		s.load.abort()
		<-s.load.done
	}
	if !s.committed {
		s.sweep()
	}
	return s.e.api.Close()
}

var (
	_ transport.Sink      = (*Sink)(nil)
	_ transport.Unpacking = (*Sink)(nil)
)
