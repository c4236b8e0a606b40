package containerd

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

const (
	// managedLabel is how CRI marks the images that kubelet may use.
	managedLabel = "io.cri-containerd.image"
	managed      = "managed"

	// referrerLabel begins the labels by which a manifest keeps what is attached
	// to it; so many digits of that one's digest follow.
	referrerLabel  = "containerd.io/gc.ref.content.referrer.sha256."
	referrerDigits = 12

	// undoTime is how long taking names back may take.
	undoTime = 30 * time.Second
)

// Commit implements [transport.Sink]. In the namespace of Kubernetes an image
// gets the names that kubelet looks for: its tag, its digest and its image ID.
// What is attached to an image that is there, and has no tag, gets no name: it
// stays with what it is attached to. After an error the names are what they were,
// unless the error says otherwise.
func (s *Sink) Commit(ctx context.Context, list []transport.Image) error {
	lctx, err := s.leased(ctx)
	if err != nil {
		return err
	}
	var steps []step
	for _, img := range list {
		more, err := s.steps(lctx, img)
		if err != nil {
			return err
		}
		steps = append(steps, more...)
	}
	for _, img := range list {
		if err := s.unpack(lctx, img); err != nil {
			return err
		}
	}
	if err := s.run(lctx, steps); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.committed = true
	return nil
}

// step changes what can be seen of the namespace. It returns what takes that
// back, or nil if nothing changed.
type step func(ctx context.Context) (undo func(context.Context) error, err error)

// run takes all steps, or none.
func (s *Sink) run(ctx context.Context, steps []step) error {
	var undo []func(context.Context) error
	for _, take := range steps {
		err := ctx.Err()
		var u func(context.Context) error
		if err == nil {
			u, err = take(ctx)
		}
		if err != nil {
			uctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
			defer cancel()
			for _, u := range slices.Backward(undo) {
				err = errors.Join(err, u(uctx))
			}
			return err
		}
		if u != nil {
			undo = append(undo, u)
		}
	}
	return nil
}

// steps makes sure that an image is there and stays there, and returns what is
// to be done to make it visible.
func (s *Sink) steps(ctx context.Context, img transport.Image) ([]step, error) {
	var root *transport.Manifest
	look := s.n.search(s.keep)
	look.sparse = true // what is not there was left out by whoever calls
	look.visit = func(ctx context.Context, d v1.Descriptor, m *transport.Manifest) error {
		if d.Digest == img.Root.Digest {
			root = m
		}
		return s.label(ctx, d)
	}
	if _, err := look.complete(ctx, img.Root); err != nil {
		return nil, err
	}
	if root == nil {
		return nil, s.n.missing("%s: its manifest %s was not written", img.Name, img.Root.Digest)
	}
	var out []step
	attached, err := s.attach(ctx, img, root.Subject)
	if err != nil {
		return nil, err
	}
	if attached != nil {
		out = append(out, attached)
		if img.Name.Tag == "" {
			return out, nil
		}
	}
	names, labels, err := s.names(ctx, img)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		out = append(out, s.name(images.Image{Name: n, Target: bare(img.Root), Labels: labels}))
	}
	return out, nil
}

// attach returns the step that lets a manifest stay as long as what it is
// attached to, or nil if that is not there.
func (s *Sink) attach(ctx context.Context, img transport.Image, to digest.Digest) (step, error) {
	if to == "" || to == img.Root.Digest {
		return nil, nil
	}
	i, ok, err := s.n.info(ctx, to)
	if err != nil || !ok {
		return nil, err
	}
	if ok, err := s.keep(ctx, v1.Descriptor{Digest: to, Size: i.Size}); err != nil || !ok {
		return nil, err
	}
	key := referrerLabel + img.Root.Digest.Encoded()[:referrerDigits]
	if i.Labels[key] == img.Root.Digest.String() {
		return func(context.Context) (func(context.Context) error, error) { return nil, nil }, nil
	}
	set := func(ctx context.Context, value string) error {
		_, err := s.n.api.ContentStore().Update(ctx, content.Info{Digest: to, Labels: map[string]string{key: value}}, "labels."+key)
		if err != nil {
			return s.n.fail(ctx, "attach "+img.Root.Digest.String()+" to "+to.String(), err)
		}
		return nil
	}
	return func(ctx context.Context) (func(context.Context) error, error) {
		before := i.Labels[key] // "" takes the label away
		return func(ctx context.Context) error { return set(ctx, before) }, set(ctx, img.Root.Digest.String())
	}, nil
}

