package registry

import (
	"sync"

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
