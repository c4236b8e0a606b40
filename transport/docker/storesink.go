package docker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/moby/moby/client/pkg/versions"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
	"bale/transport/archive"
)

// referrersAPI is the first version of the API whose engines keep what is attached
// to an image, and give it back (Docker 29.2).
const referrersAPI = "1.53"

// storeSink writes images into an engine with containerd's store, which keeps
// everything as it is. Blobs and manifests go into one OCI layout in a tar that
// streams into the engine as they come, without a file on this side. Content that
// the engine has already is not sent.
type storeSink struct {
	e         *engine
	load      *load           // nil until there is something to load
	fresh     []digest.Digest // roots that the engine did not have
	committed bool
	probe     *prober

	mu        sync.Mutex // guards what follows: not all is called in order
	manifests map[digest.Digest]*written
	held      map[digest.Digest]*heldImage                 // by root
	dropped   map[digest.Digest]map[digest.Digest]struct{} // what is not copied of an index
	had       map[digest.Digest]bool                       // blobs that were not sent
	names     map[transport.Name]bool                      // that were given by loading
}

// written is a manifest that was sent.
type written struct {
	*transport.Manifest
	whole bool // the engine was sent all of its blobs, or had them
}

// heldImage is an image that the engine had.
type heldImage struct {
	root  v1.Descriptor
	name  string // one that it has there, or ""
	parts map[digest.Digest]bool
}

func newStoreSink(e *engine) *storeSink {
	return &storeSink{
		e: e, probe: newProber(e),
		manifests: map[digest.Digest]*written{}, held: map[digest.Digest]*heldImage{},
		dropped: map[digest.Digest]map[digest.Digest]struct{}{}, had: map[digest.Digest]bool{}, names: map[transport.Name]bool{},
	}
}

// Properties implements [transport.Sink].
func (s *storeSink) Properties() transport.Properties {
	return transport.Properties{Ordered: true, NoReferrers: versions.LessThan(s.e.api.ClientVersion(), referrersAPI)}
}

// TakesSparse implements [transport.Sparse]: the engine keeps indexes of which it
// has pulled one platform, and so takes any.
func (s *storeSink) TakesSparse(ctx context.Context, img transport.Image, content []byte, kept []v1.Descriptor) (bool, error) {
	m, err := transport.ParseManifest(img.Root.MediaType, content)
	if err != nil {
		return false, err
	}
	dropped := map[digest.Digest]struct{}{}
	for _, c := range m.Manifests {
		dropped[c.Digest] = struct{}{}
	}
	for _, c := range kept {
		delete(dropped, c.Digest)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped[img.Root.Digest] = dropped
	return true, ctx.Err()
}

// Holds implements [transport.Sink]: it reports whether the engine has an image
// of this digest, and all of it that is wanted.
func (s *storeSink) Holds(ctx context.Context, img transport.Image, _ []byte) (bool, error) {
	res, ok, err := s.e.inspect(ctx, img.Root.Digest.String())
	if err != nil || !ok || len(res.Manifests) == 0 || res.Descriptor == nil || res.Descriptor.Digest != img.Root.Digest {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &heldImage{root: img.Root, name: s.e.anyName(res), parts: map[digest.Digest]bool{img.Root.Digest: true}}
	for _, m := range res.Manifests {
		if _, dropped := s.dropped[img.Root.Digest][m.Descriptor.Digest]; dropped {
			continue
		}
		if !m.Available {
			return false, nil
		}
		h.parts[m.Descriptor.Digest] = true
	}
	s.held[img.Root.Digest] = h
	return true, nil
}

// Has implements [transport.Sink].
func (s *storeSink) Has(ctx context.Context, d v1.Descriptor, _ []transport.Image) (bool, error) {
	has, err := s.probe.has(ctx, d)
	if has {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.had[d.Digest] = true
	}
	return has, err
}

// WriteBlob implements [transport.Sink]. If the content turns out to be bad,
// the stream into the engine is broken off and nothing more can be written.
func (s *storeSink) WriteBlob(ctx context.Context, d v1.Descriptor, _ []transport.Image, open transport.Opener) error {
	r, err := open(ctx)
	if err != nil {
		return err
	}
	err = s.write(ctx, d, r)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	return err
}

func (s *storeSink) write(ctx context.Context, d v1.Descriptor, r io.Reader) error {
	if s.load == nil {
		s.load = s.e.startLoad(ctx)
	}
	return s.load.do(ctx, func(w *archive.Writer) error { return w.WriteBlob(d, r) })
}

// WriteManifest implements [transport.Sink].
func (s *storeSink) WriteManifest(ctx context.Context, d v1.Descriptor, _ []transport.Image, content []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m, err := transport.ParseManifest(d.MediaType, content)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", s.e, d.Digest, err)
	}
	whole, err := s.whole(d, m)
	if err != nil {
		return err
	}
	if err := s.write(ctx, d, bytes.NewReader(content)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.manifests[d.Digest] = &written{m, whole}
	return nil
}

// whole reports whether the engine was sent all blobs of a manifest, or has them.
// Only layers that their publisher keeps to itself may be missing.
func (s *storeSink) whole(d v1.Descriptor, m *transport.Manifest) (bool, error) {
	if m.Config == nil {
		return true, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	whole := true
	for _, b := range append([]v1.Descriptor{*m.Config}, m.Layers...) {
		switch {
		case s.had[b.Digest] || s.load != nil && s.load.w.Has(b.Digest):
		case leftOut(b):
			whole = false
		default:
			return false, s.e.notWritten(b, d.Digest)
		}
	}
	return whole, nil
}

// Close implements [transport.Sink].
func (s *storeSink) Close() error {
	s.load.close()
	if !s.committed {
		s.e.sweep(s.fresh, s.names)
	}
	s.probe.remove()
	return s.e.api.Close()
}

var (
	_ transport.Sink   = (*storeSink)(nil)
	_ transport.Sparse = (*storeSink)(nil)
)
