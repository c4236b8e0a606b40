package registry

import (
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/opencontainers/go-digest"
)

// maxRemembered is how many bytes of manifests a place keeps to save requests.
const maxRemembered = 32 << 20

// memory remembers manifests until it is full. The zero value is empty.
type memory struct {
	mu   sync.Mutex
	m    map[digest.Digest][]byte
	size int
}

func (m *memory) put(d digest.Digest, content []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.m[d]; ok || m.size+len(content) > maxRemembered {
		return
	}
	if m.m == nil {
		m.m = map[digest.Digest][]byte{}
	}
	m.m[d] = content
	m.size += len(content)
}

// get returns the manifest d, or nil.
func (m *memory) get(d digest.Digest) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.m[d]
}

// perRepository remembers something of each repository. The zero value is empty.
type perRepository[T any] struct {
	mu sync.Mutex
	m  map[name.Repository]T
}

// of returns what is remembered of a repository, which is made if there is
// nothing.
func (p *perRepository[T]) of(r name.Repository, make func() T) T {
	p.mu.Lock()
	defer p.mu.Unlock()
	if v, ok := p.m[r]; ok {
		return v
	}
	v := make()
	p.put(r, v)
	return v
}

func (p *perRepository[T]) get(r name.Repository) T {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.m[r]
}

func (p *perRepository[T]) set(r name.Repository, v T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.put(r, v)
}

func (p *perRepository[T]) put(r name.Repository, v T) {
	if p.m == nil {
		p.m = map[name.Repository]T{}
	}
	p.m[r] = v
}
