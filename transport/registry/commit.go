package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
)

// WriteManifest puts a manifest by its digest into every image's repository.
// No tag refers to it yet.
func (s *sink) WriteManifest(ctx context.Context, d v1.Descriptor, images []transport.Image, content []byte) error {
	if err := check(d, content); err != nil {
		return err
	}
	targets, err := s.targets(images)
	if err != nil {
		return err
	}
	if hasSubject(content) {
		s.referring.Lock()
		defer s.referring.Unlock()
	}
	err = each(ctx, targets, func(ctx context.Context, t target) error {
		return s.put(ctx, t.name, t.repo.Digest(d.Digest.String()), d, content)
	})
	if err != nil {
		return err
	}
	if slices.ContainsFunc(images, func(i transport.Image) bool { return i.Root.Digest == d.Digest }) {
		s.roots.put(d.Digest, content)
	}
	return nil
}

// Commit sets the tags, one after the other. An image without a tag has got
// its only name, its digest, by WriteManifest.
func (s *sink) Commit(ctx context.Context, images []transport.Image) error {
	var named []transport.Image
	for _, img := range images {
		if img.Name.Tag == "" {
			continue
		}
		if err := s.tag(ctx, img); err != nil {
			return transport.Partly(err, named)
		}
		named = append(named, img)
	}
	return ctx.Err()
}

func (s *sink) tag(ctx context.Context, img transport.Image) error {
	content, err := s.root(ctx, img)
	if err != nil {
		return err
	}
	repo, err := s.c.repository(img.Name)
	if err != nil {
		return err
	}
	return s.put(ctx, img.Name, repo.Tag(img.Name.Tag), img.Root, content)
}

// root returns the manifest to name: as it was written, else as the registry
// has it.
func (s *sink) root(ctx context.Context, img transport.Image) ([]byte, error) {
	if b := s.roots.get(img.Root.Digest); b != nil {
		return b, nil
	}
	t := task{
		doing:  "tag " + img.Name.String(),
		object: fmt.Sprintf("manifest %s in %s", img.Root.Digest, img.Name.Repository()), part: true, host: img.Name.Domain,
	}
	w, err := s.c.session(ctx, img.Name, regtransport.PushScope, &t)
	if err != nil {
		return nil, err
	}
	b, err := w.manifest(ctx, img.Root)
	if err != nil {
		return nil, t.explain(ctx, err)
	}
	return b, nil
}

// put stores a manifest under a tag or digest.
func (s *sink) put(ctx context.Context, n transport.Name, ref name.Reference, d v1.Descriptor, content []byte) error {
	t := task{doing: "write manifest " + d.Digest.String() + " to " + n.String(), host: n.Domain, push: true}
	t.object = "repository " + n.Repository()
	if n.Tag != "" {
		t.doing = "tag " + n.String()
	}
	if _, err := s.c.session(ctx, n, regtransport.PushScope, &t); err != nil {
		return err
	}
	p, err := s.pusher()
	if err != nil {
		return t.explain(ctx, err)
	}
	return t.explain(ctx, p.Put(ctx, ref, taggable{content, types.MediaType(d.MediaType)}))
}

// taggable is a manifest as the library wants it: these bytes, this type.
type taggable struct {
	content   []byte
	mediaType types.MediaType
}

func (t taggable) RawManifest() ([]byte, error)        { return t.content, nil }
func (t taggable) MediaType() (types.MediaType, error) { return t.mediaType, nil }

// check compares a manifest with its descriptor before it is sent anywhere.
func check(d v1.Descriptor, content []byte) error {
	if err := blob.Check(d.Digest, d.Size); err != nil {
		return err
	}
	if int64(len(content)) != d.Size || d.Digest.Algorithm().FromBytes(content) != d.Digest {
		return fault.Damaged("manifest %s is not what its descriptor says", d.Digest)
	}
	return nil
}

// hasSubject reports whether a manifest refers to another as its subject
// (image-spec, manifest.md). What is no JSON has none.
func hasSubject(content []byte) bool {
	var m struct {
		Subject *struct{} `json:"subject"`
	}
	return json.Unmarshal(content, &m) == nil && m.Subject != nil
}
