package archive

import (
	"context"
	"io"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
)

// source reads an archive by manifest.json.
type source struct {
	*Archive
	file  input
	local string // repository of images that have no name

	reading sync.Mutex
	read    bool // the digests of all that the archive has are known

	mu   sync.Mutex
	made map[digest.Digest]*Image // by the digests of their manifests
}

func newSource(a *Archive, f input, local string) *source {
	return &source{Archive: a, file: f, local: local, made: make(map[digest.Digest]*Image)}
}

// Images implements [transport.Source]. An image that is chosen by something
// else than a name is called by the first that it has; one that has none is
// called after the file, by its digest.
func (s *source) Images(ctx context.Context, selector string) ([]transport.Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if selector == "" {
		return s.all(ctx)
	}
	img, err := s.find(ctx, selector)
	if err != nil {
		return nil, err
	}
	return []transport.Image{img}, nil
}

// all returns every image, once for each of its names. Two that have one name
// but differ are an [fault.ErrUsage]: whoever copies them must say which.
func (s *source) all(ctx context.Context) ([]transport.Image, error) {
	var out []transport.Image
	known := make(map[transport.Name]digest.Digest)
	for i, m := range s.images {
		names, err := m.names()
		if err != nil {
			return nil, err
		}
		root, err := s.root(ctx, m)
		if err != nil {
			return nil, err
		}
		if len(names) == 0 {
			names = []transport.Name{s.nameless(root)}
		}
		for _, n := range names {
			d, ok := known[n]
			switch {
			case !ok:
				known[n] = root.Digest
				out = append(out, transport.Image{Name: n, Root: root})
			case d != root.Digest:
				return nil, fault.WithHint(fault.Usage("%s: two images are called %s", s.where, n), "choose one of them: %s:@%d", s.where, i)
			}
		}
	}
	if len(out) == 0 {
		return nil, fault.Missing("%s: the archive holds no image", s.where)
	}
	return out, nil
}

// root returns the manifest made for an image, and remembers whose it is.
func (s *source) root(ctx context.Context, m *Image) (v1.Descriptor, error) {
	content, err := m.Manifest(ctx)
	if err != nil {
		return v1.Descriptor{}, err
	}
	d := v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromBytes(content), Size: int64(len(content))}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made[d.Digest] = m
	return d, nil
}

// image is an image by the first of the names.
func (s *source) image(ctx context.Context, m *Image, names []transport.Name) (transport.Image, error) {
	root, err := s.root(ctx, m)
	if err != nil {
		return transport.Image{}, err
	}
	if len(names) == 0 {
		names = []transport.Name{s.nameless(root)}
	}
	return transport.Image{Name: names[0], Root: root}, nil
}

// nameless is what an image is called that has no name.
func (s *source) nameless(root v1.Descriptor) transport.Name {
	return transport.Name{Domain: localDomain, Path: s.local, Digest: root.Digest}
}

// names returns what an image is called, each once.
func (m *Image) names() ([]transport.Name, error) {
	var names []transport.Name
	for _, tag := range m.Tags {
		if tag == noTag {
			continue
		}
		n, err := transport.ParseName(tag)
		if err != nil {
			return nil, fault.Damaged("%s: image %s: tag %.200q: %w", m.a.where, m.ID, tag, err)
		}
		if n.Digest != "" {
			return nil, fault.Damaged("%s: image %s: tag %.200q has a digest", m.a.where, m.ID, tag)
		}
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names, nil
}

// localDomain is the host of names that an archive itself has no host for.
const localDomain = "localhost"

// noTag is what some tools write for an image without one.
const noTag = "<none>:<none>"

// Manifest implements [transport.Source]. It is made from what the archive has.
func (s *source) Manifest(ctx context.Context, _ transport.Image, d v1.Descriptor) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m := s.maker(d.Digest)
	if m == nil {
		if err := s.readAll(ctx); err != nil {
			return nil, err
		}
		if m = s.maker(d.Digest); m == nil {
			return nil, fault.Missing("%s: no manifest %s", s.where, d.Digest)
		}
	}
	return m.Manifest(ctx) // its layers were read before
}

// maker returns the image whose manifest has a digest, if that is known.
func (s *source) maker(d digest.Digest) *Image {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.made[d]
}

// readAll finds out the digests of everything in the archive.
func (s *source) readAll(ctx context.Context) error {
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.read {
		return nil
	}
	for _, m := range s.images {
		if _, err := s.root(ctx, m); err != nil {
			return err
		}
	}
	s.read = true
	return nil
}

// Blob implements [transport.Source]. The size is checked, the digest is not.
func (s *source) Blob(ctx context.Context, _ transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r, ok := s.Archive.Blob(d.Digest)
	if !ok {
		if err := s.readAll(ctx); err != nil {
			return nil, err
		}
		if r, ok = s.Archive.Blob(d.Digest); !ok {
			return nil, fault.Missing("%s: no blob %s", s.where, d.Digest)
		}
	}
	if r.Size() != d.Size {
		return nil, fault.Damaged("%s: blob %s has %d bytes, not %d", s.where, d.Digest, r.Size(), d.Size)
	}
	return io.NopCloser(blob.WithContext(ctx, r)), nil
}

// Local implements [transport.Local].
func (*source) Local() bool { return true }

// Close implements [transport.Source].
func (s *source) Close() error { return s.file.Close() }

var (
	_ transport.Source = (*source)(nil)
	_ transport.Local  = (*source)(nil)
)
