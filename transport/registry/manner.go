package registry

import (
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
)

// Sizes of the pieces in which a blob is sent where it cannot be sent at once.
const (
	// firstChunk is tried first when a registry, or a proxy in front of it,
	// finds a request too large; each time that is still too large, a quarter.
	firstChunk = 64 << 20
	// leastChunk is the smallest. Proxies are known that take 1 MiB.
	leastChunk = 512 << 10
)

// manner is how a registry wants blobs to be sent: by itself in one PATCH, of
// which the rest can be sent when it breaks.
type manner struct {
	chunk int64 // at most so many bytes in one PATCH; 0 is no limit
	whole bool  // it takes no PATCH but all in one PUT
}

// manners remembers what has been found out about registries.
type manners struct {
	chunk int64 // to begin with

	mu sync.Mutex
	m  map[name.Registry]manner
}

func (m *manners) of(r name.Registry) manner {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w, ok := m.m[r]; ok {
		return w
	}
	return manner{chunk: m.chunk}
}

func (m *manners) learn(r name.Registry, w manner) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.m == nil {
		m.m = map[name.Registry]manner{}
	}
	m.m[r] = w
}

// smaller returns the manner after one whose request was too large, or ok false
// if there is none. sent is how large it was.
func (m manner) smaller(sent int64) (_ manner, ok bool) {
	switch {
	case m.whole, sent <= leastChunk:
		return m, false
	case m.chunk == 0 && sent > firstChunk:
		m.chunk = firstChunk
	default:
		if m.chunk == 0 || m.chunk > sent {
			m.chunk = sent
		}
		m.chunk = max(m.chunk/4, leastChunk)
	}
	return m, true
}
