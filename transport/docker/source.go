package docker

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

// NewSource connects to an engine to read from it.
func NewSource(ctx context.Context, opts Options) (transport.Source, error) {
	e, err := connect(ctx, opts)
	if err != nil {
		return nil, err
	}
	if e.store == containerdStore {
		return &storeSource{e: e}, nil
	}
	return &classicSource{e: e, made: map[digest.Digest]v1.Descriptor{}, roots: map[digest.Digest][]byte{}}, nil
}

// classicSource reads images from an engine that unpacks layers. What
// [classicSource.Images] selects is exported by the engine right then and kept
// until Close in a temporary file that has no name, so that it goes away even when
// bale is killed; TMPDIR needs room for the unpacked layers of all images.
// Everything else is read from there.
type classicSource struct {
	e *engine

	exporting sync.Mutex // held while the engine exports

	mu      sync.Mutex // guards what follows
	exports []*export
	made    map[digest.Digest]v1.Descriptor // manifests by image ID
	roots   map[digest.Digest][]byte        // and their content by digest
}

// Images implements [transport.Source]. The selector is a name by Docker's
// rules, or an image ID, whole or short, with or without "sha256:"; an image
// chosen by ID is called by the first of its names. "" selects every image
// that has a name, once for each name, sorted.
func (s *classicSource) Images(ctx context.Context, selector string) ([]transport.Image, error) {
	refs, err := s.e.find(ctx, selector)
	if err != nil {
		return nil, err
	}
	if err := s.export(ctx, refs); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]transport.Image, 0, len(refs))
	for _, r := range refs {
		out = append(out, transport.Image{Name: r.name, Root: s.made[r.id]})
	}
	return out, nil
}

// Prepare implements [transport.Preparer]: one export for all selectors, since
// an engine exports the layers that images share once for each time it is asked.
func (s *classicSource) Prepare(ctx context.Context, selectors []string) error {
	refs, err := s.e.findAll(ctx, selectors)
	if err != nil {
		return err
	}
	return s.export(ctx, refs)
}

// export fetches those of the images that no earlier call fetched.
func (s *classicSource) export(ctx context.Context, refs []ref) error {
	s.exporting.Lock()
	defer s.exporting.Unlock()
	ids := s.lacking(refs)
	if len(ids) == 0 {
		return nil
	}
	x, err := s.e.export(ctx, ids)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, content := range x.manifests {
		d := digest.FromBytes(content)
		s.roots[d] = content
		s.made[id] = v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: d, Size: int64(len(content))}
	}
	s.exports = append(s.exports, x)
	return nil
}

// lacking returns the IDs that were not exported, sorted, each once.
func (s *classicSource) lacking(refs []ref) []digest.Digest {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []digest.Digest
	for _, r := range refs {
		if _, ok := s.made[r.id]; !ok {
			ids = append(ids, r.id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Manifest implements [transport.Source].
func (s *classicSource) Manifest(ctx context.Context, _ transport.Image, d v1.Descriptor) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.roots[d.Digest]
	if !ok {
		return nil, fault.Missing("%s: no manifest %s in what it exported", s.e, d.Digest)
	}
	return b, nil
}

// Blob implements [transport.Source].
func (s *classicSource) Blob(ctx context.Context, _ transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.exports {
		if r, ok := x.archive.Blob(d.Digest); ok {
			return io.NopCloser(r), nil
		}
	}
	return nil, fault.Missing("%s: no blob %s in what it exported", s.e, d.Digest)
}

// Local implements [transport.Local]: what was exported lies in a file.
func (s *classicSource) Local() bool { return true }

// Close implements [transport.Source].
func (s *classicSource) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := []error{s.e.api.Close()}
	for _, x := range s.exports {
		errs = append(errs, x.spool.Close())
	}
	s.exports = nil
	return errors.Join(errs...)
}

var (
	_ transport.Source   = (*classicSource)(nil)
	_ transport.Local    = (*classicSource)(nil)
	_ transport.Preparer = (*classicSource)(nil)
)
