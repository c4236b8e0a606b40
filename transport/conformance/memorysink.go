package conformance

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
)

// Sink returns a sink onto the place. Nothing that it is given is there before
// Commit.
func (m *Memory) Sink() transport.Sink {
	return &memorySink{m: m, staged: make(map[digest.Digest][]byte)}
}

type memorySink struct {
	m *Memory

	mu     sync.Mutex
	staged map[digest.Digest][]byte
}

func (s *memorySink) Properties() transport.Properties { return transport.Properties{} }

func (s *memorySink) Holds(context.Context, transport.Image, []byte) (bool, error) {
	return false, nil
}

func (s *memorySink) Has(_ context.Context, d v1.Descriptor, _ []transport.Image) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.staged[d.Digest]; ok {
		return true, nil
	}
	_, ok := s.m.get(d.Digest)
	return ok, nil
}

func (s *memorySink) WriteBlob(ctx context.Context, d v1.Descriptor, _ []transport.Image, open transport.Opener) error {
	rc, err := open(ctx)
	if err != nil {
		return fmt.Errorf("memory: write %s: %w", d.Digest, err)
	}
	defer func() { _ = rc.Close() }()
	return s.stage(ctx, d, blob.WithContext(ctx, rc))
}

func (s *memorySink) WriteManifest(ctx context.Context, d v1.Descriptor, _ []transport.Image, content []byte) error {
	return s.stage(ctx, d, blob.WithContext(ctx, bytes.NewReader(content)))
}

func (s *memorySink) stage(ctx context.Context, d v1.Descriptor, r io.Reader) error {
	c, err := blob.ReadAll(r, d.Digest, d.Size, transport.MaxManifest)
	if err != nil {
		return fmt.Errorf("memory: write %s: %w", d.Digest, err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.staged[d.Digest] = c
	return nil
}

func (s *memorySink) Commit(ctx context.Context, images []transport.Image) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	for _, img := range images {
		_, staged := s.staged[img.Root.Digest]
		_, there := s.m.content[img.Root.Digest]
		if !staged && !there {
			return fault.Missing("memory: commit %s: %s was not written", img.Name, img.Root.Digest)
		}
	}
	s.m.add(images, s.staged)
	return nil
}

func (s *memorySink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.staged)
	return nil
}
