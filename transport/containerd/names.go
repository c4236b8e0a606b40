package containerd

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

// maxHintNames is how many names a hint lists.
const maxHintNames = 10

// madeUp matches names that ctr makes for what has none when it imports.
var madeUp = regexp.MustCompile(`^import-\d{4}-\d{2}-\d{2}\b`)

// record is an image of containerd's that has a name by Docker's rules.
type record struct {
	name transport.Name
	full bool // the record is called by the full name, as all but ctr do
	root v1.Descriptor
}

func (r record) image() transport.Image { return transport.Image{Name: r.name, Root: r.root} }

// catalog is what images a namespace holds.
type catalog struct {
	n       *node
	all     []record                        // sorted by name, the full ones first
	targets map[digest.Digest]v1.Descriptor // of records that are called by an image ID
}

// catalog asks for all images.
func (n *node) catalog(ctx context.Context) (*catalog, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	list, err := n.api.ImageService().List(n.in(ctx))
	if err != nil {
		return nil, n.fail(ctx, "list images", err)
	}
	return newCatalog(n, list), nil
}

func newCatalog(n *node, list []images.Image) *catalog {
	c := &catalog{n: n, targets: make(map[digest.Digest]v1.Descriptor)}
	for _, i := range list {
		// kubelet keeps a record under each image's ID.
		if id, err := digest.Parse(i.Name); err == nil {
			c.targets[id] = bare(i.Target)
			continue
		}
		if name, full, ok := readName(i.Name); ok && (name.Digest == "" || name.Digest == i.Target.Digest) {
			c.all = append(c.all, record{name, full, bare(i.Target)})
		}
	}
	slices.SortFunc(c.all, func(a, b record) int {
		switch {
		case a.full == b.full:
			return cmp.Compare(a.name.String(), b.name.String())
		case a.full:
			return -1
		}
		return 1
	})
	return c
}

// readName reads what a record is called. ok is false for what is no name by
// Docker's rules, or is one that a tool made up.
func readName(s string) (n transport.Name, full, ok bool) {
	n, err := transport.ParseName(s)
	switch {
	case err != nil:
		return n, false, false
	case n.String() == s:
		return n, true, true
	case madeUp.MatchString(s), n.Digest != "":
		return n, false, false // such as overlayfs@sha256:…, which nerdctl's build makes
	}
	return n, false, true
}

// list returns every image once for each tag, and by digest if it has none.
func (c *catalog) list() ([]transport.Image, error) {
	known := make(map[transport.Name]v1.Descriptor)
	tagged := make(map[string]bool)
	for _, r := range c.all {
		if r.name.Tag != "" {
			tagged[r.name.Repository()+"@"+r.root.Digest.String()] = true
		}
	}
	var out []transport.Image
	for _, r := range c.all {
		if r.name.Tag == "" && tagged[r.name.String()] {
			continue // kubelet's second name
		}
		other, ok := known[r.name]
		if ok && other.Digest != r.root.Digest {
			return nil, fault.WithHint(fault.Usage("containerd:%s: two images are called %s: %s and %s", c.n.namespace, r.name, other.Digest, r.root.Digest),
				"name one of them by its digest: containerd:%s/%s@%s", c.n.namespace, r.name.Repository(), r.root.Digest)
		}
		if !ok {
			known[r.name] = r.root
			out = append(out, r.image())
		}
	}
	slices.SortFunc(out, func(a, b transport.Image) int { return cmp.Compare(a.Name.String(), b.Name.String()) })
	return out, nil
}

// first returns the first record that matches.
func (c *catalog) first(match func(record) bool) (record, bool) {
	if i := slices.IndexFunc(c.all, match); i >= 0 {
		return c.all[i], true
	}
	return record{}, false
}

// byDigest returns what has a digest, or an image ID, by the first of its names;
// one with a tag if there is one.
func (c *catalog) byDigest(d digest.Digest) (transport.Image, bool) {
	if t, ok := c.targets[d]; ok {
		d = t.Digest
	}
	r, ok := c.first(func(r record) bool { return r.root.Digest == d && r.name.Tag != "" })
	if !ok {
		r, ok = c.first(func(r record) bool { return r.root.Digest == d })
	}
	return r.image(), ok
}

// byName returns what is called by a name. A tag says which image it is; a
// digest besides must be that image's.
func (c *catalog) byName(n transport.Name) (transport.Image, error) {
	r, ok := c.first(func(r record) bool {
		return r.name.Repository() == n.Repository() && (n.Tag == "" || n.Tag == r.name.Tag) && (n.Digest == "" || n.Digest == r.root.Digest)
	})
	if ok {
		return transport.Image{Name: n, Root: r.root}, nil
	}
	if n.Digest != "" && n.Tag != "" {
		tag := n
		tag.Digest = ""
		if other, err := c.byName(tag); err == nil {
			return transport.Image{}, c.n.missing("no image %s: %s is %s there", n, tag, other.Root.Digest)
		}
	}
	return transport.Image{}, c.missing(n.String())
}

// missing tells that there is no such image, and which ones there are.
func (c *catalog) missing(what string) error {
	err := c.n.missing("no image %s", what)
	list, lerr := c.list()
	if lerr != nil || len(list) == 0 {
		return err
	}
	var names []string
	for _, i := range list {
		if len(names) == maxHintNames {
			names = append(names, "and others")
			break
		}
		names = append(names, i.Name.String())
	}
	return fault.WithHint(err, "it holds %s", strings.Join(names, ", "))
}
