package registry

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
	"bale/transport"
)

// undoTime is how long giving tags back may take, after the run has failed or
// was broken off.
const undoTime = 30 * time.Second

// naming is a tag that Commit sets.
type naming struct {
	image   transport.Image // the root is what the tag is to stand for
	content []byte
	s       *session
	t       task
	before  kept     // what the tag stood for; no digest: there was no such tag
	list    []listed // for a list of referrers: what to add to it
}

// isFor reports whether d is what the tag is to stand for: the registry may
// call it by another algorithm.
func (n *naming) isFor(d digest.Digest) bool {
	return d == n.image.Root.Digest || d != "" && n.content != nil && d.Algorithm().FromBytes(n.content) == d
}

// set lets the tag stand for its image, and reports whether it has changed.
func (n *naming) set(ctx context.Context) (changed bool, err error) {
	if n.list != nil {
		return n.extend(ctx)
	}
	if n.isFor(n.before.Digest) {
		return false, nil
	}
	_, err = n.s.put(ctx, n.image.Name.Tag, n.image.Root.MediaType, n.content, nil)
	return true, n.despite(ctx, err)
}

// despite returns nil for an error in spite of which the tag was set: that the
// answer was lost.
func (n *naming) despite(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil || refused(err) {
		return err
	}
	if d, lookErr := n.s.standsFor(ctx, n.image.Name); lookErr == nil && n.isFor(d) {
		return nil
	}
	return err
}

// undo gives tags back what they stood for, the last one first, and returns
// those for which it could not. failed is the one that could not be set;
// perhaps says that it may have been nevertheless.
func undo(ctx context.Context, set []*naming, failed *naming, perhaps bool) []transport.Image {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	if perhaps {
		_ = failed.undo(ctx) // the error tells of it in any case
	}
	var left []transport.Image
	for _, n := range slices.Backward(set) {
		if n.undo(ctx) != nil {
			left = append(left, n.image)
		}
	}
	slices.Reverse(left)
	return left
}

func (n *naming) undo(ctx context.Context) error {
	if n.image.Root.Digest == "" {
		return nil // a list that was never made
	}
	now, err := n.s.standsFor(ctx, n.image.Name)
	switch {
	case err != nil:
		return err
	case !n.isFor(now):
		return nil // not set, or by now somebody else's
	case n.before.Digest == "":
		return n.s.untag(ctx, n.image.Name.Tag)
	case n.before.content == nil:
		old := transport.Name{Domain: n.image.Name.Domain, Path: n.image.Name.Path, Digest: n.before.Digest}
		if n.before.Descriptor, n.before.content, err = n.s.resolve(ctx, old); err != nil {
			return err
		}
	}
	_, err = n.s.put(ctx, n.image.Name.Tag, n.before.MediaType, n.before.content, http.Header{})
	return err
}

// errBusy is for a list that somebody else changes all the time.
func errBusy(n transport.Name) error {
	return fault.WithHint(fault.Unsupported("%s is changed by others at the same time, again and again", n), "try again")
}
