package docker

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/moby/client"
	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
	"bale/transport"
)

// ref is a name at the engine and the ID of the image that has it.
type ref struct {
	name transport.Name
	id   digest.Digest
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
	if name.Digest != "" {
		return nil, fault.WithHint(fault.Unsupported("docker engine %s: %s: an engine does not keep manifests, so nothing in it can be had by a manifest's digest", e.host, selector),
			"name the image by its tag or ID, or take it from its registry")
	}
	res, ok, err := e.inspect(ctx, name.String())
	switch {
	case err != nil:
		return nil, err
	case ok:
		id, err := e.id(res)
		return []ref{{name, id}}, err
	case idForm.MatchString(selector):
		return e.findID(ctx, selector)
	}
	return nil, fault.WithHint(e.noImage(selector), "docker images shows what the engine has; docker pull %s gets it there", selector)
}

// findID finds an image by its ID and calls it by the first of its names.
func (e *engine) findID(ctx context.Context, selector string) ([]ref, error) {
	res, ok, err := e.inspect(ctx, selector)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fault.WithHint(e.noImage(selector), "docker images shows what the engine has")
	}
	id, err := e.id(res)
	if err != nil {
		return nil, err
	}
	names, err := e.names(res.RepoTags)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fault.WithHint(fault.Usage("docker engine %s: image %s has no name", e.host, id),
			"give it one: docker tag %s NAME:TAG", id)
	}
	slices.SortFunc(names, func(a, b transport.Name) int { return cmp.Compare(a.String(), b.String()) })
	return []ref{{names[0], id}}, nil
}

// list returns all names at the engine, sorted.
func (e *engine) list(ctx context.Context) ([]ref, error) {
	res, err := e.api.ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		return nil, e.fail("list images", err)
	}
	var refs []ref
	for _, img := range res.Items {
		names, err := e.names(img.RepoTags)
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
		for _, n := range names {
			refs = append(refs, ref{n, id})
		}
	}
	slices.SortFunc(refs, func(a, b ref) int { return cmp.Compare(a.name.String(), b.name.String()) })
	return refs, nil
}

func (e *engine) noImage(selector string) error {
	return fault.Missing("docker engine %s: no image %s", e.host, selector)
}

// names reads an engine's RepoTags.
func (e *engine) names(tags []string) ([]transport.Name, error) {
	var names []transport.Name
	for _, t := range tags {
		if t == nameless {
			continue
		}
		n, err := transport.ParseName(t)
		if err != nil {
			return nil, fault.Damaged("docker engine %s: names an image %.100q: %s", e.host, t, err)
		}
		names = append(names, n)
	}
	return names, nil
}

func (e *engine) id(res client.ImageInspectResult) (digest.Digest, error) { return e.parseID(res.ID) }

// parseID reads an image ID. Podman leaves the algorithm out.
func (e *engine) parseID(s string) (digest.Digest, error) {
	if !strings.Contains(s, ":") {
		s = "sha256:" + s
	}
	id, err := digest.Parse(s)
	if err != nil {
		return "", fault.Damaged("docker engine %s: has an image ID %q: %w", e.host, s, err)
	}
	return id, nil
}
