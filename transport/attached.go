package transport

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"bale/bundle/fault"
)

// attachedTag is how tools name what they attach to a digest where there are no
// referrers: cosign's signatures, attestations and SBOMs, and the list of
// referrers itself (distribution spec, "Referrers Tag Schema").
var attachedTag = regexp.MustCompile(`^(sha256|sha512)-([0-9a-f]{64}|[0-9a-f]{128})(?:\.(sig|att|sbom))?$`)

// AttachedTags are the endings of tags that cosign makes of a digest.
var AttachedTags = []string{"sig", "att", "sbom"}

// AttachedTag returns the tag under which something of a kind is attached to
// the manifest d: "sha256-<hex>.sig". With kind "" it is the tag of d's list of
// referrers.
func AttachedTag(d digest.Digest, kind string) string {
	tag := d.Algorithm().String() + "-" + d.Encoded()
	if kind != "" {
		tag += "." + kind
	}
	return tag
}

// AttachedTo reads a tag that [AttachedTag] makes.
func AttachedTo(tag string) (d digest.Digest, kind string, ok bool) {
	m := attachedTag.FindStringSubmatch(tag)
	if m == nil {
		return "", "", false
	}
	d = digest.NewDigestFromEncoded(digest.Algorithm(m[1]), m[2])
	return d, m[3], d.Validate() == nil
}

// Attachment returns what an image with the manifest m is attached to, if it is a
// signature, an attestation or the like: it has a subject, or one of cosign's tags,
// and nothing that an engine could run. What could be run stands for itself,
// whatever it says of itself; under a name of its own it needs no layers that are
// called so, since Docker's engine does not ask what its layers are called.
func (i Image) Attachment(m *Manifest) (to digest.Digest, ok bool) {
	to, kind, ok := AttachedTo(i.Name.Tag)
	ok = ok && kind != ""
	named := i.Name.Tag != "" && !ok
	switch {
	case m.Config == nil, CanRun(m.Config.MediaType) && (named || slices.ContainsFunc(m.Layers, isLayer)):
		return "", false
	case ok:
		return to, true
	}
	return m.Subject, m.Subject != ""
}

// isLayer reports whether a blob of a manifest is a file system's layer by its
// media type, as OCI and Docker name them.
func isLayer(d v1.Descriptor) bool {
	return strings.Contains(d.MediaType, ".tar") || strings.Contains(d.MediaType, "image.layer") || strings.Contains(d.MediaType, "rootfs.diff")
}

// standing leaves out images that nobody asked for by name and that are attached
// to others: they are found through these. Some may be attached to each other,
// or to what only they hold; one of those stays.
func (p *planner) standing(g *grapher, drafts []*draft) []*draft {
	var kept, rest []*draft
	waiting := make(map[*node][]*draft) // by what they are attached to
	for _, d := range drafts {
		if subject := g.find(d.Source, d.Image.Name.Repository(), d.attachedTo()); subject != nil {
			rest = append(rest, d)
			waiting[subject] = append(waiting[subject], d)
			continue
		}
		kept = append(kept, d)
	}
	if len(rest) == 0 {
		return drafts
	}
	stands, found, reached := make(map[*draft]bool), make(map[*draft]bool), make(map[*node]bool)
	var reach func(n *node)
	reach = func(n *node) {
		if reached[n] {
			return
		}
		reached[n] = true
		for _, d := range waiting[n] {
			found[d] = true
			reach(d.original)
		}
		for _, c := range n.children {
			reach(c)
		}
	}
	for _, d := range kept {
		stands[d] = true
		reach(d.original)
	}
	for _, d := range rest {
		if !found[d] {
			stands[d] = true
			reach(d.original)
		}
	}
	for _, d := range rest {
		if !stands[d] {
			p.listed[d.original] = append(p.listed[d.original], d)
		}
	}
	return slices.DeleteFunc(slices.Clone(drafts), func(d *draft) bool { return !stands[d] })
}

// attachedTo returns what an image that nobody asked for by name is attached to,
// and found through; "" if it stands for itself.
func (d *draft) attachedTo() digest.Digest {
	if _, ok := d.Source.(Referring); !ok || !d.Listed {
		return ""
	}
	if to, kind, ok := AttachedTo(d.Image.Name.Tag); ok && kind != "" {
		return to
	}
	return d.original.manifest.Subject
}

// attached adds to images what is attached to them and to what is attached to
// them, if it is wanted and the sink can keep it.
func (p *planner) attached(ctx context.Context, g *grapher, drafts []*draft) ([]*draft, error) {
	if p.o.NoReferrers {
		return drafts, nil
	}
	known := make(map[string]*draft) // by what they will be called
	for _, d := range drafts {
		known[attachedKey(d.Target, d.Image.Root)] = d
	}
	fresh := drafts
	for depth := 0; len(fresh) > 0; depth++ {
		if depth > MaxDepth {
			return nil, fault.Damaged("what is attached to images is nested more than %d deep", MaxDepth)
		}
		found, err := p.referrers(ctx, g, fresh)
		if err != nil {
			return nil, err
		}
		fresh = nil
		for _, d := range found {
			key := attachedKey(d.Target, d.Image.Root)
			if known[key] != nil {
				continue
			}
			known[key] = d
			fresh = append(fresh, d)
			if len(known) > MaxNodes {
				return nil, fault.Damaged("more than %d images and what is attached to them", MaxNodes)
			}
		}
		if err := p.read(g, fresh, false); err != nil {
			return nil, err
		}
		if err := p.decide(ctx, g, fresh, nil); err != nil {
			return nil, err
		}
		drafts = append(drafts, fresh...)
	}
	var all []Request
	for _, d := range drafts {
		all = append(all, d.Request)
	}
	return drafts, checkTargets(all)
}

