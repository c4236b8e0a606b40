package containerd

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

// Source reads the images of a namespace, byte for byte as they came.
type Source struct {
	n *node

	attaching sync.Mutex
	attached  *attached // nil until it is asked for
}

// NewSource connects to containerd.
func NewSource(ctx context.Context, o Options) (*Source, error) {
	n, err := connect(ctx, o)
	if err != nil {
		return nil, err
	}
	return &Source{n: n}, nil
}

// Images implements [transport.Source]. The selector is a name by Docker's
// rules, a digest, or an image ID as kubelet and crictl show it; an image chosen
// by digest or ID is called by the first of its names. "" selects every image
// that has a name by Docker's rules, once for each tag, sorted; not those that
// only have a name that a tool made up.
func (s *Source) Images(ctx context.Context, selector string) ([]transport.Image, error) {
	c, err := s.n.catalog(ctx)
	if err != nil {
		return nil, err
	}
	if selector == "" {
		list, err := c.list()
		if err == nil && len(list) == 0 {
			err = s.n.empty(ctx)
		}
		return list, err
	}
	img, err := s.find(ctx, c, selector)
	if err != nil {
		return nil, err
	}
	return []transport.Image{img}, nil
}

func (s *Source) find(ctx context.Context, c *catalog, selector string) (transport.Image, error) {
	if d, err := digest.Parse(strings.TrimPrefix(selector, "@")); err == nil {
		if img, ok := c.byDigest(d); ok {
			return img, nil
		}
		return transport.Image{}, c.missing(d.String())
	}
	n, err := transport.ParseName(selector)
	if err != nil {
		return transport.Image{}, err
	}
	img, err := c.byName(n)
	if errors.Is(err, fault.ErrMissing) && n.Tag == "" {
		// What is attached to an image may have no name of its own.
		d, ok, aerr := s.attachment(ctx, n.Digest)
		switch {
		case aerr != nil:
			return transport.Image{}, aerr
		case ok:
			return transport.Image{Name: n, Root: d}, nil
		}
	}
	if errors.Is(err, fault.ErrMissing) && len(c.all) == 0 {
		return transport.Image{}, s.n.empty(ctx)
	}
	return img, err
}

// empty tells that a namespace has no images, and which namespaces there are.
func (n *node) empty(ctx context.Context) error {
	err := n.missing("the namespace holds no image that has a name")
	all, lerr := n.api.NamespaceService().List(ctx)
	if lerr != nil {
		return n.fail(ctx, "list namespaces", lerr)
	}
	all = slices.DeleteFunc(all, func(s string) bool { return s == n.namespace })
	if len(all) == 0 {
		return fault.WithHint(err, "pull or load one first")
	}
	slices.Sort(all)
	return fault.WithHint(err, "there are other namespaces: %s", strings.Join(all[:min(len(all), maxHintNames)], ", "))
}

// Manifest implements [transport.Source]. What it returns is verified.
func (s *Source) Manifest(ctx context.Context, in transport.Image, d v1.Descriptor) ([]byte, error) {
	b, err := s.n.manifest(ctx, d)
	return b, s.explain(ctx, in, err)
}

// Blob implements [transport.Source].
func (s *Source) Blob(ctx context.Context, in transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	r, err := s.n.open(ctx, d)
	if err != nil {
		return nil, s.explain(ctx, in, err)
	}
	return r, nil
}

// explain adds advice to the error that content of an image is not there.
func (s *Source) explain(ctx context.Context, in transport.Image, err error) error {
	if !errors.Is(err, fault.ErrMissing) {
		return err
	}
	pull := "ctr -n " + s.n.namespace + " images pull --all-platforms " + in.Name.String()
	if s.discards(ctx, in.Root) {
		return fault.WithHint(err, "containerd was told to discard the layers that it has unpacked (discard_unpacked_layers in CRI's configuration): fetch them again with %s, or copy the image from its registry", pull)
	}
	return fault.WithHint(err, "the image is there in part only, as when it was pulled for one platform: fetch the rest with %s, or copy it from its registry", pull)
}

// Local implements [transport.Local].
func (s *Source) Local() bool { return true }

// Close implements [transport.Source].
func (s *Source) Close() error { return s.n.api.Close() }

var (
	_ transport.Source    = (*Source)(nil)
	_ transport.Local     = (*Source)(nil)
	_ transport.Partial   = (*Source)(nil)
	_ transport.Referring = (*Source)(nil)
	_ transport.Holding   = (*Source)(nil)
)
