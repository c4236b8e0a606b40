package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
)

const (
	// subjectHeader is how a registry says that it keeps the list of referrers
	// itself (distribution spec, "Pushing Manifests with Subject").
	subjectHeader = "OCI-Subject"
	// maxList is the greatest size of a list of referrers that is written, in
	// bytes: what registries are asked to take.
	maxList = 4 << 20
	// maxConflicts is how often a list is read and extended anew because it has
	// changed meanwhile.
	maxConflicts = 5
)

// subject is a manifest in a repository that others refer to.
type subject struct {
	repo   name.Repository
	digest digest.Digest
}

// listed is a manifest that has a subject.
type listed struct {
	name    transport.Name // its repository
	subject digest.Digest
	entry   v1.Descriptor // as a list of referrers has it
}

// subjectOf returns how a manifest is listed as a referrer, nil if it has no
// subject (image-spec, "Image Manifest", and distribution spec, "Pushing
// Manifests with Subject"). What cannot be read has none.
func subjectOf(d v1.Descriptor, content []byte) *listed {
	var m struct {
		ArtifactType string            `json:"artifactType"`
		Annotations  map[string]string `json:"annotations"`
		Config       struct {
			MediaType string `json:"mediaType"`
		} `json:"config"`
		Subject *struct {
			Digest digest.Digest `json:"digest"`
		} `json:"subject"`
	}
	if json.Unmarshal(content, &m) != nil || m.Subject == nil || blob.Check(m.Subject.Digest, 0) != nil {
		return nil
	}
	return &listed{subject: m.Subject.Digest, entry: v1.Descriptor{
		MediaType: d.MediaType, Digest: d.Digest, Size: d.Size,
		ArtifactType: cmp.Or(m.ArtifactType, m.Config.MediaType), Annotations: m.Annotations,
	}}
}

// listTag returns the tag of a subject's list of referrers. A tag is shorter
// than the longest digests, which are cut off (distribution spec, "Referrers Tag
// Schema").
func listTag(d digest.Digest) string {
	algorithm, hex := d.Algorithm().String(), d.Encoded()
	return algorithm[:min(len(algorithm), 32)] + "-" + hex[:min(len(hex), 64)]
}

// unlist remembers a manifest whose registry did not say that it lists it.
func (s *sink) unlist(t target, l *listed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := subject{t.repo, l.subject}
	if slices.ContainsFunc(s.unlisted[key], func(o listed) bool { return o.entry.Digest == l.entry.Digest }) {
		return
	}
	s.unlisted[key] = append(s.unlisted[key], listed{t.name, l.subject, l.entry})
}

// forgetLists forgets what has been listed.
func (s *sink) forgetLists() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.unlisted)
}

// lists returns the tags that have to list referrers, because their registry
// does not do it.
func (s *sink) lists(ctx context.Context) ([]*naming, error) {
	s.mu.Lock()
	var groups [][]listed
	for _, g := range s.unlisted {
		groups = append(groups, slices.Clone(g))
	}
	s.mu.Unlock()
	slices.SortFunc(groups, func(a, b []listed) int {
		return cmp.Or(strings.Compare(a[0].name.Repository(), b[0].name.Repository()), strings.Compare(string(a[0].subject), string(b[0].subject)))
	})
	unaware := map[*session]bool{} // registries without the API
	var names []*naming
	for _, g := range groups {
		n := g[0].name
		n.Tag = listTag(g[0].subject)
		w, t, err := s.writing(ctx, n, "list the referrers of "+g[0].subject.String()+" in "+n.String())
		if err != nil {
			return nil, err
		}
		if !unaware[w] {
			known, is, err := w.referrers(ctx, g[0].subject)
			if err != nil {
				return nil, t.explain(ctx, err)
			}
			unaware[w] = is == knowsNot
			if g = slices.DeleteFunc(g, func(l listed) bool { return isListed(known, l) }); len(g) == 0 {
				continue // it lists them without having said so
			}
		}
		slices.SortFunc(g, func(a, b listed) int { return strings.Compare(string(a.entry.Digest), string(b.entry.Digest)) })
		names = append(names, &naming{image: transport.Image{Name: n}, s: w, t: t, list: g})
	}
	return names, nil
}

func isListed(list []v1.Descriptor, l listed) bool {
	return slices.ContainsFunc(list, func(d v1.Descriptor) bool { return d.Digest == l.entry.Digest })
}

