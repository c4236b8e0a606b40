package containerd

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

// contentLabel begins the labels that content has if it refers to other content.
const contentLabel = "containerd.io/gc.ref.content."

// maxLooks bounds how many manifests are read to see what they are attached to.
const maxLooks = 1 << 16

// attached is what hangs on manifests of a namespace, whoever brought it there.
type attached struct {
	subjects map[digest.Digest][]v1.Descriptor // by what they name as their subject
	tags     map[transport.Name]v1.Descriptor  // by names that have a digest in their tag
}

// Referrers implements [transport.Referring]: manifests that name d as their
// subject, in whatever repository that is, and cosign's tags beside the image.
func (s *Source) Referrers(ctx context.Context, in transport.Image, d v1.Descriptor) ([]transport.Image, error) {
	a, err := s.attachments(ctx)
	if err != nil {
		return nil, err
	}
	var out []transport.Image
	for _, r := range a.subjects[d.Digest] {
		out = append(out, transport.Image{Name: transport.Name{Domain: in.Name.Domain, Path: in.Name.Path, Digest: r.Digest}, Root: r})
	}
	for _, kind := range transport.AttachedTags {
		n := transport.Name{Domain: in.Name.Domain, Path: in.Name.Path, Tag: transport.AttachedTag(d.Digest, kind)}
		if root, ok := a.tags[n]; ok {
			out = append(out, transport.Image{Name: n, Root: root})
		}
	}
	return out, nil
}

// attachment returns a manifest that has a subject.
func (s *Source) attachment(ctx context.Context, d digest.Digest) (v1.Descriptor, bool, error) {
	a, err := s.attachments(ctx)
	if err != nil {
		return v1.Descriptor{}, false, err
	}
	for _, list := range a.subjects {
		for _, r := range list {
			if r.Digest == d {
				return r, true, nil
			}
		}
	}
	return v1.Descriptor{}, false, nil
}

// attachments looks, once, what all manifests of the namespace are attached to:
// containerd keeps no list of that.
func (s *Source) attachments(ctx context.Context) (*attached, error) {
	s.attaching.Lock()
	defer s.attaching.Unlock()
	if s.attached != nil {
		return s.attached, ctx.Err()
	}
	c, err := s.n.catalog(ctx)
	if err != nil {
		return nil, err
	}
	a := &attached{make(map[digest.Digest][]v1.Descriptor), make(map[transport.Name]v1.Descriptor)}
	for _, r := range c.all {
		if _, kind, ok := transport.AttachedTo(r.name.Tag); ok && kind != "" && r.full {
			a.tags[r.name] = r.root
		}
	}
	list, err := s.manifests(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range list {
		b, err := s.n.manifest(ctx, d)
		if err != nil {
			if err = passable(err); err != nil {
				return nil, err
			}
			continue // it was deleted meanwhile
		}
		d.MediaType = mediaType(b)
		if m, err := transport.ParseManifest(d.MediaType, b); err == nil && m.Subject != "" && m.Subject != d.Digest {
			a.subjects[m.Subject] = append(a.subjects[m.Subject], d)
		}
	}
	for _, list := range a.subjects {
		slices.SortFunc(list, func(a, b v1.Descriptor) int { return cmp.Compare(a.Digest, b.Digest) })
	}
	s.attached = a
	return a, nil
}

// manifests returns what may be a manifest: what is small and refers to other
// content.
func (s *Source) manifests(ctx context.Context) ([]v1.Descriptor, error) {
	var list []v1.Descriptor
	err := s.n.api.ContentStore().Walk(s.n.in(ctx), func(i content.Info) error {
		for k := range i.Labels {
			if !strings.HasPrefix(k, contentLabel) || i.Size > transport.MaxManifest {
				continue
			}
			if len(list) == maxLooks {
				return fault.Unsupported("the namespace has more than %d manifests", maxLooks)
			}
			list = append(list, v1.Descriptor{Digest: i.Digest, Size: i.Size})
			break
		}
		return nil
	})
	if err != nil {
		return nil, s.n.fail(ctx, "list content", err)
	}
	return list, nil
}

// mediaType returns the type of a manifest that is only known by its content, or
// "" if it is none.
func mediaType(manifest []byte) string {
	var m struct {
		MediaType string          `json:"mediaType"`
		Config    json.RawMessage `json:"config"`
		Manifests json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(manifest, &m); err != nil {
		return ""
	}
	// image-spec, manifest.md: the member may be left out.
	switch {
	case isManifest(m.MediaType):
		return m.MediaType
	case m.MediaType != "":
		return ""
	case m.Config != nil:
		return v1.MediaTypeImageManifest
	case m.Manifests != nil:
		return v1.MediaTypeImageIndex
	}
	return ""
}
