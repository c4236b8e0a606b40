package containerd

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/parts"
)

var spaces atomic.Int64

// fresh returns a namespace that nothing uses.
func fresh() string { return fmt.Sprintf("test-%d", spaces.Add(1)) }

// place is a namespace of a containerd under test.
type place struct {
	part *parts.ContainerdPart
	ns   string
}

func (p place) options() Options { return Options{Address: p.part.Address, Namespace: p.ns} }

func (p place) source(t *testing.T) *Source {
	t.Helper()
	s, err := NewSource(t.Context(), p.options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (p place) sink(t *testing.T, change ...func(*Options)) *Sink {
	t.Helper()
	o := p.options()
	for _, c := range change {
		c(&o)
	}
	s, err := NewSink(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// ctr runs ctr in the namespace.
func (p place) ctr(t *testing.T, args ...string) string {
	t.Helper()
	return p.part.Run(t, append([]string{"--namespace", p.ns}, args...)...)
}

// names lists what containerd calls images.
func (p place) names(t *testing.T) []string {
	t.Helper()
	return strings.Fields(p.ctr(t, "images", "ls", "-q"))
}

// requests asks for images of a source under their own names.
func requests(src transport.Source, images ...transport.Image) []transport.Request {
	var out []transport.Request
	for _, img := range images {
		out = append(out, transport.Request{Source: src, Image: img, Target: img.Name})
	}
	return out
}

// load copies images to the place.
func (p place) load(t *testing.T, src transport.Source, images []transport.Image, o transport.Options) *transport.Plan {
	t.Helper()
	sink := p.sink(t)
	plan, err := transport.Copy(t.Context(), requests(src, images...), sink, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	return plan
}

// collect has containerd remove, now, all that nothing needs.
func (p place) collect(t *testing.T) {
	t.Helper()
	s := p.source(t)
	ctx := s.n.in(t.Context())
	l, err := s.n.api.LeasesService().Create(ctx, leases.WithRandomID())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.n.api.LeasesService().Delete(ctx, l, leases.SynchronousDelete); err != nil {
		t.Fatal(err)
	}
}

// remove deletes an image's names, and its content with them.
func (p place) remove(t *testing.T, img transport.Image) {
	t.Helper()
	for _, name := range strings.Fields(p.ctr(t, "images", "ls", "-q", "target.digest=="+img.Root.Digest.String())) {
		p.ctr(t, "images", "rm", "--sync", name)
	}
	p.collect(t)
}

// content lists all content of the namespace.
func (p place) content(t *testing.T) map[digest.Digest]content.Info {
	t.Helper()
	s := p.source(t)
	out := map[digest.Digest]content.Info{}
	err := s.n.api.ContentStore().Walk(s.n.in(t.Context()), func(i content.Info) error { out[i.Digest] = i; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// strays lists what is there and belongs to no image, as it is just now.
func (p place) strays(t *testing.T) []string {
	t.Helper()
	s := p.source(t)
	ctx := s.n.in(t.Context())
	all, err := s.n.api.ImageService().List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	left := p.content(t)
	look := s.n.search(func(_ context.Context, d v1.Descriptor) (bool, error) {
		delete(left, d.Digest)
		return true, nil
	})
	for _, i := range all {
		if _, err := look.complete(t.Context(), i.Target); err != nil {
			t.Error(err)
		}
	}
	var out []string
	for d := range left {
		out = append(out, "content "+d.String())
	}
	ingests, err := s.n.api.ContentStore().ListStatuses(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range ingests {
		out = append(out, "ingest "+i.Ref)
	}
	held, err := s.n.api.LeasesService().List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range held {
		out = append(out, "lease "+l.ID)
	}
	return out
}

// wantWhole fails the test unless the place has images, with all that is in them.
func (p place) wantWhole(t *testing.T, images ...transport.Image) {
	t.Helper()
	src := p.source(t)
	var back conformance.Memory
	for _, img := range images {
		found, err := src.Images(t.Context(), img.Name.String())
		if err != nil {
			t.Error(err)
			continue
		}
		if found[0].Root.Digest != img.Root.Digest {
			t.Errorf("%s is %s, not %s", img.Name, found[0].Root.Digest, img.Root.Digest)
		}
		if _, err := transport.Copy(t.Context(), requests(src, found...), back.Sink(), transport.Options{NoReferrers: true, Complete: true}); err != nil {
			t.Error(err)
		}
	}
}
