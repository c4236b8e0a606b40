package transport

import (
	"context"
	"slices"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"bale/bundle/blob"
	"bale/bundle/fault"
)

// planner collects items.
type planner struct {
	plan        Plan
	sink        Sink
	o           Options
	items       map[itemKey]*item
	memberships int

	selections map[*node]*selection // of indexes that several images name
	listed     map[*node][]*draft   // see standing
	reindexed  int64                // bytes of new indexes
}

// An artifact may keep as a layer what is another image's manifest. Places
// tell the two apart, so it is copied as both.
type itemKey struct {
	digest   digest.Digest
	manifest bool
}

// draft is an image that is being planned.
type draft struct {
	Request
	subject   digest.Digest // what it is attached to
	above     int           // levels of manifests that are written before it
	original  *node         // as it is at the source
	root      *node         // of what is copied
	sel       *selection    // what that is, unless it is one manifest of an index
	platforms []v1.Platform // if not all are taken
	omitted   []Omission
	set       map[digest.Digest]bool // see copied
}

// newPlan finds out what is to be copied. No image is written.
func newPlan(ctx context.Context, requests []Request, sink Sink, o Options) (*Plan, error) {
	if err := checkTargets(requests); err != nil {
		return nil, err
	}
	p := &planner{sink: sink, o: o, items: make(map[itemKey]*item), listed: make(map[*node][]*draft)}
	g := newGrapher(ctx)
	defer g.close()
	var drafts []*draft
	for _, r := range requests {
		drafts = append(drafts, &draft{Request: r})
	}
	wants, err := p.wants()
	if err != nil {
		return nil, err
	}
	if err := p.read(g, drafts, len(wants) > 0); err != nil {
		return nil, err
	}
	drafts = p.standing(g, drafts)
	if err := p.decide(ctx, g, drafts, wants); err != nil {
		return nil, err
	}
	if drafts, err = p.attached(ctx, g, drafts); err != nil {
		return nil, err
	}
	for _, d := range drafts {
		if err := p.image(ctx, d); err != nil {
			return nil, at(AtSource, d.Image.Name, err)
		}
	}
	if err := p.ask(ctx); err != nil {
		return nil, err
	}
	return &p.plan, nil
}

// wants returns the platforms that are wanted of each image; none is all.
func (p *planner) wants() ([]v1.Platform, error) {
	only := p.sink.Properties().Platform
	switch {
	case only == nil:
		return p.o.Platforms, nil
	case len(p.o.Platforms) > 1:
		return nil, fault.WithHint(fault.Usage("the target keeps one platform of an image, and %d are asked for", len(p.o.Platforms)),
			"name one with --platform, or none: then it is %s", FormatPlatform(*only))
	case len(p.o.Platforms) == 1:
		return p.o.Platforms, nil
	}
	return []v1.Platform{*only}, nil
}

// read reads the graphs of images, or only the indexes in them.
func (p *planner) read(g *grapher, drafts []*draft, indexes bool) error {
	g.indexes = indexes
	// All are known before any is read: what was asked for is not taken for what
	// an index lists, whichever of them comes first.
	for _, d := range drafts {
		var err error
		if d.original, err = g.add(d.Source, d.Image, d.Image.Root); err != nil {
			return at(AtSource, d.Image.Name, err)
		}
	}
	for _, d := range drafts {
		g.need(d.original)
	}
	if err := g.wait(); err != nil {
		return err
	}
	for _, d := range drafts {
		if d.original.lacking {
			return at(AtSource, d.Image.Name, lacks([]Omission{{d.original.desc, NotAtSource}}))
		}
		if d.original.manifest == nil {
			return at(AtSource, d.Image.Name, fault.Unsupported("%s is neither an image manifest nor an index, but %.200q",
				d.Image.Root.Digest, d.Image.Root.MediaType))
		}
	}
	return nil
}

