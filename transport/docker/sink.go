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

// NewSink connects to an engine to write to it.
func NewSink(ctx context.Context, opts Options) (transport.Sink, error) {
	e, err := connect(ctx, opts)
	if err != nil {
		return nil, err
	}
	switch e.store {
	case containerdStore:
		return newStoreSink(e), nil
	case podmanStore:
		return newPodmanSink(e), nil
	}
	return &classicSink{e: e, manifests: map[digest.Digest]*manifest{}, raw: newRawLayers(), stacks: stacks{e: e}}, nil
}

// classicSink writes images into an engine with the classic store. Blobs go into
// one docker-archive that streams into the engine as they come, without a file on
// this side; the engine keeps it in its own temporary folder (of DOCKER_TMPDIR or
// below its data root) until it is complete. Layers that the engine has where the
// images have them are not sent: it does not look for those in the archive.
type classicSink struct {
	e         *engine
	load      *load           // nil until there is something to load
	fresh     []digest.Digest // IDs that the engine did not have
	committed bool
	raw       rawLayers
	stacks    stacks

	mu        sync.Mutex // for Holds, which need not be called in order
	manifests map[digest.Digest]*manifest
}

// note keeps what an image consists of, by its manifest's digest.
func (s *classicSink) note(d digest.Digest, m *manifest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.manifests[d] = m
}

// noted returns nil for a manifest that is not known.
func (s *classicSink) noted(d digest.Digest) *manifest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.manifests[d]
}

// Properties implements [transport.Sink].
func (s *classicSink) Properties() transport.Properties {
	p := s.e.platform
	return transport.Properties{Ordered: true, Platform: &p, NoReferrers: true, ForgetsManifest: true}
}

// Holds implements [transport.Sink]: it reports whether the engine has an
// image of this ID. A manifest of something else than a container image is a
// [fault.ErrUnsupported].
func (s *classicSink) Holds(ctx context.Context, img transport.Image, content []byte) (bool, error) {
	m, err := s.e.parse(img.Root, content)
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

// Plan implements [transport.Planning].
func (s *classicSink) Plan(ctx context.Context, img transport.Image, content, config []byte) error {
	p, ok, err := s.stacks.plan(ctx, img.Root, content, config)
	if ok {
		s.stacks.keep(img.Root.Digest, p)
	}
	return err
}

// Has implements [transport.Sink]. An engine knows a layer by what it unpacks to
// and by what lies below it, so it can only tell for images that were planned.
func (s *classicSink) Has(ctx context.Context, d v1.Descriptor, images []transport.Image) (bool, error) {
	return s.stacks.has(d.Digest, images), ctx.Err()
}

// WriteBlob implements [transport.Sink]. If the content turns out to be bad,
// the stream into the engine is broken off and nothing more can be written.
func (s *classicSink) WriteBlob(ctx context.Context, d v1.Descriptor, _ []transport.Image, open transport.Opener) error {
	if !transport.IsConfig(d.MediaType) {
		return s.write(ctx, open, func(w *archive.Writer, r io.Reader) error { return w.WriteBlob(d, r) })
	}
	if d.Size > archive.MaxConfig {
		return fault.Unsupported("%s: config %s has %d bytes, over the limit of %d", s.e, d.Digest, d.Size, archive.MaxConfig)
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
func (s *classicSink) WriteRaw(ctx context.Context, d v1.Descriptor, size int64, _ []transport.Image, open transport.Opener) error {
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

func (s *classicSink) write(ctx context.Context, open transport.Opener, f func(*archive.Writer, io.Reader) error) error {
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
func (s *classicSink) WriteManifest(ctx context.Context, d v1.Descriptor, _ []transport.Image, content []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m, err := s.e.parse(d, content)
	if err != nil {
		return err
	}
	for _, b := range append([]v1.Descriptor{{Digest: m.id}}, m.layers...) {
		if (s.load == nil || !s.load.w.Has(b.Digest)) && !s.stacks.has(b.Digest, []transport.Image{{Root: d}}) {
			return s.e.notWritten(b, d.Digest)
		}
	}
	if err := s.raw.check(m); err != nil {
		s.load.abort()
		return fmt.Errorf("%s: %s: %w", s.e, d.Digest, err)
	}
	s.note(d.Digest, m)
	return nil
}

// Close implements [transport.Sink].
func (s *classicSink) Close() error {
	s.load.close()
	if !s.committed {
		s.e.sweep(s.fresh, nil)
	}
	return s.e.api.Close()
}

var (
	_ transport.Sink      = (*classicSink)(nil)
	_ transport.Planning  = (*classicSink)(nil)
	_ transport.Unpacking = (*classicSink)(nil)
)
