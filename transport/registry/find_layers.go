package registry

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"bale/bundle/blob"
	"bale/transport"
)

const (
	// maxTags bounds how many tags of a repository are looked at for layers.
	maxTags = 1000
	// looking is how many tags are looked at side by side.
	looking = 6
)

var _ transport.Holding = (*source)(nil)

// FindLayers implements [transport.Holding]. It asks the repositories of near
// for the blobs, and then goes through the images there, those of near first,
// to find the same layers compressed otherwise.
func (s *source) FindLayers(ctx context.Context, near []transport.Name, want []transport.Layer) ([]transport.FoundLayer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f := transport.NewFinder(s, want, s.stat)
	repos := repositories(near)
	for _, r := range repos {
		if err := f.Ask(ctx, transport.Image{Name: r.name}); err != nil {
			return nil, err
		}
	}
	for _, r := range repos {
		if f.Done() {
			break
		}
		if err := s.look(ctx, f, r); err != nil {
			return nil, err
		}
	}
	return f.Found(), nil
}

// repository is one to look in, and which images of it to look at first.
type repository struct {
	name   transport.Name // without tag and digest
	images []transport.Name
}

// repositories returns the distinct repositories of names, in their order.
func repositories(names []transport.Name) []*repository {
	var list []*repository
	known := map[transport.Name]*repository{}
	for _, n := range names {
		name := transport.Name{Domain: n.Domain, Path: n.Path}
		r := known[name]
		if r == nil {
			r = &repository{name: name}
			known[name] = r
			list = append(list, r)
		}
		if n != name && !slices.Contains(r.images, n) {
			r.images = append(r.images, n)
		}
	}
	return list
}

// stat implements [transport.Stat].
func (s *source) stat(ctx context.Context, in transport.Image, d v1.Descriptor) (int64, bool, error) {
	t := task{doing: fmt.Sprintf("look for blob %s in %s", d.Digest, in.Name.Repository()), host: in.Name.Domain}
	if err := blob.Check(d.Digest, 0); err != nil {
		return 0, false, t.explain(ctx, err)
	}
	w, err := s.c.session(ctx, in.Name, regtransport.PullScope, &t)
	if err != nil {
		return 0, false, err
	}
	resp, err := w.do(ctx, http.MethodHead, "blobs/"+d.Digest.String(), nil, http.StatusOK, http.StatusNotFound)
	if err != nil {
		return 0, false, t.explain(ctx, err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return 0, false, nil
	}
	said, err := saidDigest(resp.Header.Get(digestHeader))
	if err != nil || said != "" && said.Algorithm() == d.Digest.Algorithm() && said != d.Digest {
		return 0, false, nil // it is something else
	}
	size, ok := sizeOf(resp.ContentLength, d.Size)
	return size, ok, nil
}

// sizeOf returns a blob's size by what the registry said and what is known;
// either may be nothing. Some registries leave the length out, or say 0.
func sizeOf(said, known int64) (size int64, ok bool) {
	switch {
	case said <= 0:
		return known, known >= 0
	case said > transport.MaxBlob:
		return 0, false
	}
	return said, known < 0 || known == said
}

// look goes through the images of a repository. Later tags go first: they are
// newer more often than not.
func (s *source) look(ctx context.Context, f *transport.Finder, r *repository) error {
	if err := s.lookAt(ctx, f, r.images[:min(len(r.images), maxTags)]); err != nil || f.Done() {
		return err
	}
	tags, err := s.tags(ctx, r.name)
	if err != nil {
		return err
	}
	slices.Reverse(tags)
	var rest []transport.Name
	for _, tag := range tags {
		n := r.name
		n.Tag = tag
		if tagForm.MatchString(tag) && !slices.Contains(r.images, n) && len(rest) < maxTags {
			rest = append(rest, n)
		}
	}
	return s.lookAt(ctx, f, rest)
}

// lookAt looks at images side by side.
func (s *source) lookAt(ctx context.Context, f *transport.Finder, images []transport.Name) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(looking)
	for _, n := range images {
		if gctx.Err() != nil || f.Done() {
			break
		}
		g.Go(func() error {
			if f.Done() {
				return nil
			}
			found, err := s.Images(gctx, n.String())
			if err != nil {
				return transport.Passable(err) // the tag may have gone, or stand for something else
			}
			return f.Look(gctx, found[0])
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}
