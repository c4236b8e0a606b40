package main

import (
	"context"
	"strings"

	"bale/bundle/fault"
	"bale/transport"
)

// target is a place to write to, and what images are called there.
type target struct {
	place string // as the user wrote it
	sink  transport.Sink
	name  func(transport.Name) (transport.Name, error)
	// source opens the place to read from; a layout may not be there yet.
	source func(context.Context) (transport.Source, error)
}

// openTarget opens a place to write to: one that takes any images or, if exact
// is set, perhaps the name of one image at a place.
func openTarget(ctx context.Context, to string, p *placing, exact bool) (*target, error) {
	kind, at, selector, err := splitPlace(to)
	if err != nil {
		return nil, err
	}
	name := func(n transport.Name) (transport.Name, error) { return n, nil }
	switch {
	case kind == registryPlace && !exact && hasTag(selector):
		err = fault.WithHint(fault.Usage("%s names one image, and there may be several", to),
			"write a registry's host, perhaps with a path: every image keeps its own name below it")
	case kind == registryPlace && !(exact && isImage(selector)):
		name, err = under(strings.TrimSuffix(selector, "/"))
	case selector == "" || kind.refs:
	case exact:
		name, err = called(selector)
	default:
		err = fault.WithHint(fault.Usage("%s: images come here under their own names", to), "write %s", strings.TrimSuffix(kind.prefix+at, "/"))
	}
	if err != nil {
		return nil, err
	}
	sink, err := kind.sink(ctx, p, at, selector)
	if err != nil {
		return nil, err
	}
	return &target{to, sink, name, func(ctx context.Context) (transport.Source, error) { return kind.source(ctx, p, at) }}, nil
}

// isImage tells the name of an image in a registry from a registry, or a part
// of one, which ends in a slash.
func isImage(s string) bool {
	_, path, _ := strings.Cut(s, "/")
	return path != "" && !strings.HasSuffix(path, "/")
}

// hasTag tells the name of one image, by its tag or digest.
func hasTag(s string) bool {
	return isImage(s) && strings.ContainsAny(s[strings.LastIndex(s, "/"):], ":@")
}

// called returns what gives one image a name.
func called(s string) (func(transport.Name) (transport.Name, error), error) {
	name, err := transport.ParseName(s)
	if err != nil {
		return nil, err
	}
	return func(transport.Name) (transport.Name, error) { return name, nil }, nil
}

// under returns what puts docker.io/library/nginx:1 at PREFIX/library/nginx:1,
// where the prefix is a registry's host, perhaps with a path.
func under(prefix string) (func(transport.Name) (transport.Name, error), error) {
	host, _, _ := strings.Cut(prefix, "/")
	if !strings.ContainsAny(host, ".:") && host != "localhost" {
		return nil, fault.WithHint(fault.Usage("%q does not start with a registry's host", prefix),
			"write docker://HOST[:PORT][/PATH], or another place such as docker-daemon: or oci:DIR")
	}
	return func(n transport.Name) (transport.Name, error) {
		// ParseName checks what the two give together.
		t, err := transport.ParseName(prefix + "/" + n.Path)
		if err != nil {
			return transport.Name{}, err
		}
		t.Tag, t.Digest = n.Tag, n.Digest
		return t, nil
	}, nil
}

// requests asks for images to be copied to the target.
func (t *target) requests(src transport.Source, images []transport.Image, listed bool) ([]transport.Request, error) {
	var out []transport.Request
	for _, i := range images {
		name, err := t.name(i.Name)
		if err != nil {
			return nil, err
		}
		if name.Digest != "" && name.Digest != i.Root.Digest {
			return nil, fault.Usage("%s is %s, so it cannot be called %s", i.Name, i.Root.Digest, name)
		}
		out = append(out, transport.Request{Source: src, Image: i, Target: name, Listed: listed})
	}
	return out, nil
}
