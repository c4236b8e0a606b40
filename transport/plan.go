package transport

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/semaphore"

	"bale/bundle/blob"
	"bale/bundle/fault"
)

// Planned is one image of a plan.
type Planned struct {
	Source Image // as it is at the source
	// Target is the image as it will be at the sink. Its root differs if that
	// keeps one platform of it only, or no index in part.
	Target Image
	// Platforms are those that are taken; none: all.
	Platforms []string
	// Subject is what the image is attached to, and came along with; "" if it
	// was asked for.
	Subject digest.Digest
	Held    bool // the sink has all of it already
	Omitted []Omission
	Size    int64 // bytes of its blobs and manifests, shared ones included
}

// Reindexed reports whether the image gets a new index, of what is copied of it.
func (p *Planned) Reindexed() bool {
	return IsIndex(p.Target.Root.MediaType) && p.Target.Root.Digest != p.Source.Root.Digest
}

// Part reports whether not all that the image's index lists is copied, and the
// index is as it was.
func (p *Planned) Part() bool {
	return !p.Reindexed() && slices.ContainsFunc(p.Omitted, func(o Omission) bool {
		return o.Reason == OtherPlatform || o.Reason == NotAtSource
	})
}

// item is one blob or manifest to be copied, once for all images it belongs to.
type item struct {
	desc    v1.Descriptor
	urls    []string // where its publisher keeps a foreign layer
	foreign ForeignOpener
	source  Source
	from    Image    // where it can be read
	plan    *Plan    // what it is a part of
	owners  []uint32 // images of the plan that it belongs to
	content []byte   // of manifests
	level   int      // of manifests: above all that it refers to
	has     bool     // the sink has it
}

// images returns the targets that the item belongs to.
func (i *item) images() []Image {
	images := make([]Image, len(i.owners))
	for n, o := range i.owners {
		images[n] = i.plan.Images[o].Target
	}
	return images
}

func (i *item) open(ctx context.Context) (io.ReadCloser, error) {
	rc, err := i.source.Blob(ctx, i.from, i.read())
	if err != nil && i.foreign != nil && len(i.urls) > 0 && errors.Is(err, fault.ErrMissing) {
		rc, err = i.foreign(ctx, i.from, i.read(), err)
	}
	if err != nil {
		return nil, err
	}
	v, err := blob.NewReader(rc, i.desc.Digest, i.desc.Size)
	if err != nil {
		_ = rc.Close() // the first error says more
		return nil, err
	}
	return v, nil
}

// read is the item's descriptor as a source wants it.
func (i *item) read() v1.Descriptor {
	d := i.desc
	d.URLs = i.urls
	return d
}

// local reports whether the item's source is on this machine.
func (i *item) local() bool {
	l, ok := i.source.(Local)
	return ok && l.Local()
}

// limited opens the item when fewer than so many others are read.
func (i *item) limited(downloads *semaphore.Weighted) Opener {
	if i.local() {
		return i.open
	}
	return func(ctx context.Context) (io.ReadCloser, error) {
		if err := downloads.Acquire(ctx, 1); err != nil {
			return nil, err
		}
		release := sync.OnceFunc(func() { downloads.Release(1) })
		rc, err := i.open(ctx)
		if err != nil {
			release()
			return nil, err
		}
		return &limitedStream{rc, release}, nil
	}
}

type limitedStream struct {
	io.ReadCloser
	release func()
}

func (s *limitedStream) Close() error {
	defer s.release()
	return s.ReadCloser.Close()
}

// raw returns what the item decompresses to, if its source has that apart.
func (i *item) raw() (size int64, open Opener, ok bool) {
	r, ok := i.source.(RawLayers)
	if !ok {
		return 0, nil, false
	}
	if size, ok = r.RawSize(i.desc); !ok {
		return 0, nil, false
	}
	return size, func(ctx context.Context) (io.ReadCloser, error) { return r.OpenRaw(ctx, i.from, i.desc) }, true
}

// Plan is what a copy will do: every blob and manifest once, sizes known.
type Plan struct {
	Images    []Planned
	layers    []*item
	configs   []*item
	manifests []*item // children before their index
}

// Bytes returns how many bytes of layers and configs will be copied, and how
// many need not be because the sink has them.
func (p *Plan) Bytes() (copied, skipped int64) {
	for _, i := range slices.Concat(p.layers, p.configs) {
		if i.has {
			skipped += i.desc.Size
		} else {
			copied += i.desc.Size
		}
	}
	return copied, skipped
}

// Blobs returns how many layers and configs will be copied and how many not.
func (p *Plan) Blobs() (copied, skipped int) {
	for _, i := range slices.Concat(p.layers, p.configs) {
		if i.has {
			skipped++
		} else {
			copied++
		}
	}
	return copied, skipped
}

// Lacking returns the layers and configs that will be copied.
func (p *Plan) Lacking() []v1.Descriptor {
	var out []v1.Descriptor
	for _, i := range slices.Concat(wanted(p.layers), wanted(p.configs)) {
		out = append(out, i.desc)
	}
	return out
}

// targets returns the images as they will be at the sink, each once. What is
// attached to others gets its name before these, so that whoever sees an image
// sees its signatures.
func (p *Plan) targets() []Image {
	var images []Image
	seen := make(map[Name]bool)
	attached := func(i Planned) int {
		if i.Subject != "" {
			return 0
		}
		return 1
	}
	list := slices.Clone(p.Images)
	slices.SortStableFunc(list, func(a, b Planned) int { return attached(a) - attached(b) })
	for _, i := range list {
		if !seen[i.Target.Name] {
			seen[i.Target.Name] = true
			images = append(images, i.Target)
		}
	}
	return images
}
