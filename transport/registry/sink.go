package registry

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
)

// fanOut is how many repositories are asked or written to at once for one
// blob or manifest.
const fanOut = 4

// sink implements transport.Sink.
type sink struct {
	c       *Client
	roots   memory // manifests to name by Commit
	manners manners

	mu       sync.Mutex
	held     map[held]bool          // what the registry has been asked or given
	unlisted map[subject][]listed   // referrers that Commit has to list
	sparse   map[name.Registry]bool // whether a registry takes indexes in part
}

// held is a blob in a repository.
type held struct {
	repo   name.Repository
	digest digest.Digest
}

var (
	_ transport.Sink   = (*sink)(nil)
	_ transport.Sparse = (*sink)(nil)
)

func newSink(c *Client) *sink {
	return &sink{
		c: c, manners: manners{chunk: max(c.opts.ChunkSize, 0)}, held: map[held]bool{},
		unlisted: map[subject][]listed{}, sparse: map[name.Registry]bool{},
	}
}

// Properties says that calls may come in any order.
func (s *sink) Properties() transport.Properties { return transport.Properties{} }

// Holds answers false: a registry that has a manifest need not have all that
// it refers to (blobs can be collected or damaged below it), and asking for
// each of them is what Has does.
func (s *sink) Holds(ctx context.Context, _ transport.Image, _ []byte) (bool, error) {
	return false, ctx.Err()
}

// Has asks every image's repository for the blob.
func (s *sink) Has(ctx context.Context, d v1.Descriptor, images []transport.Image) (bool, error) {
	targets, err := s.targets(images)
	if err != nil || len(targets) == 0 {
		return false, err
	}
	for _, t := range targets {
		if ok, err := s.has(ctx, d, t); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// Close ends idle connections. What was uploaded without being named is left
// to the registry's own garbage collection, since no client can tell whether
// another one has come to use it.
func (s *sink) Close() error {
	s.c.wire.closeIdle()
	return nil
}

// target is one repository that images go to.
type target struct {
	repo name.Repository
	name transport.Name // without tag and digest
}

// targets returns the distinct repositories of images, in their order.
func (s *sink) targets(images []transport.Image) ([]target, error) {
	var list []target
	seen := map[name.Repository]bool{}
	for _, img := range images {
		repo, err := s.c.repository(img.Name)
		if err != nil {
			return nil, err
		}
		if !seen[repo] {
			seen[repo] = true
			list = append(list, target{repo, transport.Name{Domain: img.Name.Domain, Path: img.Name.Path}})
		}
	}
	return list, nil
}

// each calls f for every target, several at a time, and returns the first
// error.
func each(ctx context.Context, targets []target, f func(context.Context, target) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(fanOut)
	for _, t := range targets {
		g.Go(func() error { return f(ctx, t) })
	}
	return g.Wait()
}

// has asks one repository for a blob, once.
func (s *sink) has(ctx context.Context, d v1.Descriptor, in target) (bool, error) {
	t := task{
		doing: fmt.Sprintf("look for blob %s in %s", d.Digest, in.name),
		host:  in.name.Domain, push: true,
	}
	if err := blob.Check(d.Digest, d.Size); err != nil {
		return false, t.explain(ctx, err)
	}
	key := held{in.repo, d.Digest}
	s.mu.Lock()
	ok, asked := s.held[key]
	s.mu.Unlock()
	if asked {
		return ok, ctx.Err()
	}
	w, err := s.c.session(ctx, in.name, regtransport.PushScope, &t)
	if err != nil {
		return false, err
	}
	resp, err := w.do(ctx, http.MethodHead, "blobs/"+d.Digest.String(), nil, http.StatusOK, http.StatusNotFound)
	if err != nil {
		return false, t.explain(ctx, err)
	}
	_ = resp.Body.Close()
	ok = resp.StatusCode == http.StatusOK
	// Some registries leave the length out, or say 0.
	if n := resp.ContentLength; ok && n > 0 && n != d.Size {
		return false, fault.WithHint(fault.Damaged("%s: it is there with %d bytes instead of %d", t.doing, n, d.Size),
			"the registry's copy is damaged: delete it there, or use another repository")
	}
	s.note(key, ok)
	return ok, nil
}

func (s *sink) note(key held, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[key] = ok
}
