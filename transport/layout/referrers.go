package layout

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

var _ transport.Referring = (*source)(nil)

// attached is what the manifests of index.json are attached to.
type attached struct {
	subjects map[digest.Digest][]v1.Descriptor // by what they are attached to, in order
	lists    map[digest.Digest][]v1.Descriptor // what lists of referrers say, by what these are for
	entries  []entry                           // of index.json, called after what they are attached to
	damaged  error                             // why it cannot be told of all of them
}

// Referrers implements [transport.Referring]. A layout is one whole, so a
// manifest may be attached to one of another repository; tags that name a
// digest count in the image's repository, or else in the first that has them.
func (s *source) Referrers(ctx context.Context, in transport.Image, d v1.Descriptor) ([]transport.Image, error) {
	a, err := s.attachments(ctx)
	if err != nil {
		return nil, err
	}
	var out []transport.Image
	known := make(map[digest.Digest]bool)
	add := func(list []v1.Descriptor) error {
		for _, r := range list {
			if known[r.Digest] {
				continue
			}
			known[r.Digest] = true
			there, err := s.r.has(ctx, r)
			if err != nil {
				return err
			}
			if !there {
				return fault.Missing("%s: %s, which is attached to %s, is not there", s.r.where, r.Digest, d.Digest)
			}
			n := transport.Name{Domain: in.Name.Domain, Path: in.Name.Path, Digest: r.Digest}
			out = append(out, transport.Image{Name: n, Root: entry{desc: r}.image().Root})
		}
		return nil
	}
	if a.damaged != nil {
		return nil, fmt.Errorf("look for what is attached to %s: %w", d.Digest, a.damaged)
	}
	if err := add(a.subjects[d.Digest]); err != nil {
		return nil, err
	}
	if err := add(a.lists[d.Digest]); err != nil {
		return nil, err
	}
	for _, kind := range transport.AttachedTags {
		if e := s.tagged(in.Name, transport.AttachedTag(d.Digest, kind)); e != nil {
			n := transport.Name{Domain: in.Name.Domain, Path: in.Name.Path, Tag: e.name.Tag}
			out = append(out, transport.Image{Name: n, Root: e.image().Root})
		}
	}
	return out, nil
}

// tagged returns the entry that has a tag, best of n's repository; or nil.
func (s *source) tagged(n transport.Name, tag string) *entry {
	var found *entry
	for i, e := range s.entries {
		switch {
		case e.name.Tag != tag:
		case e.name.Repository() == n.Repository():
			return &s.entries[i]
		case found == nil:
			found = &s.entries[i]
		}
	}
	return found
}

// attachments reads, once, what all images of the layout are attached to.
func (s *source) attachments(ctx context.Context) (*attached, error) {
	s.attaching.Lock()
	defer s.attaching.Unlock()
	if s.attached != nil {
		return s.attached, ctx.Err()
	}
	a := &attached{
		subjects: make(map[digest.Digest][]v1.Descriptor), lists: make(map[digest.Digest][]v1.Descriptor),
		entries: slices.Clone(s.entries),
	}
	of, owner := make(map[digest.Digest]digest.Digest), make(map[digest.Digest]*entry)
	seen := make(map[digest.Digest]bool)
	for i := range s.entries {
		e := &s.entries[i]
		if !e.nameless() && owner[e.desc.Digest] == nil {
			owner[e.desc.Digest] = e
		}
		to, kind, tagged := transport.AttachedTo(e.name.Tag)
		if tagged && kind != "" {
			continue // found by its tag
		}
		list := tagged && transport.IsIndex(e.desc.MediaType)
		if seen[e.desc.Digest] && !list {
			continue
		}
		seen[e.desc.Digest] = true
		m, err := s.parsed(ctx, e.desc)
		switch {
		case errors.Is(err, fault.ErrDamaged), errors.Is(err, fault.ErrUnsupported):
			if a.damaged == nil {
				a.damaged = err
			}
		case err != nil:
			return nil, err
		case m == nil:
		case list:
			for _, c := range m.Manifests {
				if isImage(c.MediaType) {
					a.lists[to] = append(a.lists[to], c)
				}
			}
		case m.Subject != "" && m.Subject != e.desc.Digest:
			a.subjects[m.Subject] = append(a.subjects[m.Subject], e.desc)
			of[e.desc.Digest] = m.Subject
		}
		if m == nil || list || e.nameless() {
			continue
		}
		for _, c := range m.Manifests {
			if owner[c.Digest] == nil {
				owner[c.Digest] = e
			}
		}
	}
	for i, e := range a.entries {
		if o := ownerOf(e.desc.Digest, of, owner); e.nameless() && o != nil {
			a.entries[i].name = transport.Name{Domain: o.name.Domain, Path: o.name.Path, Digest: e.desc.Digest}
		}
	}
	s.attached = a
	return a, nil
}

// ownerOf goes up from a manifest to the entry with a name that it is attached
// to; nil if there is none.
func ownerOf(d digest.Digest, of map[digest.Digest]digest.Digest, owner map[digest.Digest]*entry) *entry {
	for range transport.MaxDepth {
		if d = of[d]; owner[d] != nil {
			return owner[d]
		}
	}
	return nil
}

// parsed reads a manifest; nil if it is not there, of which whoever wants it
// hears.
func (s *source) parsed(ctx context.Context, d v1.Descriptor) (*transport.Manifest, error) {
	content, err := s.r.manifest(ctx, d)
	if errors.Is(err, fault.ErrMissing) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m, err := transport.ParseManifest(d.MediaType, content)
	if err != nil {
		return nil, fmt.Errorf("%s: manifest %s: %w", s.r.where, d.Digest, err)
	}
	return m, nil
}
