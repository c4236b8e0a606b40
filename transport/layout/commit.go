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
	entries, err := s.entries(images, func(img transport.Image) (bool, error) {
		return s.Has(ctx, img.Root, []transport.Image{img})
	})
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
	content, err := marshalIndex(merge(s.local, idx, entries))
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
