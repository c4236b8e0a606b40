package layout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/commit"
	"bale/bundle/fault"
	"bale/transport"
)

// Commit implements [transport.Sink]: it replaces index.json in one step.
func (s *sink) Commit(ctx context.Context, images []transport.Image) error {
	if err := s.admit(images...); err != nil {
		return err
	}
	if s.hasRef && len(images) != 1 {
		return fault.Usage("oci:%s:%s names one image, but there are %d", s.dir, s.ref, len(images))
	}
	entries, err := s.entries(ctx, images)
	if err != nil {
		return err
	}
	if err := s.prepare(ctx, digest.Canonical); err != nil {
		return err
	}
	// Read as late as can be: another run may have added something.
	idx, err := s.f.readIndex()
	if errors.Is(err, fault.ErrMissing) {
		idx, err = newIndex(), nil
	}
	if err != nil {
		return err
	}
	content, err := marshalIndex(merge(s.dir, idx, entries))
	if err != nil {
		return fmt.Errorf("commit oci:%s: %w", s.dir, err)
	}
	if err := commit.WriteFile(ctx, filepath.Join(s.dir, v1.ImageIndexFile), content, commit.Overwrite()); err != nil {
		return fmt.Errorf("commit oci:%s: %w", s.dir, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.committed = true
	return nil
}

// entries returns what index.json is to say of images, whose roots must be
// there.
func (s *sink) entries(ctx context.Context, images []transport.Image) ([]v1.Descriptor, error) {
	local := localRepository(s.dir)
	known := make(map[nameKey]digest.Digest)
	var entries []v1.Descriptor
	for _, img := range images {
		if img.Name == (transport.Name{}) && !s.hasRef {
			return nil, fault.Usage("oci:%s: image %s has no name", s.dir, img.Root.Digest)
		}
		if !isImage(img.Root.MediaType) {
			return nil, fault.Unsupported("oci:%s: %s has media type %q, which is not an image's", s.dir, img.Name, img.Root.MediaType)
		}
		ok, err := s.Has(ctx, img.Root, []transport.Image{img})
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fault.Missing("oci:%s: %s: its manifest %s was not written", s.dir, img.Name, img.Root.Digest)
		}
		d := newEntry(img, s.ref)
		n := nameOf(local, d)
		if other, ok := known[keyOf(n)]; ok && other != d.Digest {
			return nil, fault.Usage("oci:%s: two images are to be called %s: %s and %s", s.dir, n, other, d.Digest)
		}
		known[keyOf(n)] = d.Digest
		entries = append(entries, d)
	}
	return entries, nil
}

// marshalIndex writes an index out and makes sure that it can be read again.
func marshalIndex(idx v1.Index) ([]byte, error) {
	content, err := json.MarshalIndent(idx, "", "  ")
	if err != nil {
		return nil, err
	}
	content = append(content, '\n')
	if len(content) > maxIndex {
		return nil, fault.Unsupported("index.json would have %d bytes, over the limit of %d", len(content), maxIndex)
	}
	_, err = parseIndex(content)
	return content, err
}
