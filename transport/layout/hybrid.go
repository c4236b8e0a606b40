package layout

import (
	"bytes"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
	"bale/transport/savelist"
)

// hybrid gathers what a list for engines needs to know of manifests.
type hybrid struct {
	platform v1.Platform
	images   map[digest.Digest]*savelist.Image
	indexes  map[digest.Digest][]v1.Descriptor
}

func newHybrid(p v1.Platform) *hybrid {
	return &hybrid{p, make(map[digest.Digest]*savelist.Image), make(map[digest.Digest][]v1.Descriptor)}
}

// note takes in a manifest that is written.
func (h *hybrid) note(d v1.Descriptor, content []byte) error {
	if transport.IsIndex(d.MediaType) {
		m, err := transport.ParseManifest(d.MediaType, content)
		if err != nil {
			return err
		}
		h.indexes[d.Digest] = m.Manifests
		return nil
	}
	// What is no container image, an engine cannot have.
	if m, err := savelist.ParseImage(d.MediaType, content); err == nil {
		h.images[d.Digest] = m
	}
	return nil
}

// find goes down from a root to the container image that an engine can have;
// nil if there is none.
func (h *hybrid) find(d digest.Digest) *savelist.Image {
	for range transport.MaxDepth {
		if _, ok := h.indexes[d]; !ok {
			return h.images[d]
		}
		best, ok := transport.BestPlatform(h.choices(d, make(map[digest.Digest]bool)), h.platform)
		if !ok {
			return nil
		}
		d = best.Digest
	}
	return nil
}

// choices lists what an index has. Only what was written counts, since an index
// may be there in part. An index in it that is for no platform itself stands
// for what that has.
func (h *hybrid) choices(d digest.Digest, seen map[digest.Digest]bool) []v1.Descriptor {
	var list []v1.Descriptor
	for _, c := range h.indexes[d] {
		_, index := h.indexes[c.Digest]
		switch {
		case c.Platform != nil && (index || h.images[c.Digest] != nil):
			list = append(list, c)
		case c.Platform == nil && index && !seen[c.Digest]:
			seen[c.Digest] = true
			list = append(list, h.choices(c.Digest, seen)...)
		}
	}
	return list
}

// putList writes the list of those images that an engine can have. All that it
// names was written; an image of which something was not is left out, and is
// found by index.json alone.
func (s *tarSink) putList(images []transport.Image) error {
	items := []savelist.Item{}
	place := make(map[digest.Digest]int) // of a config in items
	for _, img := range images {
		m := s.hybrid.find(img.Root.Digest)
		if m == nil {
			continue
		}
		it, ok := m.Item(s.entryName)
		if !ok {
			continue
		}
		i, ok := place[img.Root.Digest]
		if !ok {
			i = len(items)
			place[img.Root.Digest] = i
			items = append(items, it)
		}
		if name := s.fullName(img); name.Tag != "" {
			items[i].RepoTags = append(items[i].RepoTags, name.Repository()+":"+name.Tag)
		}
	}
	content, err := savelist.Marshal(items)
	if err != nil {
		return err
	}
	return s.put(savelist.Name, int64(len(content)), bytes.NewReader(content))
}
