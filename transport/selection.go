package transport

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
)

// attestsTo is the annotation by which an index says which of its manifests an
// attestation in it belongs to (BuildKit, docs/attestations/attestation-storage.md).
const attestsTo = "vnd.docker.reference.digest"

// selection is what is taken of an image's graph.
type selection struct {
	root      *node
	platforms []v1.Platform          // that were chosen, if not all are taken
	chosen    map[digest.Digest]bool // their manifests
	kept      map[*node]bool         // nodes of root's graph that are taken; nil: all
	omitted   []Omission             // children of kept indexes that are not

	settled bool
	fresh   *node // see reindexed
	bytes   int64 // of the indexes that were made for it
}

// choose finds out which manifests of an image are taken: those for the
// platforms wanted and what attests to them, which need not have been read yet,
// or all that the source has.
func choose(root *node, wants []v1.Platform, complete bool) (*selection, error) {
	s := &selection{root: root}
	if !IsIndex(root.desc.MediaType) {
		return s, nil
	}
	keep := func(n *node) bool { return !n.lacking }
	reason := NotAtSource
	if len(wants) > 0 {
		s.chosen = make(map[digest.Digest]bool)
		for _, w := range wants {
			n, err := platformNode(root, w)
			if err != nil {
				return nil, err
			}
			if !s.chosen[n.desc.Digest] {
				s.chosen[n.desc.Digest] = true
				s.platforms = append(s.platforms, w)
			}
		}
		attesting := s.attesting()
		keep = func(n *node) bool { return s.chosen[n.desc.Digest] || attesting[n] }
		reason = OtherPlatform
	}
	s.kept = make(map[*node]bool)
	below := make(map[*node]bool) // whether something is kept at all
	if !s.walk(root, keep, reason, below) {
		return nil, fault.Missing("of %s, nothing that its index lists is at the source", root.desc.Digest)
	}
	if len(s.omitted) == 0 {
		s.kept, s.platforms = nil, nil
		return s, nil
	}
	if complete && len(wants) == 0 {
		return nil, lacks(s.omitted)
	}
	return s, nil
}

// lacks is the error that not all platforms are at a source.
func lacks(list []Omission) error {
	var names []string
	for _, o := range list {
		name := o.Descriptor.Digest.String()
		if p := o.Descriptor.Platform; p != nil && p.OS != unknownPlatformMarker {
			name = FormatPlatform(*p)
		}
		if len(names) == maxShown {
			name = "and others"
		}
		names = append(names, name)
		if len(names) > maxShown {
			break
		}
	}
	return fault.WithHint(fault.Missing("not at the source: %s", strings.Join(names, ", ")),
		"pull them there, or name the platforms that are wanted with --platform")
}

// attesting returns what an index anywhere in the graph says is an attestation to
// one of the manifests that were chosen. Another may list the same and not say so.
func (s *selection) attesting() map[*node]bool {
	list, seen := make(map[*node]bool), make(map[*node]bool)
	var walk func(n *node)
	walk = func(n *node) {
		if seen[n] {
			return
		}
		seen[n] = true
		for i, c := range n.children {
			if s.chosen[digest.Digest(n.manifest.Manifests[i].Annotations[attestsTo])] {
				list[c] = true
			}
			walk(c)
		}
	}
	walk(s.root)
	return list
}

// settle looks at what was chosen when it has been read: the source may lack
// it.
func (s *selection) settle() error {
	if s.settled {
		return nil // for another tag of the image
	}
	s.settled = true
	seen := make(map[*node]bool)
	var gone []Omission
	var walk func(n *node)
	walk = func(n *node) {
		if seen[n] {
			return
		}
		seen[n] = true
		for i, c := range n.children {
			switch {
			case !s.takes(c):
			case !c.lacking:
				walk(c)
			default:
				d := bare(c.desc)
				d.Platform = n.manifest.Manifests[i].Platform
				if s.chosen[d.Digest] {
					gone = append(gone, Omission{d, NotAtSource})
					continue
				}
				s.kept[c] = false
				s.omitted = append(s.omitted, Omission{d, NotAtSource})
			}
		}
	}
	if len(s.chosen) == 0 {
		return nil
	}
	if s.kept == nil { // all of it is wanted, and may turn out not to be there
		s.kept = make(map[*node]bool)
		s.keepAll(s.root)
	}
	walk(s.root)
	if len(gone) > 0 {
		return lacks(gone)
	}
	return nil
}

func (s *selection) keepAll(n *node) {
	if s.kept[n] {
		return
	}
	s.kept[n] = true
	for _, c := range n.children {
		s.keepAll(c)
	}
}