// extend reads a list of referrers, adds to it, and writes it back. Where the
// registry knows conditions, nobody else's addition gets lost between the two.
func (n *naming) extend(ctx context.Context) (changed bool, err error) {
	for range maxConflicts {
		conditions, err := n.readList(ctx)
		if err != nil {
			return false, err
		}
		content, more, err := addToList(n.before.content, n.list)
		if err != nil || !more {
			return false, err
		}
		n.content = content
		n.image.Root = v1.Descriptor{MediaType: v1.MediaTypeImageIndex, Digest: digest.FromBytes(content), Size: int64(len(content))}
		_, err = n.s.put(ctx, n.image.Name.Tag, n.image.Root.MediaType, content, conditions)
		var answer *regtransport.Error
		if errors.As(err, &answer) && answer.StatusCode == http.StatusPreconditionFailed {
			n.image.Root = v1.Descriptor{}
			continue
		}
		return true, n.despite(ctx, err)
	}
	return false, errBusy(n.image.Name)
}

// readList reads the list as it is now into n.before. It returns the conditions
// under which it may be replaced.
func (n *naming) readList(ctx context.Context) (http.Header, error) {
	n.before = kept{}
	resp, err := n.s.do(ctx, http.MethodGet, "manifests/"+n.image.Name.Tag, acceptable(), http.StatusOK)
	if err != nil {
		if err := ignoreMissing(err); err != nil {
			return nil, err
		}
		return http.Header{"If-None-Match": {"*"}}, nil
	}
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body) // bounded by wire
	if err != nil {
		return nil, err
	}
	mediaType, err := mediaTypeOf(resp.Header.Get("Content-Type"), content)
	if err != nil {
		return nil, err
	}
	if mediaType != v1.MediaTypeImageIndex {
		return nil, fault.WithHint(fault.Unsupported("tag %s is an image of its own (%s)", n.image.Name, mediaType),
			"the registry needs the tag for a list of referrers: delete it there, or leave out what is attached with --no-referrers")
	}
	n.before = kept{v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}, content}
	conditions := http.Header{}
	if tag := resp.Header.Get("ETag"); strings.HasPrefix(tag, `"`) { // others cannot be compared
		conditions.Set("If-Match", tag)
	}
	return conditions, nil
}

// addToList returns an index with more referrers; all that is there stays. old is
// nil if there is no index yet.
func addToList(old []byte, list []listed) (content []byte, more bool, err error) {
	index := map[string]json.RawMessage{}
	var entries []json.RawMessage
	has := map[digest.Digest]bool{}
	if old == nil {
		index["schemaVersion"] = json.RawMessage("2")
		index["mediaType"] = json.RawMessage(fmt.Sprintf("%q", v1.MediaTypeImageIndex))
	} else {
		// It is an index that can be believed, before anything is made of it.
		known, err := transport.ParseManifest(v1.MediaTypeImageIndex, old)
		if err != nil {
			return nil, false, err
		}
		for _, d := range known.Manifests {
			has[d.Digest] = true
		}
		if err := errors.Join(json.Unmarshal(old, &index), unmarshalIf(index["manifests"], &entries)); err != nil {
			return nil, false, fault.Damaged("not a list of referrers: %w", err)
		}
		if index == nil {
			return nil, false, fault.Damaged("not a list of referrers but null")
		}
	}
	for _, l := range list {
		if has[l.entry.Digest] {
			continue
		}
		has[l.entry.Digest], more = true, true
		entry, err := json.Marshal(l.entry)
		if err != nil {
			return nil, false, err
		}
		entries = append(entries, entry)
	}
	if !more {
		return old, false, nil
	}
	if index["manifests"], err = json.Marshal(entries); err != nil {
		return nil, false, err
	}
	if content, err = json.Marshal(index); err != nil {
		return nil, false, err
	}
	// Keys that differ in case only are one to some readers and two to others.
	if m, err := transport.ParseManifest(v1.MediaTypeImageIndex, content); err != nil || len(m.Manifests) != len(entries) {
		return nil, false, fault.Damaged("not a list of referrers that can be extended")
	}
	if len(content) > maxList {
		return nil, false, fault.Unsupported("the list would have %d bytes, over the limit of %d", len(content), maxList)
	}
	return content, true, nil
}

func unmarshalIf(b json.RawMessage, to any) error {
	if b == nil {
		return nil
	}
	return json.Unmarshal(b, to)
}