func attachedKey(target Name, root v1.Descriptor) string {
	target.Digest = root.Digest
	return target.String()
}

// asked is a manifest whose referrers are asked for.
type asked struct {
	drafts []*draft // that it is a part of, of one source and for one repository
	desc   v1.Descriptor
	found  []Image
}

// referrers asks for what is attached to any part of images.
func (p *planner) referrers(ctx context.Context, g *grapher, drafts []*draft) ([]*draft, error) {
	var list []*asked
	type key struct {
		source     Source
		repository string
		target     string
		digest     digest.Digest
	}
	seen := make(map[key]*asked)
	unkept := p.sink.Properties().NoReferrers
	for _, d := range drafts {
		l, local := d.Source.(Local)
		if _, ok := d.Source.(Referring); !ok || unkept && !(local && l.Local()) {
			continue // nobody could keep it, and asking costs
		}
		for _, m := range d.manifests() {
			k := key{d.Source, d.Image.Name.Repository(), d.Target.Repository(), m.Digest}
			if a := seen[k]; a != nil {
				a.drafts = append(a.drafts, d)
				continue
			}
			seen[k] = &asked{drafts: []*draft{d}, desc: m}
			list = append(list, seen[k])
		}
	}
	if err := ask(ctx, list); err != nil {
		return nil, err
	}
	var out []*draft
	for _, a := range list {
		d := a.drafts[0]
		// One of the images may get a new index, and another hold that which was.
		copied := slices.ContainsFunc(a.drafts, func(d *draft) bool { return d.copied()[a.desc.Digest] })
		for _, i := range a.found {
			if unkept || !copied {
				o := Omission{Descriptor: bare(i.Root), Reason: SubjectReplaced}
				if unkept {
					o.Reason = NotKept
				}
				if err := p.member(omissionCost); err != nil {
					return nil, err
				}
				d.omitted = append(d.omitted, o)
				continue
			}
			for _, r := range p.called(g, d, i) {
				out = append(out, &draft{Request: r, subject: a.desc.Digest, above: d.above + MaxDepth + 1})
			}
		}
	}
	return out, nil
}

// called returns how something that is attached to an image will be called: by
// its digest or the tag that says what it is attached to, in the repository of
// the image; and by the tags by which its source lists it, which must not get lost.
func (p *planner) called(g *grapher, d *draft, i Image) []Request {
	n := Name{Domain: d.Target.Domain, Path: d.Target.Path, Tag: i.Name.Tag, Digest: i.Name.Digest}
	if _, kind, ok := AttachedTo(n.Tag); !ok || kind == "" {
		n.Tag, n.Digest = "", i.Root.Digest
	}
	var list []Request
	if there := g.find(d.Source, i.Name.Repository(), i.Root.Digest); n.Tag == "" && there != nil {
		for _, l := range p.listed[there] {
			if l.Target.Tag != "" && l.Target.Repository() == d.Target.Repository() {
				list = append(list, l.Request)
			}
		}
	}
	if len(list) > 0 {
		return list
	}
	return []Request{{Source: d.Source, Image: i, Target: n}}
}

// manifests returns the manifests and indexes of what is taken of an image, as
// they are at the source, each once.
func (d *draft) manifests() []v1.Descriptor {
	if d.sel == nil {
		return []v1.Descriptor{bare(d.original.desc), bare(d.root.desc)}
	}
	var list []v1.Descriptor
	d.sel.each(func(n *node) {
		if !n.isBlob() {
			list = append(list, bare(n.desc))
		}
	})
	return list
}

// copied returns which manifests and indexes of an image will be at the target.
func (d *draft) copied() map[digest.Digest]bool {
	if d.set == nil {
		d.set = make(map[digest.Digest]bool)
		(&selection{root: d.root}).each(func(n *node) { d.set[n.desc.Digest] = true })
	}
	return d.set
}

// ask asks sources for referrers, several at a time. What is not there is told
// all at once.
func ask(ctx context.Context, list []*asked) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fetches)
	missing := make([]error, len(list))
	var total atomic.Int64
	for i, a := range list {
		group.Go(func() (err error) {
			d := a.drafts[0]
			a.found, err = d.Source.(Referring).Referrers(ctx, d.Image, a.desc)
			if err == nil && total.Add(int64(len(a.found))) > MaxNodes {
				err = fault.Damaged("more than %d manifests are attached to images", MaxNodes)
			}
			err = at(AtSource, d.Image.Name, err)
			if errors.Is(err, fault.ErrMissing) {
				missing[i], err = err, nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	missing = slices.DeleteFunc(missing, func(err error) bool { return err == nil })
	return errors.Join(missing[:min(len(missing), maxMissing)]...)
}
