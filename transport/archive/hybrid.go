package archive

import (
	"context"
	"errors"
	"slices"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/layout"
)

// hybrid reads an archive that is an OCI layout too, as Docker writes it since
// 25.0. What stands in manifest.json only chooses images.
type hybrid struct {
	layout.Source
	archive *Archive
	file    input
}

// Images implements [transport.Source].
func (h *hybrid) Images(ctx context.Context, selector string) ([]transport.Image, error) {
	found, err := h.Source.Images(ctx, selector)
	if err == nil || selector == "" || !errors.Is(err, fault.ErrMissing) {
		return found, err
	}
	m := h.archive.chosen(selector)
	if m == nil {
		if number.MatchString(selector) {
			err = h.archive.missing(selector)
		}
		return nil, err
	}
	names, nerr := m.names()
	if nerr != nil {
		return nil, nerr
	}
	all, aerr := h.Source.Images(ctx, "")
	if aerr != nil {
		return nil, aerr
	}
	for _, called := range []bool{true, false} { // best one that is called as here
		for _, img := range all {
			if slices.Contains(names, img.Name) != called {
				continue
			}
			w := walk{ctx, h.Source, img, make(map[digest.Digest]bool)}
			if has, err := w.leadsTo(img.Root, m.ID, 0); err != nil || has {
				return []transport.Image{img}, err
			}
		}
	}
	return nil, err
}

// Close implements [transport.Source].
func (h *hybrid) Close() error { return h.file.Close() }

// isWhole reports whether a layout has all that manifest.json lists, under the
// same names, and of each image all that it needs or, of an index, something.
func isWhole(ctx context.Context, l layout.Source, a *Archive) (bool, error) {
	images, err := l.Images(ctx, "")
	if err != nil {
		if unusable(err) {
			return false, nil
		}
		return false, err
	}
	there := make(map[transport.Name]bool)
	for _, img := range images {
		there[img.Name] = true
		whole, err := walk{ctx, l, img, make(map[digest.Digest]bool)}.usable(img.Root, 0)
		if err != nil && !unusable(err) {
			return false, err
		}
		if err != nil || !whole {
			return false, nil
		}
	}
	for _, m := range a.images {
		names, err := m.names()
		if err != nil {
			return false, err
		}
		for _, n := range names {
			if !there[n] {
				return false, nil
			}
		}
	}
	return true, nil
}
