package archive

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
	"bale/transport"
)

// chosen finds the image that a selector says exactly: "@N" or the digest of a
// config; nil if it is no such selector, or there is none.
func (a *Archive) chosen(selector string) *Image {
	if number, ok := strings.CutPrefix(selector, "@"); ok {
		if n, err := strconv.Atoi(number); err == nil && n >= 0 && n < len(a.images) {
			return a.images[n]
		}
	}
	id := named.FindStringSubmatch(strings.TrimPrefix(selector, "@"))
	if id == nil {
		return nil
	}
	i := slices.IndexFunc(a.images, func(m *Image) bool { return m.ID.Encoded() == id[1] })
	if i < 0 {
		return nil
	}
	return a.images[i]
}

// number is what looks like a selector "@N".
var number = regexp.MustCompile(`^@[0-9]+$`)

// missing says that there is no such image, and which there are.
func (a *Archive) missing(selector string) error {
	err := fault.Missing("%s: no image %q", a.where, selector)
	if number.MatchString(selector) {
		err = fault.Missing("%s: no image %s: manifest.json lists %d, the first is @0", a.where, selector, len(a.images))
	}
	var have []string
	for i, m := range a.images {
		if i == maxHintNames {
			have = append(have, fmt.Sprintf("and %d more", len(a.images)-i))
			break
		}
		names, nerr := m.names()
		if nerr != nil || len(names) == 0 {
			have = append(have, fmt.Sprintf("@%d", i))
			continue
		}
		have = append(have, names[0].String())
	}
	if len(have) == 0 {
		return err
	}
	return fault.WithHint(err, "it holds %s", strings.Join(have, ", "))
}

// find returns the one image that a selector names.
func (s *source) find(ctx context.Context, selector string) (transport.Image, error) {
	if m := s.chosen(selector); m != nil {
		names, err := m.names()
		if err != nil {
			return transport.Image{}, err
		}
		return s.image(ctx, m, names)
	}
	if d, err := digest.Parse(strings.TrimPrefix(selector, "@")); err == nil {
		return s.findManifest(ctx, selector, d)
	}
	want, err := transport.ParseName(selector)
	if err != nil {
		if number.MatchString(selector) {
			return transport.Image{}, s.missing(selector)
		}
		return transport.Image{}, err
	}
	for _, m := range s.images {
		names, err := m.names()
		if err != nil {
			return transport.Image{}, err
		}
		if len(names) > 0 {
			names = slices.DeleteFunc(names, func(n transport.Name) bool {
				return n.Repository() != want.Repository() || want.Tag != "" && n.Tag != want.Tag
			})
			if len(names) == 0 {
				continue
			}
		} else if want.Tag != "" || want.Domain != localDomain || want.Path != s.local {
			continue
		}
		img, err := s.image(ctx, m, names)
		if err != nil {
			return transport.Image{}, err
		}
		if want.Digest == "" || img.Root.Digest == want.Digest || m.ID == want.Digest {
			return img, nil
		}
	}
	return transport.Image{}, s.missing(selector)
}

// findManifest returns the image whose manifest, as it is made here, has a
// digest.
func (s *source) findManifest(ctx context.Context, selector string, d digest.Digest) (transport.Image, error) {
	for _, m := range s.images {
		names, err := m.names()
		if err != nil {
			return transport.Image{}, err
		}
		img, err := s.image(ctx, m, names)
		if err != nil {
			return transport.Image{}, err
		}
		if img.Root.Digest == d {
			return img, nil
		}
	}
	return transport.Image{}, s.missing(selector)
}
