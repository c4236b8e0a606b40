package transport

import (
	"context"
	"io"
	"slices"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"bale/bundle/blob"
	"bale/bundle/fault"
)

// Request asks for one image to be copied.
type Request struct {
	Source Source
	Image  Image // as it is at the source
	Target Name  // what it is to be called at the sink
}

// Omission is something that an image names and that is not copied.
type Omission struct {
	Descriptor v1.Descriptor
	Reason     string
}

// ForeignLayer is the reason for leaving out a layer that its publisher keeps
// to itself; the target refers to it as the source does.
const ForeignLayer = "foreign layer"

// Planned is one image of a plan.
type Planned struct {
	Source   Image // as it is at the source
	Target   Image // as it will be at the sink; the root may be one platform of it
	Platform string
	Held     bool // the sink has all of it already
	Omitted  []Omission
	Size     int64 // bytes of its blobs and manifests, shared ones included
}

// item is one blob or manifest to be copied, once for all images it belongs to.
type item struct {
	desc    v1.Descriptor
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
	rc, err := i.source.Blob(ctx, i.from, i.desc)
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

// targets returns the images as they will be at the sink, each once.
func (p *Plan) targets() []Image {
	var images []Image
	seen := make(map[Name]bool)
	for _, i := range p.Images {
		if !seen[i.Target.Name] {
			seen[i.Target.Name] = true
			images = append(images, i.Target)
		}
	}
	return images
}

// planner collects items.
type planner struct {
	plan        Plan
	items       map[itemKey]*item
	memberships int
}

// An artifact may keep as a layer what is another image's manifest. Places
// tell the two apart, so it is copied as both.
type itemKey struct {
	digest   digest.Digest
	manifest bool
}

// newPlan finds out what is to be copied. Nothing is written.
func newPlan(ctx context.Context, requests []Request, sink Sink, o Options) (*Plan, error) {
	if err := checkTargets(requests); err != nil {
		return nil, err
	}
	g := newGrapher(ctx)
	defer g.close()
	roots := make([]*node, len(requests))
	for i, r := range requests {
		n, err := g.add(r.Source, r.Image, r.Image.Root, 0)
		if err != nil {
			return nil, at(AtSource, r.Image.Name, err)
		}
		roots[i] = n
	}
	if err := g.wait(); err != nil {
		return nil, err
	}
	p := &planner{items: make(map[itemKey]*item)}
	for i, r := range requests {
		if err := p.image(ctx, r, roots[i], sink, o); err != nil {
			return nil, at(AtSource, r.Image.Name, err)
		}
	}
	if err := p.ask(ctx, sink); err != nil {
		return nil, err
	}
	return &p.plan, nil
}

// checkTargets refuses two images that would get one name.
func checkTargets(requests []Request) error {
	seen := make(map[string]Request)
	for _, r := range requests {
		if r.Target.Tag == "" {
			continue
		}
		key := r.Target.Repository() + ":" + r.Target.Tag
		if other, ok := seen[key]; ok && other.Image.Root.Digest != r.Image.Root.Digest {
			return fault.WithHint(fault.Usage("%s and %s are different images and would both be called %s at the target",
				other.Image.Name, r.Image.Name, key), "copy one of them under another name, or in a run of its own")
		}
		seen[key] = r
	}
	return nil
}

// image adds one image with its whole graph.
func (p *planner) image(ctx context.Context, r Request, root *node, sink Sink, o Options) error {
	var want *v1.Platform
	if len(o.Platforms) > 0 {
		want = &o.Platforms[0]
	} else {
		want = sink.Properties().Platform
	}
	done := Planned{Source: r.Image, Target: Image{Name: r.Target, Root: root.desc}}
	if want != nil && IsIndex(root.desc.MediaType) {
		var err error
		if root, err = platformNode(root, *want); err != nil {
			return err
		}
		done.Platform = FormatPlatform(*want)
		done.Target.Root = bare(root.desc)
		if done.Target.Name.Digest != "" {
			done.Target.Name.Digest = root.desc.Digest
		}
	} else if len(o.Platforms) > 0 {
		if err := configSuits(ctx, r, root, *want); err != nil {
			return err
		}
	}
	held, err := sink.Holds(ctx, done.Target, root.content)
	if err != nil {
		return at(AtTarget, r.Target, err)
	}
	done.Held = held
	if err := p.walk(r, root, &done, make(map[*node]bool)); err != nil {
		return err
	}
	p.plan.Images = append(p.plan.Images, done)
	return nil
}

// bare is a descriptor with what names content and nothing else.
func bare(d v1.Descriptor) v1.Descriptor {
	return v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
}

// configSuits checks that an image without index is for the platform wanted.
func configSuits(ctx context.Context, r Request, n *node, want v1.Platform) error {
	i := &item{desc: *n.manifest.Config, source: r.Source, from: r.Image}
	rc, err := i.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = rc.Close() }() // only read from
	config, err := blob.ReadAll(rc, i.desc.Digest, i.desc.Size, MaxManifest)
	if err != nil {
		return err
	}
	return checkPlatform(config, want)
}

