package containerd

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/containerd/containerd/v2/core/leases"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
)

const (
	// leaseTime is how long containerd keeps what a run has written that was
	// killed. It is also the longest that a run may take.
	leaseTime = 24 * time.Hour
	// endTime is how long Close waits for containerd to collect what a failed run
	// has written.
	endTime = time.Minute
)

// lease holds what a run writes and what it found, until that has its names. It
// is made when it is first needed, since a run may come to nothing.
type lease struct {
	leases.Lease
	fresh bool // the namespace was made for it
}

// leased returns the context for calls under the run's lease.
func (s *Sink) leased(ctx context.Context) (context.Context, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lease == nil {
		if err := s.startLease(ctx); err != nil {
			return nil, err
		}
	}
	return leases.WithLease(s.n.in(ctx), s.lease.ID), nil
}

func (s *Sink) startLease(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed {
		return errors.New("containerd: the sink is closed")
	}
	all, err := s.n.api.NamespaceService().List(ctx)
	if err != nil {
		return s.n.fail(ctx, "list namespaces", err)
	}
	l, err := s.n.api.LeasesService().Create(s.n.in(ctx), leases.WithRandomID(), leases.WithExpiration(leaseTime),
		leases.WithLabel("bale/purpose", "load"))
	if err != nil {
		return s.n.fail(ctx, "make a lease", err)
	}
	s.lease = &lease{l, !slices.Contains(all, s.n.namespace)}
	return nil
}

// keep reports whether content is in the namespace and, if it is, sees to it
// that it stays there.
func (s *Sink) keep(ctx context.Context, d v1.Descriptor) (bool, error) {
	if ok, err := s.n.stat(ctx, d); err != nil || !ok {
		return false, err
	}
	if err := s.hold(ctx, d.Digest); err != nil {
		return false, err
	}
	// It may have been collected before the lease had it.
	return s.n.stat(ctx, d)
}

// hold adds content to the lease.
func (s *Sink) hold(ctx context.Context, d digest.Digest) error {
	lctx, err := s.leased(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	l := s.lease.Lease
	s.mu.Unlock()
	if err := s.n.api.LeasesService().AddResource(lctx, l, leases.Resource{ID: d.String(), Type: "content"}); err != nil {
		return s.n.fail(ctx, "hold "+d.String(), err)
	}
	return nil
}

// endLease gives up what the lease held. What a failed run has written is
// collected at once.
func (s *Sink) endLease(l *lease, committed bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), endTime) // the run's own context may have ended
	defer cancel()
	ctx = s.n.in(ctx)
	if committed {
		// If that fails, it ends by itself: nothing hangs on it.
		_ = s.n.api.LeasesService().Delete(ctx, l.Lease)
		return nil
	}
	if err := s.n.api.LeasesService().Delete(ctx, l.Lease, leases.SynchronousDelete); err != nil {
		return fault.WithHint(s.n.fail(ctx, "give up what was written", err),
			"containerd removes it by itself within %d hours, or now with: ctr -n %s leases rm --sync %s", int(leaseTime.Hours()), s.n.namespace, l.ID)
	}
	if l.fresh {
		s.leaveNamespace(ctx)
	}
	return nil
}

// leaveNamespace removes the namespace that the run made, unless somebody else
// uses it by now. It is no harm if it stays.
func (s *Sink) leaveNamespace(ctx context.Context) {
	// containerd refuses if there are images or content, but not if another run
	// has only begun.
	if others, err := s.n.api.LeasesService().List(ctx); err == nil && len(others) == 0 {
		_ = s.n.api.NamespaceService().Delete(ctx, s.n.namespace)
	}
}