// decide finds out what is taken of images whose graphs were read, and reads
// what that needs.
func (p *planner) decide(ctx context.Context, g *grapher, drafts []*draft, wants []v1.Platform) error {
	g.indexes = false
	p.selections = make(map[*node]*selection)
	for _, d := range drafts {
		if err := p.choose(g, d, wants); err != nil {
			return at(AtSource, d.Image.Name, err)
		}
	}
	if err := g.wait(); err != nil {
		return err
	}
	for _, d := range drafts {
		if err := p.settle(ctx, d); err != nil {
			return at(AtSource, d.Image.Name, err)
		}
	}
	return nil
}

// choose decides which manifests of an image are needed, and lets them be read.
func (p *planner) choose(g *grapher, d *draft, wants []v1.Platform) (err error) {
	d.root = d.original
	if len(wants) > 0 && p.sink.Properties().Platform != nil && IsIndex(d.original.desc.MediaType) {
		if d.root, err = platformNode(d.original, wants[0]); err == nil {
			d.platforms = wants
			g.need(d.root)
		}
		return err
	}
	if d.sel = p.selections[d.original]; d.sel != nil {
		return nil
	}
	if d.sel, err = choose(d.original, wants, p.o.Complete); err == nil {
		p.selections[d.original] = d.sel
		d.sel.each(g.need)
	}
	return err
}

// settle decides in which form an image goes to the sink.
func (p *planner) settle(ctx context.Context, d *draft) error {
	if d.root.lacking {
		return lacks([]Omission{{d.root.desc, NotAtSource}})
	}
	if d.sel == nil {
		return nil
	}
	if err := d.sel.settle(); err != nil {
		return err
	}
	d.omitted, d.platforms = slices.Clip(d.sel.omitted), d.sel.platforms
	if err := p.member(omissionCost * len(d.omitted)); err != nil {
		return err
	}
	switch {
	case !IsIndex(d.original.desc.MediaType):
		if d.subject == "" && len(p.o.Platforms) > 0 {
			return configSuits(ctx, d.Request, d.original, p.o.Platforms)
		}
	case len(d.omitted) > 0:
		sparse, err := p.takesSparse(ctx, d)
		if err != nil {
			return at(AtTarget, d.Target, err)
		}
		if sparse {
			d.root = d.sel.sparse()
			return nil
		}
		fresh := d.sel.fresh == nil
		if d.root, err = d.sel.reindexed(); err == nil && fresh {
			p.reindexed += d.sel.bytes
		}
		if err == nil && p.reindexed > maxManifests {
			err = fault.Damaged("new indexes have more than %d bytes together", maxManifests)
		}
		return err
	}
	return nil
}

