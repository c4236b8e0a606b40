package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

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
	about := subjectOf(d, content)
	err = each(ctx, targets, func(ctx context.Context, t target) error {
		w, task, err := s.writing(ctx, t.name, fmt.Sprintf("write manifest %s to %s", d.Digest, t.name))
		if err != nil {
			return err
		}
		said, err := w.put(ctx, d.Digest.String(), d.MediaType, content, nil)
		if err != nil {
			return explainChildren(task.explain(ctx, err), err, d, content)
		}
		if about != nil && said.Get(subjectHeader) == "" {
			s.unlist(t, about)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if slices.ContainsFunc(images, func(i transport.Image) bool { return i.Root.Digest == d.Digest }) {
		s.roots.put(d.Digest, content)
	}
	return nil
}

// writing returns the way to write to a repository, and what to call that.
func (s *sink) writing(ctx context.Context, n transport.Name, doing string) (*session, task, error) {
	t := task{doing: doing, object: "repository " + n.Repository(), host: n.Domain, push: true}
	w, err := s.c.session(ctx, n, regtransport.PushScope, &t)
	return w, t, err
}

// Commit sets the tags, one after the other. First come the lists of referrers
// that the registry does not keep by itself: they are tags too, so there is none
// before a run has come this far, and whoever sees the new tag of an image finds
// its signatures. When one fails, those before it get back what they stood for.
//
// An image without a tag has got its only name, its digest, by WriteManifest.
func (s *sink) Commit(ctx context.Context, images []transport.Image) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	names, err := s.lists(ctx)
	if err != nil {
		return err
	}
	tags, err := s.names(ctx, images)
	if err != nil {
		return err
	}
	names = append(names, tags...)
	var set []*naming
	for _, n := range names {
		changed, err := n.set(ctx)
		if err == nil && changed {
			set = append(set, n)
		}
		if err == nil {
			continue
		}
		left := undo(ctx, set, n, !refused(err))
		return transport.Partly(n.t.explain(ctx, err), left)
	}
	s.forgetLists()
	return nil
}

// names finds out what the images' tags stand for now.
func (s *sink) names(ctx context.Context, images []transport.Image) ([]*naming, error) {
	images = slices.DeleteFunc(slices.Clone(images), func(i transport.Image) bool { return i.Name.Tag == "" })
	names := make([]*naming, len(images))
	var mu sync.Mutex
	room := maxRemembered
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(fanOut)
	for i, img := range images {
		g.Go(func() error {
			w, t, err := s.writing(gctx, img.Name, "tag "+img.Name.String())
			if err != nil {
				return err
			}
			n := &naming{image: img, s: w, t: t}
			names[i] = n
			if n.before.Digest, err = w.standsFor(gctx, img.Name); err != nil {
				return t.explain(gctx, err)
			}
			if n.before.Digest == img.Root.Digest {
				return nil
			}
			// Whether the image is there is known before any name is changed.
			if n.content, err = s.root(gctx, img); err != nil || len(images) == 1 || n.before.Digest == "" || n.isFor(n.before.Digest) {
				return err
			}
			// Some registries forget a manifest with its last tag.
			old, content, err := w.resolve(gctx, transport.Name{Domain: img.Name.Domain, Path: img.Name.Path, Digest: n.before.Digest})
			if err != nil {
				return ctx.Err() // it may be of a kind that bale does not know, or damaged
			}
			mu.Lock()
			defer mu.Unlock()
			if room -= len(content); room >= 0 {
				n.before = kept{old, content}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	return names, nil
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

// explainChildren says of a refused manifest or index what a registry may not
// like about it.
func explainChildren(explained, err error, d v1.Descriptor, content []byte) error {
	var answer *regtransport.Error
	if m, perr := transport.ParseManifest(d.MediaType, content); perr == nil && errors.As(err, &answer) &&
		slices.ContainsFunc(m.Layers, func(l v1.Descriptor) bool { return transport.IsForeign(l.MediaType) && len(l.URLs) > 0 }) {
		// Not wrapped: its own hint, to wait, would win.
		return fault.WithHint(fault.Unsupported("%v; it refers to layers that their publisher keeps, which not every registry takes", explained),
			"--foreign-layers fetches them, so that the registry has all of the image")
	}
	if !transport.IsIndex(d.MediaType) || !isIncomplete(err) {
		return explained
	}
	var index struct {
		Manifests []struct {
			MediaType string `json:"mediaType"`
		} `json:"manifests"`
	}
	if json.Unmarshal(content, &index) != nil {
		return explained
	}
	for _, c := range index.Manifests {
		if !transport.IsIndex(c.MediaType) && !transport.IsManifest(c.MediaType) {
			return fault.WithHint(fault.Unsupported("the registry takes no index that lists something of type %s: %w", printable(c.MediaType), explained),
				"copy the image to a registry that keeps such artifacts, or into a layout (oci:DIR)")
		}
	}
	return explained
}