// names returns what an image is to be called, and with which labels.
func (s *Sink) names(ctx context.Context, img transport.Image) (names []string, labels map[string]string, err error) {
	n := img.Name
	if n == (transport.Name{}) {
		return nil, nil, fault.Usage("containerd:%s: image %s has no name", s.n.namespace, img.Root.Digest)
	}
	byDigest := transport.Name{Domain: n.Domain, Path: n.Path, Digest: img.Root.Digest}
	if n.Digest != "" && n.Digest != img.Root.Digest {
		return nil, nil, fault.Usage("containerd:%s: %s cannot be the name of %s", s.n.namespace, n, img.Root.Digest)
	}
	// What cosign attaches may look like an image, and is none.
	if _, _, attached := transport.AttachedTo(n.Tag); s.n.namespace == Kubernetes && !attached {
		id, err := s.imageID(ctx, img)
		if err != nil {
			return nil, nil, err
		}
		if id != "" {
			names = append(names, id.String())
			labels = map[string]string{managedLabel: managed}
		}
	}
	if n.Tag != "" {
		names = append(names, n.Repository()+":"+n.Tag)
	}
	if n.Tag == "" || n.Digest != "" || labels != nil {
		names = append(names, byDigest.String())
	}
	return names, labels, nil
}

// imageID returns the digest of the config that this node would run, or "" if
// that is none of the image's.
func (s *Sink) imageID(ctx context.Context, img transport.Image) (digest.Digest, error) {
	d, err := images.Config(ctx, s.n.api.ContentStore(), bare(img.Root), platforms.Default())
	switch {
	case errdefs.IsNotFound(err) && ctx.Err() == nil:
		return "", nil // of another platform
	case err != nil:
		return "", s.n.fail(ctx, "find the config of "+img.Name.String(), err)
	case !transport.IsConfig(d.MediaType):
		return "", nil
	}
	return d.Digest, nil
}

// name returns the step that calls an image by a name.
func (s *Sink) name(img images.Image) step {
	store := s.n.api.ImageService()
	fields := []string{"target"}
	for k := range img.Labels {
		fields = append(fields, "labels."+k)
	}
	return func(ctx context.Context) (func(context.Context) error, error) {
		doing := "call " + img.Target.Digest.String() + " " + img.Name
		before, err := store.Get(ctx, img.Name)
		if errdefs.IsNotFound(err) {
			if _, err = store.Create(ctx, img); err == nil {
				return func(ctx context.Context) error { return s.unname(ctx, img) }, nil
			}
			if !errdefs.IsAlreadyExists(err) {
				return nil, s.n.fail(ctx, doing, err)
			}
			before, err = store.Get(ctx, img.Name) // another run was quicker
		}
		if err != nil {
			return nil, s.n.fail(ctx, doing, err)
		}
		if same(before, img) {
			return nil, nil
		}
		// What loses its name here may have to get it back.
		if err := s.hold(ctx, before.Target.Digest); err != nil {
			return nil, err
		}
		if _, err := store.Update(ctx, img, fields...); err != nil {
			return nil, s.n.fail(ctx, doing, err)
		}
		return func(ctx context.Context) error {
			if _, err := store.Update(ctx, before, "target", "labels"); err != nil {
				return s.n.fail(ctx, "call "+before.Target.Digest.String()+" "+img.Name+" again, as before", err)
			}
			return nil
		}, nil
	}
}

// unname takes a name back that was given to nothing before.
func (s *Sink) unname(ctx context.Context, img images.Image) error {
	err := s.n.api.ImageService().Delete(ctx, img.Name, images.DeleteTarget(&img.Target))
	if err != nil && !errdefs.IsNotFound(err) {
		return s.n.fail(ctx, "take back the name "+img.Name, err)
	}
	return nil
}

// same reports whether a record says already all that it is to say.
func same(have, want images.Image) bool {
	for k, v := range want.Labels {
		if have.Labels[k] != v {
			return false
		}
	}
	return have.Target.Digest == want.Target.Digest && have.Target.Size == want.Target.Size &&
		strings.EqualFold(have.Target.MediaType, want.Target.MediaType)
}