// takesSparse asks the sink whether it keeps the indexes of an image of which
// only a part is copied.
func (p *planner) takesSparse(ctx context.Context, d *draft) (bool, error) {
	sink, ok := p.sink.(Sparse)
	if !ok {
		return false, nil
	}
	for _, n := range d.sel.parts() {
		var kept []v1.Descriptor
		for _, i := range d.sel.positions(n) {
			kept = append(kept, n.manifest.Manifests[i])
		}
		ok, err := sink.TakesSparse(ctx, Image{Name: d.Target, Root: bare(n.desc)}, n.content, kept)
		if err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// image adds one image with its whole graph.
func (p *planner) image(ctx context.Context, d *draft) error {
	done := Planned{
		Source: d.Image, Target: Image{Name: d.Target, Root: bare(d.root.desc)},
		Subject: d.subject, Omitted: d.omitted,
	}
	if d.root == d.original {
		done.Target.Root = d.Image.Root
	}
	for _, w := range d.platforms {
		done.Platforms = append(done.Platforms, FormatPlatform(w))
	}
	if done.Target.Name.Digest != "" && d.root != d.original {
		done.Target.Name.Digest = d.root.desc.Digest
	}
	held, err := p.sink.Holds(ctx, done.Target, d.root.content)
	if err != nil {
		return at(AtTarget, d.Target, err)
	}
	done.Held = held
	if s, ok := p.sink.(Planning); ok && !held && IsManifest(d.root.desc.MediaType) && IsConfig(d.root.manifest.Config.MediaType) {
		config, err := readConfig(ctx, d.Request, d.root)
		if err != nil {
			return err
		}
		if err := s.Plan(ctx, done.Target, d.root.content, config); err != nil {
			return at(AtTarget, d.Target, err)
		}
	}
	if err := p.walk(d, d.root, &done, make(map[*node]bool)); err != nil {
		return err
	}
	p.plan.Images = append(p.plan.Images, done)
	return nil
}

// bare is a descriptor with what names content and nothing else.
func bare(d v1.Descriptor) v1.Descriptor {
	return v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
}

// readConfig reads the config of an image.
func readConfig(ctx context.Context, r Request, n *node) ([]byte, error) {
	i := &item{desc: *n.manifest.Config, source: r.Source, from: r.Image}
	rc, err := i.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rc.Close() }() // only read from
	return blob.ReadAll(rc, i.desc.Digest, i.desc.Size, MaxManifest)
}

// configSuits checks that an image without index is for one of the platforms
// wanted.
func configSuits(ctx context.Context, r Request, n *node, wants []v1.Platform) error {
	config, err := readConfig(ctx, r, n)
	if err != nil {
		return err
	}
	return checkPlatform(config, wants)
}

// walk adds a node and all below it, children first.
func (p *planner) walk(d *draft, n *node, img *Planned, seen map[*node]bool) error {
	if seen[n] {
		return nil
	}
	seen[n] = true
	if n.isBlob() {
		return p.add(&p.plan.layers, d, n.desc, img, nil, 0)
	}
	img.Size += n.desc.Size
	level := d.above
	for _, c := range n.children {
		if err := p.walk(d, c, img, seen); err != nil {
			return err
		}
		if !c.isBlob() {
			level = max(level, p.items[itemKey{c.desc.Digest, true}].level+1)
		}
	}
	// The grapher knows how deep it came upon a node first, not how deep it is.
	if level-d.above > MaxDepth {
		return fault.Damaged("indexes are nested more than %d deep", MaxDepth)
	}
	for _, l := range n.manifest.Layers {
		if IsForeign(l.MediaType) && len(l.URLs) > 0 && !p.o.ForeignLayers {
			if err := p.member(omissionCost); err != nil {
				return err
			}
			img.Omitted = append(img.Omitted, Omission{bare(l), ForeignLayer})
			continue
		}
		if err := p.add(&p.plan.layers, d, l, img, nil, 0); err != nil {
			return err
		}
	}
	if c := n.manifest.Config; c != nil {
		if err := p.add(&p.plan.configs, d, *c, img, nil, 0); err != nil {
			return err
		}
	}
	return p.add(&p.plan.manifests, d, n.desc, img, n.content, level)
}

// add adds a blob or manifest, or the image to one that is known already.
func (p *planner) add(list *[]*item, d *draft, of v1.Descriptor, img *Planned, content []byte, level int) error {
	key := itemKey{of.Digest, content != nil}
	i, ok := p.items[key]
	if !ok {
		if len(p.items) == MaxNodes {
			return fault.Damaged("more than %d blobs and manifests", MaxNodes)
		}
		i = &item{desc: bare(of), urls: of.URLs, foreign: p.o.Foreign, source: d.Source, from: d.Image, plan: &p.plan, content: content, level: level}
		p.items[key] = i
		*list = append(*list, i)
	}
	if i.desc.Size != of.Size {
		return fault.Damaged("%s is referred to with %d and with %d bytes", of.Digest, i.desc.Size, of.Size)
	}
	if content == nil {
		img.Size += of.Size
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
func (p *planner) ask(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fetches)
	for _, i := range slices.Concat(p.plan.layers, p.plan.configs) {
		if len(i.owners) == 0 {
			i.has = true // only images that the sink holds need it
			continue
		}
		group.Go(func() (err error) {
			i.has, err = p.sink.Has(ctx, i.desc, i.images())
			return at(AtTarget, i.desc.Digest, err)
		})
	}
	return group.Wait()
}
