package layout

import (
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
	"bale/transport"
)

// all returns every image. Two that have one name but differ are an
// [fault.ErrUsage]: whoever copies them must say which.
func all(where string, entries []entry) ([]transport.Image, error) {
	var found []transport.Image
	known := make(map[nameKey]digest.Digest)
	for _, e := range entries {
		d, ok := known[keyOf(e.name)]
		switch {
		case !ok:
			known[keyOf(e.name)] = e.desc.Digest
			found = append(found, e.image())
		case d != e.desc.Digest:
			return nil, fault.WithHint(fault.Usage("%s: two images are called %s: %s and %s", where, e.name, d, e.desc.Digest),
				"name one of them by its digest: %s:%s", where, e.desc.Digest)
		}
	}
	if len(found) == 0 {
		return nil, fault.Missing("%s: the layout holds no image", where)
	}
	return found, nil
}

// find returns the one image that a selector names. What it says exactly goes
// before a digest, that before a name by Docker's rules, and that before a tag.
func find(where string, entries []entry, selector string) (transport.Image, error) {
	d, notDigest := digest.Parse(strings.TrimPrefix(selector, "@"))
	n, notName := transport.ParseName(selector)
	for _, match := range []func(e entry) bool{
		func(e entry) bool { return e.ref == selector || e.full == selector },
		func(e entry) bool { return notDigest == nil && e.desc.Digest == d },
		func(e entry) bool { return notName == nil && named(e, n) },
		func(e entry) bool { return e.name.Tag == selector },
	} {
		found := distinct(entries, match)
		switch {
		case len(found) == 1, len(found) > 1 && notDigest == nil:
			return found[0].image(), nil
		case len(found) > 1:
			return transport.Image{}, fault.WithHint(fault.Usage("%s: %q names %d images", where, selector, len(found)),
				"name one of them: %s", choices(found))
		}
	}
	err := fault.Missing("%s: no image %q", where, selector)
	if len(entries) > 0 {
		err = fault.WithHint(err, "it holds %s", choices(entries))
	}
	return transport.Image{}, err
}

func named(e entry, n transport.Name) bool {
	return e.name.Repository() == n.Repository() &&
		(n.Tag == "" || e.name.Tag == n.Tag) && (n.Digest == "" || e.desc.Digest == n.Digest)
}

// distinct returns the entries that match, those that say the same once.
func distinct(entries []entry, match func(entry) bool) []entry {
	type image struct {
		name   nameKey
		digest digest.Digest
	}
	known := make(map[image]bool)
	var found []entry
	for _, e := range entries {
		if i := (image{keyOf(e.name), e.desc.Digest}); match(e) && !known[i] {
			known[i] = true
			found = append(found, e)
		}
	}
	return found
}

// choices lists entries for a hint: by name where names differ, else by digest.
func choices(entries []entry) string {
	var s []string
	for i, e := range entries {
		if i == maxHintNames {
			s = append(s, fmt.Sprintf("and %d more", len(entries)-i))
			break
		}
		choice := e.name.String()
		for j, o := range entries {
			if i != j && keyOf(e.name) == keyOf(o.name) {
				choice = e.desc.Digest.String()
			}
		}
		s = append(s, choice)
	}
	return strings.Join(s, ", ")
}
