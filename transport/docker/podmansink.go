package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/archive"
)

// maxConfigs is how many bytes of configs a copy to Podman may have together: they
// are kept until their images are complete.
const maxConfigs = 64 << 20

// podmanSink writes images into Podman, which unpacks layers and remembers the
// manifest an image came with if it came as an OCI layout. Of those it takes one
// image at a time: so each image is a tar that streams into it by itself, without a
// file on this side. It does not look for layers there that it has, and so what
// images share is sent with the first of them only, and what it has not at all.
type podmanSink struct {
	e         *engine
	loads     map[digest.Digest]*load  // that are open, by manifest
	loaded    map[digest.Digest]bool   // manifests of images that Podman has taken up
	brought   map[digest.Digest]bool   // layers of those
	configs   map[digest.Digest][]byte // that came
	total     int                      // of their bytes
	plans     map[digest.Digest][]byte // manifests of images that were planned
	fresh     []digest.Digest          // image IDs that it did not have
	committed bool
	stacks    stacks
	probes    []digest.Digest // image IDs

	mu        sync.Mutex // for Holds, which need not be called in order
	manifests map[digest.Digest]*manifest
}

func newPodmanSink(e *engine) *podmanSink {
	return &podmanSink{
		e: e, loads: map[digest.Digest]*load{}, loaded: map[digest.Digest]bool{}, brought: map[digest.Digest]bool{},
		configs: map[digest.Digest][]byte{}, plans: map[digest.Digest][]byte{}, stacks: stacks{e: e},
		manifests: map[digest.Digest]*manifest{},
	}
}

// Properties implements [transport.Sink].
func (s *podmanSink) Properties() transport.Properties {
	p := s.e.platform
	return transport.Properties{Ordered: true, Platform: &p, NoReferrers: true}
}

// Holds implements [transport.Sink]: it reports whether Podman has an image of this
// ID that came with this manifest. It says so only of images that have a name.
func (s *podmanSink) Holds(ctx context.Context, img transport.Image, content []byte) (bool, error) {
	m, err := s.e.parse(img.Root, content)
	if err != nil {
		return false, err
	}
	res, ok, err := s.e.inspect(ctx, m.id.String())
	if err != nil {
		return false, err
	}
	m.held = ok && cameAs(res.RepoDigests, img.Root.Digest)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.manifests[img.Root.Digest] = m
	return m.held, nil
}

// cameAs reports whether an image came with a manifest.
func cameAs(repoDigests []string, d digest.Digest) bool {
	return slices.ContainsFunc(repoDigests, func(r string) bool { return strings.HasSuffix(r, "@"+d.String()) })
}

// Plan implements [transport.Planning]. Podman tells which layers it has unpacked,
// but takes an image without them only if it knows them by the very blobs that
// the manifest names. So it is given an image of no more than those.
func (s *podmanSink) Plan(ctx context.Context, img transport.Image, content, config []byte) error {
	p, ok, err := s.stacks.plan(ctx, img.Root, content, config)
	if err != nil {
		return err
	}
	m, err := s.e.parse(img.Root, content)
	if err != nil {
		return err
	}
	if err := s.keepConfig(m.id, config); err != nil {
		return err
	}
	s.plans[img.Root.Digest] = content
	if !ok || p.held == 0 {
		return nil
	}
	id, knows, err := s.e.probeStack(ctx, p, config)
	if id != "" {
		s.probes = append(s.probes, id)
	}
	if knows {
		s.stacks.keep(img.Root.Digest, p)
	}
	return err
}

// Has implements [transport.Sink].
func (s *podmanSink) Has(ctx context.Context, d v1.Descriptor, images []transport.Image) (bool, error) {
	return s.stacks.has(d.Digest, images), ctx.Err()
}

// WriteBlob implements [transport.Sink]. If the content turns out to be bad,
// the stream into Podman is broken off and nothing more can be written.
func (s *podmanSink) WriteBlob(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
	if len(images) == 0 {
		return fmt.Errorf("%s: blob %s belongs to no image", s.e, d.Digest)
	}
	r, err := open(ctx)
	if err != nil {
		return err
	}
	if transport.IsConfig(d.MediaType) {
		err = s.readConfig(ctx, d, r)
	} else {
		err = s.stream(ctx, images[0].Root.Digest).do(ctx, func(w *archive.Writer) error { return w.WriteBlob(d, r) })
	}
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return s.early(ctx, images[0])
}

// stream returns the load of the image that has a manifest.
func (s *podmanSink) stream(ctx context.Context, root digest.Digest) *load {
	l := s.loads[root]
	if l == nil {
		l = s.e.startLoad(ctx)
		s.loads[root] = l
	}
	return l
}

func (s *podmanSink) readConfig(ctx context.Context, d v1.Descriptor, r io.Reader) error {
	if d.Size > archive.MaxConfig {
		return fault.Unsupported("%s: config %s has %d bytes, over the limit of %d", s.e, d.Digest, d.Size, archive.MaxConfig)
	}
	b, err := io.ReadAll(io.LimitReader(r, d.Size+1)) // the opener verifies
	if err != nil {
		return err
	}
	if err := s.keepConfig(d.Digest, b); err != nil {
		return err
	}
	return ctx.Err()
}

