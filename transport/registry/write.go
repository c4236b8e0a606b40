package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

// WriteBlob uploads a blob once to each registry. Its other repositories
// there get it by a mount, or by an upload where the registry does not mount.
func (s *sink) WriteBlob(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
	targets, err := s.targets(images)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	has := map[target]bool{}
	err = each(ctx, targets, func(ctx context.Context, t target) error {
		ok, err := s.has(ctx, d, t)
		mu.Lock()
		defer mu.Unlock()
		has[t] = ok
		return err
	})
	if err != nil {
		return err
	}
	from := map[name.Registry]name.Repository{} // where each registry has it
	for _, t := range targets {
		if _, ok := from[t.repo.Registry]; !ok && has[t] {
			from[t.repo.Registry] = t.repo
		}
	}
	var rest []target
	for _, t := range targets {
		_, mountable := from[t.repo.Registry]
		switch {
		case has[t]:
		case mountable:
			rest = append(rest, t)
		default:
			if err := s.upload(ctx, d, t, nil, open); err != nil {
				return err
			}
			from[t.repo.Registry] = t.repo
		}
	}
	return each(ctx, rest, func(ctx context.Context, t target) error {
		source := from[t.repo.Registry]
		return s.upload(ctx, d, t, &source, open)
	})
}

// upload brings a blob into one repository, from another one of the same
// registry if there is one.
func (s *sink) upload(ctx context.Context, d v1.Descriptor, to target, from *name.Repository, open transport.Opener) error {
	t := task{
		doing:  fmt.Sprintf("write blob %s to %s", d.Digest, to.name),
		object: "repository " + to.name.Repository(), host: to.name.Domain, push: true,
	}
	w, err := s.c.session(ctx, to.name, regtransport.PushScope, &t)
	if err != nil {
		return err
	}
	u := &upload{s: w, sink: s, d: d, open: open, tries: s.c.opts.backoff().Steps}
	if from != nil {
		mounted, err := s.mount(ctx, u, *from)
		if err != nil {
			return t.explain(ctx, err)
		}
		if mounted {
			s.note(held{to.repo, d.Digest}, true)
			return nil
		}
	}
	if err := u.run(ctx); err != nil {
		return t.explain(ctx, err)
	}
	s.note(held{to.repo, d.Digest}, true)
	return nil
}

// mount asks the registry to take the blob from another repository. One that
// does not has begun an upload instead, or refuses to; in neither case is that
// an error.
func (s *sink) mount(ctx context.Context, u *upload, from name.Repository) (bool, error) {
	err := u.begin(ctx, &from)
	switch {
	case ctx.Err() != nil, errors.Is(err, fault.ErrDamaged):
		return false, err
	case err != nil:
		u.restart()
		return false, nil
	}
	return u.at == nil, nil
}
