package conformance

import (
	"bytes"
	"context"
	"io"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
)

// Memory is a place in memory. The zero value is empty and ready for use, also
// by several goroutines at once.
type Memory struct {
	mu      sync.Mutex
	images  []transport.Image
	content map[digest.Digest][]byte
}

// Add puts a set's images and content there, replacing those of the same name.
func (m *Memory) Add(s *Set) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(s.Images, s.Content)
}

func (m *Memory) add(images []transport.Image, content map[digest.Digest][]byte) {
	if m.content == nil {
		m.content = make(map[digest.Digest][]byte)
	}
	for d, c := range content {
		m.content[d] = c
	}
next:
	for _, img := range images {
		for i := range m.images {
			if m.images[i].Name == img.Name {
				m.images[i] = img
				continue next
			}
		}
		m.images = append(m.images, img)
	}
}

// Remove deletes content there, whatever refers to it.
func (m *Memory) Remove(d digest.Digest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.content, d)
}

func (m *Memory) get(d digest.Digest) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.content[d]
	return c, ok
}

// Source returns a source over what is there at any time.
func (m *Memory) Source() transport.Source { return &memorySource{m} }

type memorySource struct{ m *Memory }

func (s *memorySource) Images(ctx context.Context, selector string) ([]transport.Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if selector == "" {
		return append([]transport.Image(nil), s.m.images...), nil
	}
	n, err := transport.ParseName(selector)
	if err != nil {
		return nil, err
	}
	for _, img := range s.m.images {
		if img.Name == n {
			return []transport.Image{img}, nil
		}
	}
	return nil, fault.Missing("memory: no image %s", n)
}

func (s *memorySource) Manifest(ctx context.Context, _ transport.Image, d v1.Descriptor) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, ok := s.m.get(d.Digest)
	if !ok {
		return nil, fault.Missing("memory: no manifest %s", d.Digest)
	}
	return bytes.Clone(c), nil
}

func (s *memorySource) Blob(ctx context.Context, _ transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, ok := s.m.get(d.Digest)
	if !ok {
		return nil, fault.Missing("memory: no blob %s", d.Digest)
	}
	return io.NopCloser(blob.WithContext(ctx, bytes.NewReader(c))), nil
}

func (s *memorySource) Close() error { return nil }
