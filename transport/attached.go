package transport

import (
	"context"
	"errors"
	"regexp"
	"slices"

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

// withoutAttached leaves out images that nobody asked for by name and that are
// attached to others: they are found through these.
func withoutAttached(drafts []*draft) []*draft {
	type key struct {
		source     Source
		repository string
		digest     digest.Digest
	}
	there := make(map[key]bool)
	repository := func(d *draft) string { return d.Image.Name.Repository() }
	for _, d := range drafts {
		(&selection{root: d.original}).each(func(n *node) { there[key{d.Source, repository(d), n.desc.Digest}] = true })
	}
	return slices.DeleteFunc(slices.Clone(drafts), func(d *draft) bool {
		subject := d.original.manifest.Subject
		if of, kind, ok := AttachedTo(d.Image.Name.Tag); ok && kind != "" {
			subject = of
		}
		_, referring := d.Source.(Referring)
		return d.Listed && referring && subject != "" && subject != d.Image.Root.Digest && there[key{d.Source, repository(d), subject}]
	})
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
		found, err := p.referrers(ctx, fresh)
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
	*draft
	desc  v1.Descriptor
	found []Image
}

// referrers asks for what is attached to any part of images.
func (p *planner) referrers(ctx context.Context, drafts []*draft) ([]*draft, error) {
	var list []*asked
	type key struct {
		source     Source
		repository string
		target     string
		digest     digest.Digest
	}
	seen := make(map[key]bool)
	unkept := p.sink.Properties().NoReferrers
	for _, d := range drafts {
		l, local := d.Source.(Local)
		if _, ok := d.Source.(Referring); !ok || unkept && !(local && l.Local()) {
			continue // nobody could keep it, and asking costs
		}
		for _, m := range d.manifests() {
			k := key{d.Source, d.Image.Name.Repository(), d.Target.Repository(), m.Digest}
			if !seen[k] {
				seen[k] = true
				list = append(list, &asked{draft: d, desc: m})
			}
		}
	}
	if err := ask(ctx, list); err != nil {
		return nil, err
	}
	var out []*draft
	for _, a := range list {
		copied := a.copied()
		for _, i := range a.found {
			o := Omission{Descriptor: bare(i.Root), Reason: NotKept}
			switch {
			case unkept:
				a.omitted = append(a.omitted, o)
				continue
			case !copied[a.desc.Digest]:
				o.Reason = SubjectReplaced
				a.omitted = append(a.omitted, o)
				continue
			}
			out = append(out, &draft{
				Request: Request{Source: a.Source, Image: i, Target: Name{Domain: a.Target.Domain, Path: a.Target.Path, Tag: i.Name.Tag, Digest: i.Name.Digest}},
				subject: a.desc.Digest, above: a.above + MaxDepth + 1,
			})
		}
	}
	return out, nil
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
	for i, a := range list {
		group.Go(func() (err error) {
			a.found, err = a.Source.(Referring).Referrers(ctx, a.Image, a.desc)
			err = at(AtSource, a.Image.Name, err)
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
