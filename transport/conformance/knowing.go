package conformance

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
)

// Knowing returns a source over what is there at any time, which tells also what
// is attached to what, and what is not there ([transport.Referring],
// [transport.Partial]).
func (m *Memory) Knowing() transport.Source { return &knowingSource{memorySource{m}} }

// Taking returns a sink onto the place that takes indexes in part
// ([transport.Sparse]).
func (m *Memory) Taking() transport.Sink {
	return takingSink{&memorySink{m: m, staged: make(map[digest.Digest][]byte)}}
}

type takingSink struct{ *memorySink }

// TakesSparse implements [transport.Sparse].
func (takingSink) TakesSparse(ctx context.Context, _ transport.Image, _ []byte, _ []v1.Descriptor) (bool, error) {
	return true, ctx.Err()
}

type knowingSource struct{ memorySource }

// Local implements [transport.Local].
func (*knowingSource) Local() bool { return true }

// Referrers implements [transport.Referring].
func (s *knowingSource) Referrers(ctx context.Context, in transport.Image, d v1.Descriptor) ([]transport.Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	var out []transport.Image
	for _, img := range s.m.images {
		if img.Name.Repository() != in.Name.Repository() {
			continue
		}
		if to, kind, ok := transport.AttachedTo(img.Name.Tag); ok && kind != "" {
			if to == d.Digest {
				out = append(out, img)
			}
			continue
		}
		m, err := transport.ParseManifest(img.Root.MediaType, s.m.content[img.Root.Digest])
		if err == nil && m.Subject == d.Digest {
			img.Name.Tag, img.Name.Digest = "", img.Root.Digest
			out = append(out, img)
		}
	}
	compare := func(a, b transport.Image) int { return cmp.Compare(a.Name.String(), b.Name.String()) }
	slices.SortFunc(out, compare)
	return slices.CompactFunc(out, func(a, b transport.Image) bool { return a.Name == b.Name }), nil
}

// Lacks implements [transport.Partial].
func (s *knowingSource) Lacks(ctx context.Context, _ transport.Image, d v1.Descriptor) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	return s.lacks(d), nil
}

func (s *knowingSource) lacks(d v1.Descriptor) bool {
	content, ok := s.m.content[d.Digest]
	if !ok || !transport.IsIndex(d.MediaType) && !transport.IsManifest(d.MediaType) {
		return !ok
	}
	var n node
	if json.Unmarshal(content, &n) != nil {
		return false // whoever reads it hears of it
	}
	below := slices.Concat(n.Manifests, n.Layers)
	if n.Config != nil {
		below = append(below, *n.Config)
	}
	return slices.ContainsFunc(below, s.lacks)
}