// walk decides about a node and all below it, and reports whether any of it is
// kept.
func (s *selection) walk(n *node, keep func(*node) bool, reason Reason, below map[*node]bool) bool {
	if kept, ok := below[n]; ok {
		return kept
	}
	if !IsIndex(n.desc.MediaType) {
		below[n] = keep(n)
		s.kept[n] = below[n]
		return below[n]
	}
	below[n] = false
	if n.lacking {
		return false
	}
	var omitted []Omission
	listed := make(map[*node]bool)
	for i, c := range n.children {
		if s.walk(c, keep, reason, below) {
			below[n] = true
			continue
		}
		d := bare(c.desc)
		d.Platform = n.manifest.Manifests[i].Platform
		if !listed[c] {
			listed[c] = true
			omitted = append(omitted, Omission{d, reason})
		}
	}
	// An empty index is whole.
	if len(n.children) == 0 {
		below[n] = true
	}
	if s.kept[n] = below[n]; below[n] {
		s.omitted = append(s.omitted, omitted...)
	}
	return below[n]
}

// each calls f for every node that is kept, children before their index.
func (s *selection) each(f func(*node)) {
	seen := make(map[*node]bool)
	var walk func(n *node)
	walk = func(n *node) {
		if seen[n] {
			return
		}
		seen[n] = true
		for _, c := range n.children {
			if s.takes(c) {
				walk(c)
			}
		}
		f(n)
	}
	walk(s.root)
}

// parts returns the indexes of which only some children are kept.
func (s *selection) parts() []*node {
	var list []*node
	s.each(func(n *node) {
		if slices.ContainsFunc(n.children, func(c *node) bool { return !s.takes(c) }) {
			list = append(list, n)
		}
	})
	return list
}

func (s *selection) takes(n *node) bool { return s.kept == nil || s.kept[n] }

// sparse returns the graph of what is kept, in which indexes are as they were.
func (s *selection) sparse() *node {
	root, _ := s.rebuild(func(n *node, _ []*node) (*node, error) { return n, nil }) // which cannot fail
	return root
}

// reindexed returns the graph of what is kept, in which indexes list no more
// than that.
func (s *selection) reindexed() (root *node, err error) {
	if s.fresh != nil {
		return s.fresh, nil
	}
	s.fresh, err = s.rebuild(func(n *node, children []*node) (*node, error) {
		content, err := reindex(n, children, s.positions(n))
		if err != nil {
			return nil, err
		}
		m, err := ParseManifest(n.desc.MediaType, content)
		if err != nil {
			return nil, err
		}
		d := v1.Descriptor{MediaType: n.desc.MediaType, Digest: n.desc.Digest.Algorithm().FromBytes(content), Size: int64(len(content))}
		if s.bytes += d.Size; d.Size > MaxManifest || s.bytes > maxManifests {
			return nil, fault.Unsupported("the new index in place of %s would be larger than %d bytes", n.desc.Digest, MaxManifest)
		}
		return &node{desc: d, content: content, manifest: m}, nil
	})
	return s.fresh, err
}

// positions are the places in an index of what is kept of it.
func (s *selection) positions(n *node) []int {
	var list []int
	for i, c := range n.children {
		if s.takes(c) {
			list = append(list, i)
		}
	}
	return list
}

// rebuild makes a graph of the nodes that are kept; changed makes the node of
// an index of which not all is, or of which something has changed.
func (s *selection) rebuild(changed func(n *node, children []*node) (*node, error)) (*node, error) {
	made := make(map[*node]*node)
	var walk func(n *node) (*node, error)
	walk = func(n *node) (*node, error) {
		if m, ok := made[n]; ok {
			return m, nil
		}
		same := true
		var children []*node
		for _, c := range n.children {
			if !s.takes(c) {
				same = false
				continue
			}
			m, err := walk(c)
			if err != nil {
				return nil, err
			}
			same = same && m == c
			children = append(children, m)
		}
		out := n
		if !same {
			m, err := changed(n, children)
			if err != nil {
				return nil, err
			}
			c := *m
			c.children, c.src, c.in = children, n.src, n.in
			out = &c
		}
		made[n] = out
		return out, nil
	}
	return walk(s.root)
}

// reindex returns an index that lists only what is at some positions of
// another, which may have got other digests. All else in it stays: annotations,
// subject, and whatever bale does not know.
func reindex(n *node, children []*node, positions []int) ([]byte, error) {
	var index map[string]json.RawMessage
	if err := json.Unmarshal(n.content, &index); err != nil {
		return nil, fault.Damaged("index is not JSON: %w", err)
	}
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(index["manifests"], &list); err != nil {
		return nil, fault.Damaged("index is not JSON of its kind: %w", err)
	}
	// Names that differ in case are the same to whoever reads an index, not here.
	if len(list) != len(n.children) {
		return nil, fault.Damaged("index %s does not write its list of manifests as the specification does", n.desc.Digest)
	}
	kept := []map[string]json.RawMessage{} // never null
	for i, at := range positions {
		entry, d := list[at], children[i].desc
		for field, value := range map[string]any{"digest": d.Digest, "size": d.Size} {
			b, err := json.Marshal(value)
			if err != nil {
				return nil, err
			}
			entry[field] = b
		}
		kept = append(kept, entry)
	}
	b, err := json.Marshal(kept)
	if err != nil {
		return nil, err
	}
	index["manifests"] = b
	return json.Marshal(index) // keys in order: always the same bytes
}
