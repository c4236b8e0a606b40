package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/docker"
	"bale/transport/layout"
)

// The kinds of place, as they are written in front of an image
// (containers-transports).
const (
	registryPlace = "docker://"
	enginePlace   = "docker-daemon:"
	layoutPlace   = "oci:"
)

var places = []string{registryPlace, enginePlace, layoutPlace}

// isPlace reports whether an argument says what kind of place it is.
func isPlace(arg string) bool {
	return slices.ContainsFunc(places, func(k string) bool { return strings.HasPrefix(arg, k) })
}

// laterPlaces are kinds that users of skopeo know and bale does not have yet.
var laterPlaces = []string{"containers-storage:", "containerd:", "oci-archive:", "docker-archive:", "dir:", "bale:"}

// splitPlace takes the kind of place off an argument. A bare name is a registry's.
func splitPlace(arg string) (kind, rest string, err error) {
	for _, k := range places {
		if rest, ok := strings.CutPrefix(arg, k); ok {
			return k, rest, nil
		}
	}
	for _, k := range laterPlaces {
		if strings.HasPrefix(arg, k) {
			return "", "", fault.WithHint(fault.Unsupported("%s: places of kind %s are not supported yet", arg, k),
				"supported are docker://, docker-daemon: and oci:")
		}
	}
	if strings.Contains(arg, "://") {
		return "", "", fault.WithHint(fault.Usage("%q is not a place of images", arg),
			"registries are written docker://HOST/NAME, without http:// or https://")
	}
	return registryPlace, arg, nil
}

// sources opens places to read from, each once.
type sources struct {
	conn     *connection
	progress transport.Progress
	open     map[string]transport.Source
	whole    bool // an engine without a name stands for all its images
}

func newSources(c *connection, p transport.Progress) *sources {
	return &sources{conn: c, progress: p, open: make(map[string]transport.Source)}
}

// wanted is one argument: a source and what is to be taken from it.
type wanted struct {
	source   transport.Source
	selector string
}

// all opens the places that the arguments name, and prepares them for all that
// is wanted of them.
func (s *sources) all(ctx context.Context, args []string) ([]wanted, error) {
	var list []wanted
	bySource := make(map[transport.Source][]string)
	for _, arg := range args {
		w, err := s.parse(ctx, arg)
		if err != nil {
			return nil, err
		}
		list = append(list, w)
		bySource[w.source] = append(bySource[w.source], w.selector)
	}
	for _, w := range list {
		p, ok := w.source.(transport.Preparer)
		if selectors := bySource[w.source]; ok && len(selectors) > 1 {
			delete(bySource, w.source) // once is enough
			if err := p.Prepare(ctx, selectors); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

// parse takes an argument to pieces and opens its place.
func (s *sources) parse(ctx context.Context, arg string) (wanted, error) {
	kind, rest, err := splitPlace(arg)
	if err != nil {
		return wanted{}, err
	}
	key, selector := kind, rest
	if kind == layoutPlace {
		dir, ref, err := layout.Split(rest)
		if err != nil {
			return wanted{}, err
		}
		key, selector = kind+dir, ref
	} else if rest == "" && (kind != enginePlace || !s.whole) {
		return wanted{}, fault.Usage("%q names no image", arg)
	}
	src, ok := s.open[key]
	if !ok {
		if src, err = s.source(ctx, kind, strings.TrimPrefix(key, kind)); err != nil {
			return wanted{}, err
		}
		s.open[key] = src
	}
	return wanted{src, selector}, nil
}

func (s *sources) source(ctx context.Context, kind, dir string) (transport.Source, error) {
	switch kind {
	case enginePlace:
		return docker.NewSource(ctx, docker.Options{Exported: s.progress.Add})
	case layoutPlace:
		return layout.Open(dir)
	}
	c, err := s.conn.client()
	if err != nil {
		return nil, err
	}
	return c.Source(), nil
}

func (s *sources) close() error {
	var errs []error
	for _, src := range s.open {
		errs = append(errs, src.Close())
	}
	return errors.Join(errs...)
}

// target is a place to write to, and what images are called there.
type target struct {
	place string // as the user wrote it
	sink  transport.Sink
	name  func(transport.Name) (transport.Name, error)
	// source opens the place to read from; a layout may not be there yet.
	source func(context.Context) (transport.Source, error)
}

// openTarget opens the place that --to names.
func openTarget(ctx context.Context, to string, conn *connection, p transport.Progress) (*target, error) {
	kind, rest, err := splitPlace(to)
	if err != nil {
		return nil, err
	}
	same := func(n transport.Name) (transport.Name, error) { return n, nil }
	switch kind {
	case enginePlace:
		if rest != "" {
			return nil, fault.WithHint(fault.Usage("--to %s: an engine takes images under their own names", to), "write --to docker-daemon:")
		}
		sink, err := docker.NewSink(ctx, docker.Options{})
		if err != nil {
			return nil, err
		}
		return &target{to, sink, same, func(ctx context.Context) (transport.Source, error) {
			return docker.NewSource(ctx, docker.Options{Exported: p.Add})
		}}, nil
	case layoutPlace:
		dir, ref, err := layout.Split(rest)
		if err != nil {
			return nil, err
		}
		var opts []layout.Option
		if ref != "" {
			opts = append(opts, layout.WithRef(ref))
		}
		sink, err := layout.NewSink(dir, opts...)
		if err != nil {
			return nil, err
		}
		return &target{to, sink, same, func(context.Context) (transport.Source, error) { return layout.Open(dir) }}, nil
	}
	rename, err := under(strings.TrimSuffix(rest, "/"))
	if err != nil {
		return nil, err
	}
	c, err := conn.client()
	if err != nil {
		return nil, err
	}
	return &target{to, c.Sink(), rename, func(context.Context) (transport.Source, error) { return c.Source(), nil }}, nil
}

// under returns what puts docker.io/library/nginx:1 at PREFIX/library/nginx:1,
// where the prefix is a registry's host, perhaps with a path.
func under(prefix string) (func(transport.Name) (transport.Name, error), error) {
	host, _, _ := strings.Cut(prefix, "/")
	if !strings.ContainsAny(host, ".:") && host != "localhost" {
		return nil, fault.WithHint(fault.Usage("--to %q does not start with a registry's host", prefix),
			"write docker://HOST[:PORT][/PATH], docker-daemon: or oci:DIR")
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