// walk adds a node and all below it, children first.
func (p *planner) walk(r Request, n *node, img *Planned, seen map[*node]bool) error {
	if seen[n] {
		return nil
	}
	seen[n] = true
	img.Size += n.desc.Size
	level := 0
	for _, c := range n.children {
		if err := p.walk(r, c, img, seen); err != nil {
			return err
		}
		level = max(level, p.items[itemKey{c.desc.Digest, true}].level+1)
	}
	// The grapher knows how deep it came upon a node first, not how deep it is.
	if level > MaxDepth {
		return fault.Damaged("indexes are nested more than %d deep", MaxDepth)
	}
	for _, l := range n.manifest.Layers {
		if IsForeign(l.MediaType) && len(l.URLs) > 0 {
			if err := p.member(omissionCost); err != nil {
				return err
			}
			img.Omitted = append(img.Omitted, Omission{bare(l), ForeignLayer})
			continue
		}
		if err := p.add(&p.plan.layers, r, l, img, nil, 0); err != nil {
			return err
		}
	}
	if c := n.manifest.Config; c != nil {
		if err := p.add(&p.plan.configs, r, *c, img, nil, 0); err != nil {
			return err
		}
	}
	return p.add(&p.plan.manifests, r, n.desc, img, n.content, level)
}

// add adds a blob or manifest, or the image to one that is known already.
func (p *planner) add(list *[]*item, r Request, d v1.Descriptor, img *Planned, content []byte, level int) error {
	key := itemKey{d.Digest, content != nil}
	i, ok := p.items[key]
	if !ok {
		if len(p.items) == MaxNodes {
			return fault.Damaged("more than %d blobs and manifests", MaxNodes)
		}
		i = &item{desc: bare(d), source: r.Source, from: r.Image, plan: &p.plan, content: content, level: level}
		p.items[key] = i
		*list = append(*list, i)
	}
	if i.desc.Size != d.Size {
		return fault.Damaged("%s is referred to with %d and with %d bytes", d.Digest, i.desc.Size, d.Size)
	}
	if content == nil {
		img.Size += d.Size
	}
	owner := uint32(len(p.plan.Images)) // images are added one by one
	if n := len(i.owners); !img.Held && (n == 0 || i.owners[n-1] != owner) {
		if err := p.member(1); err != nil {
			return err
		}
		i.owners = append(i.owners, owner)
	}
	return nil
}

// member counts something that an image holds, however many others hold it too.
func (p *planner) member(cost int) error {
	if p.memberships += cost; p.memberships > maxMemberships {
		return fault.WithHint(fault.Unsupported("the images hold manifests and blobs more than %d times", maxMemberships),
			"copy fewer images in one run")
	}
	return nil
}

// ask finds out what the sink has already.
func (p *planner) ask(ctx context.Context, sink Sink) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fetches)
	for _, i := range slices.Concat(p.plan.layers, p.plan.configs) {
		if len(i.owners) == 0 {
			i.has = true // only images that the sink holds need it
			continue
		}
		group.Go(func() (err error) {
			i.has, err = sink.Has(ctx, i.desc, i.images())
			return at(AtTarget, i.desc.Digest, err)
		})
	}
	return group.Wait()
}