func (s *podmanSink) keepConfig(d digest.Digest, b []byte) error {
	if s.configs[d] != nil {
		return nil
	}
	if s.total += len(b); s.total > maxConfigs {
		return fault.WithHint(fault.Unsupported("%s: the images' configs have more than %d bytes together", s.e, maxConfigs), "copy fewer images in one run")
	}
	s.configs[d] = b
	return nil
}

// early ends an image's stream when all of its layers are there: so there are
// never many, however many images there are. Without a plan that shows later.
func (s *podmanSink) early(ctx context.Context, img transport.Image) error {
	content, ok := s.plans[img.Root.Digest]
	if !ok || s.loads[img.Root.Digest] == nil {
		return nil
	}
	m, err := s.e.parse(img.Root, content)
	if err != nil || s.missing(img.Root, m) != nil {
		return err
	}
	return s.take(ctx, img.Root, m, content)
}

// missing returns a layer that Podman would not find, or nil.
func (s *podmanSink) missing(root v1.Descriptor, m *manifest) *v1.Descriptor {
	l := s.loads[root.Digest]
	for _, b := range m.layers {
		sent := l != nil && l.w.Has(b.Digest)
		if !sent && !s.brought[b.Digest] && !s.stacks.has(b.Digest, []transport.Image{{Root: root}}) {
			return &b
		}
	}
	return nil
}

// WriteManifest implements [transport.Sink].
func (s *podmanSink) WriteManifest(ctx context.Context, d v1.Descriptor, _ []transport.Image, content []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m, err := s.e.parse(d, content)
	if err != nil {
		return err
	}
	if s.configs[m.id] == nil {
		return fault.Missing("%s: config %s of manifest %s was not written", s.e, m.id, d.Digest)
	}
	if b := s.missing(d, m); b != nil && !s.loaded[d.Digest] {
		return s.e.notWritten(*b, d.Digest)
	}
	if err := s.take(ctx, d, m, content); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.manifests[d.Digest] = m
	return nil
}

// take ends an image's stream, and lets Podman take the image up without a name.
func (s *podmanSink) take(ctx context.Context, root v1.Descriptor, m *manifest, content []byte) error {
	if s.loaded[root.Digest] {
		return nil
	}
	_, had, err := s.e.inspect(ctx, m.id.String())
	if err != nil {
		return err
	}
	if !had {
		s.fresh = append(s.fresh, m.id)
	}
	l := s.stream(ctx, root.Digest)
	err = l.finish(ctx, func(w *archive.Writer) error {
		config := s.configs[m.id]
		return errors.Join(w.WriteBlob(v1.Descriptor{Digest: m.id, Size: int64(len(config))}, bytes.NewReader(config)),
			w.WriteBlob(root, bytes.NewReader(content)),
			w.CloseLayout(newIndex(v1.Descriptor{MediaType: root.MediaType, Digest: root.Digest, Size: root.Size})))
	})
	if err != nil {
		if lost := s.stacks.lost(ctx); lost != nil && ctx.Err() == nil {
			return lost
		}
		return err
	}
	l.close()
	delete(s.loads, root.Digest)
	s.loaded[root.Digest] = true
	for _, b := range m.layers {
		s.brought[b.Digest] = true
	}
	return nil
}

// Commit implements [transport.Sink]: Podman has all images, and they get their
// tags. An image without one gets no name, since Podman gives none by a digest.
func (s *podmanSink) Commit(ctx context.Context, images []transport.Image) error {
	for _, img := range images {
		m := s.noted(img.Root.Digest)
		if m == nil || !m.held && !s.loaded[img.Root.Digest] {
			return fmt.Errorf("%s: commit: manifest %s of %s was not written", s.e, img.Root.Digest, img.Name)
		}
		if err := s.e.check(ctx, m.id.String(), m.id); err != nil {
			return err
		}
	}
	var named []transport.Image
	for _, img := range images {
		if img.Name.Tag == "" {
			continue
		}
		if err := s.name(ctx, img); err != nil {
			return transport.Partly(err, named)
		}
		named = append(named, img)
	}
	s.committed = true
	return nil
}

func (s *podmanSink) name(ctx context.Context, img transport.Image) error {
	id := s.noted(img.Root.Digest).id
	if err := s.e.tag(ctx, img.Name, id); err != nil {
		return err
	}
	res, _, err := s.e.inspect(ctx, id.String())
	if err != nil {
		return err
	}
	if !cameAs(res.RepoDigests, img.Root.Digest) {
		return fault.WithHint(fmt.Errorf("%s: %s is there, but Podman does not say that its digest is %s", s.e, img.Name, img.Root.Digest),
			"the image can be run, but not by its digest")
	}
	return nil
}

// noted returns nil for a manifest that is not known.
func (s *podmanSink) noted(d digest.Digest) *manifest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.manifests[d]
}

// Close implements [transport.Sink].
func (s *podmanSink) Close() error {
	for _, l := range s.loads {
		l.close()
	}
	if !s.committed {
		s.e.sweep(s.fresh, nil)
	}
	s.e.sweep(s.probes, nil)
	return s.e.api.Close()
}

var (
	_ transport.Sink     = (*podmanSink)(nil)
	_ transport.Planning = (*podmanSink)(nil)
)
