package main

import (
	"context"
	"errors"

	"bale/bundle/fault"
	"bale/transport"
)

// sources opens places to read from, each once.
type sources struct {
	placing
	open  map[string]transport.Source
	whole bool // an engine without a name stands for all its images
}

func (a *app) sources(c *connection, p transport.Progress) *sources {
	return &sources{placing: placing{app: a, conn: c, progress: p}, open: make(map[string]transport.Source)}
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
	p, at, selector, err := splitPlace(arg)
	if err != nil {
		return wanted{}, err
	}
	if selector == "" && !p.whole && (p == registryPlace || !s.whole) {
		return wanted{}, fault.Usage("%q names no image", arg)
	}
	if p == registryPlace && isHost(selector) {
		return wanted{}, fault.WithHint(fault.Usage("%q names a registry and no image of it", arg), "write docker://%s/NAME:TAG", selector)
	}
	src, err := s.at(ctx, p, at)
	return wanted{src, selector}, err
}

// at opens a place, once.
func (s *sources) at(ctx context.Context, p *place, at string) (transport.Source, error) {
	key := p.prefix + at
	if src, ok := s.open[key]; ok {
		return src, nil
	}
	src, err := p.source(ctx, &s.placing, at)
	if err != nil {
		return nil, err
	}
	s.open[key] = src
	return src, nil
}

func (s *sources) close() error {
	var errs []error
	for _, src := range s.open {
		errs = append(errs, src.Close())
	}
	return errors.Join(errs...)
}
