package docker

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/moby/client"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

// ref is a name at the engine and the ID of the image that has it.
type ref struct {
	name transport.Name
	id   digest.Digest
	root v1.Descriptor // if the engine keeps manifests
}

// String returns what to call the image in a message.
func (r ref) String() string {
	if r.name.Path == "" {
		return "image " + r.id.String()
	}
	return r.name.String()
}

// ref reads what an engine says of an image.
func (e *engine) ref(name transport.Name, res client.ImageInspectResult) (ref, error) {
	id, err := e.parseID(res.ID)
	if err != nil {
		return ref{}, err
	}
	root, err := e.root(id, res.Descriptor)
	return ref{name, id, root}, err
}

// root reads what an engine says of the manifest or index of an image.
func (e *engine) root(id digest.Digest, d *v1.Descriptor) (v1.Descriptor, error) {
	if e.store != containerdStore {
		return v1.Descriptor{}, nil
	}
	if d == nil || d.Digest != id || d.MediaType == "" || d.Size <= 0 {
		return v1.Descriptor{}, fault.Damaged("%s: does not say of image %s what it is", e, id)
	}
	return v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}, nil
}

var (
	idForm   = regexp.MustCompile(`^(sha256:)?[0-9a-f]{1,64}$`)
	wholeID  = regexp.MustCompile(`^(sha256:)?[0-9a-f]{64}$`)
	nameless = "<none>:<none>" // what engines before 25.0 list for no name
)

// find returns what a selector names; see [Source.Images].
func (e *engine) find(ctx context.Context, selector string) ([]ref, error) {
	if selector == "" {
		return e.list(ctx)
	}
	if strings.HasPrefix(selector, "sha256:") && idForm.MatchString(selector) || wholeID.MatchString(selector) {
		return e.findID(ctx, selector)
	}
	name, err := transport.ParseName(selector)
	if err != nil {
		return nil, err
	}
	at := name.String()
	if name.Digest != "" {
		if e.store != containerdStore {
			return nil, fault.WithHint(fault.Unsupported("%s: %s: it does not keep images as they were, so nothing in it can be had by a manifest's digest", e, selector),
				"name the image by its tag or ID, or take it from its registry")
		}
		at = name.Repository() + "@" + name.Digest.String()
	}
	res, ok, err := e.inspect(ctx, at)
	switch {
	case err != nil:
		return nil, err
	case ok:
		r, err := e.ref(name, res)
		return []ref{r}, err
	case idForm.MatchString(selector):
		return e.findID(ctx, selector)
	}
	return nil, fault.WithHint(e.noImage(selector), "%[1]s images shows what the engine has; %[1]s pull %[2]s gets it there", e.command(), selector)
}

// findAll returns what several selectors name.
func (e *engine) findAll(ctx context.Context, selectors []string) ([]ref, error) {
	var all []ref
	for _, sel := range selectors {
		refs, err := e.find(ctx, sel)
		if err != nil {
			return nil, err
		}
		all = append(all, refs...)
	}
	return all, nil
}

// findID finds an image by its ID and calls it by the first of its names.
func (e *engine) findID(ctx context.Context, selector string) ([]ref, error) {
	res, ok, err := e.inspect(ctx, selector)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fault.WithHint(e.noImage(selector), "%s images shows what the engine has", e.command())
	}
	r, err := e.ref(transport.Name{}, res)
	if err != nil {
		return nil, err
	}
	names, err := e.names(res.RepoTags, res.RepoDigests)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fault.WithHint(fault.Usage("%s: image %s has no name", e, r.id),
			"give it one: %s tag %s NAME:TAG", e.command(), r.id)
	}
	slices.SortFunc(names, func(a, b transport.Name) int { return cmp.Compare(a.String(), b.String()) })
	r.name = names[0]
	return []ref{r}, nil
}

// list returns all names at the engine, sorted.
func (e *engine) list(ctx context.Context) ([]ref, error) {
	res, err := e.api.ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		return nil, e.fail("list images", err)
	}
	var refs []ref
	for _, img := range res.Items {
		names, err := e.names(img.RepoTags, img.RepoDigests)
		if err != nil {
			return nil, err
		}
		if len(names) == 0 {
			continue
		}
		id, err := e.parseID(img.ID)
		if err != nil {
			return nil, err
		}
		root, err := e.root(id, img.Descriptor)
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			refs = append(refs, ref{n, id, root})
		}
	}
	slices.SortFunc(refs, func(a, b ref) int { return cmp.Compare(a.name.String(), b.name.String()) })
	return refs, nil
}

func (e *engine) noImage(selector string) error {
	return fault.Missing("%s: no image %s", e, selector)
}

// names reads what an engine calls an image, each name once. RepoDigests count
// where they are names themselves: if the engine keeps manifests, and has no tag
// for the image in that repository.
func (e *engine) names(tags, digests []string) ([]transport.Name, error) {
	var names []transport.Name
	tagged := map[string]bool{}
	read := func(s string) error {
		n, err := transport.ParseName(s)
		_, bare := digest.Parse(s) // what is no container image has that in place of a name
		switch {
		case s == nameless || bare == nil:
		case err != nil:
			return fault.Damaged("%s: names an image %.100q: %s", e, s, err)
		case n.Digest != "" && (e.store != containerdStore || tagged[n.Repository()] || slices.Contains(names, n)):
		default:
			tagged[n.Repository()] = tagged[n.Repository()] || n.Tag != ""
			names = append(names, n)
		}
		return nil
	}
	// Some engines list digests among the tags, too.
	isDigest := func(s string) bool { return strings.Contains(s, "@") }
	last := slices.DeleteFunc(slices.Clone(tags), func(s string) bool { return !isDigest(s) })
	for _, s := range slices.Concat(slices.DeleteFunc(slices.Clone(tags), isDigest), last, digests) {
		if err := read(s); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// command is what users type to speak to the engine.
func (e *engine) command() string {
	if e.podman {
		return "podman"
	}
	return "docker"
}

func (e *engine) id(res client.ImageInspectResult) (digest.Digest, error) { return e.parseID(res.ID) }

// parseID reads an image ID. Podman leaves the algorithm out.
func (e *engine) parseID(s string) (digest.Digest, error) {
	if !strings.Contains(s, ":") {
		s = "sha256:" + s
	}
	id, err := digest.Parse(s)
	if err != nil {
		return "", fault.Damaged("%s: has an image ID %q: %w", e, s, err)
	}
	return id, nil
}
