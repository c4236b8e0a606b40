package transport

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/platforms"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
)

const (
	maxPlatform = 100 // bytes of a platform that are shown
	maxShown    = 20  // platforms that an error names
	maxVariant  = 99  // v99
	// maxPlatforms is how many may be asked for: a bundle writes them down.
	maxPlatforms = 16
)

// ParsePlatforms reads a list of os/arch[/variant], as Docker's --platform takes
// one. The list "all", which all reports, and an empty one give none.
func ParsePlatforms(list []string) (platforms []v1.Platform, all bool, err error) {
	if len(list) == 1 && list[0] == "all" {
		return nil, true, nil
	}
	if len(list) > maxPlatforms {
		return nil, false, fault.Usage("%d platforms are asked for, and %d may be", len(list), maxPlatforms)
	}
	for _, s := range list {
		p, err := parsePlatform(s)
		if err != nil {
			return nil, false, err
		}
		platforms = append(platforms, *p)
	}
	return platforms, false, nil
}

func parsePlatform(s string) (*v1.Platform, error) {
	if !strings.Contains(s, "/") {
		return nil, notPlatform(s)
	}
	p, err := platforms.Parse(s)
	if err != nil {
		return nil, notPlatform(s) // the library's own words are a regular expression
	}
	// The library makes a list of all variants below.
	if n, err := strconv.Atoi(strings.TrimPrefix(p.Variant, "v")); err == nil && n > maxVariant {
		return nil, fault.Usage("platform %q: there is no variant %s", s, p.Variant)
	}
	return &p, nil
}

func notPlatform(s string) error {
	return fault.WithHint(fault.Usage("platform %.100q is not os/arch[/variant]", s), "for example linux/amd64, linux/arm64 or linux/arm/v7")
}

// FormatPlatform writes os/arch[/variant]. What an image says is made fit to
// be shown: short, and nothing in it that a terminal acts on.
func FormatPlatform(p v1.Platform) string {
	if p.OS == "" {
		return unknownPlatformMarker // the library would take this machine's
	}
	s := strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '?'
		}
		return r
	}, platforms.Format(platforms.Normalize(p)))
	return s[:min(len(s), maxPlatform)]
}

// matcher matches platforms that run an image for want: variants may fall
// back (arm/v6 for arm/v7), another architecture may not.
type matcher struct {
	platforms.MatchComparer
	architecture string
}

func newMatcher(want v1.Platform) matcher {
	want = platforms.Normalize(want)
	return matcher{platforms.Only(want), want.Architecture}
}

func (m matcher) Match(p v1.Platform) bool {
	// Without an OS the library would take this machine's.
	return p.OS != "" && platforms.Normalize(p).Architecture == m.architecture && m.MatchComparer.Match(p)
}

// platformNode goes down from an index to the manifest for one platform.
func platformNode(n *node, want v1.Platform) (*node, error) {
	for IsIndex(n.desc.MediaType) {
		c, err := choosePlatform(choices(n, make(map[*node]bool)), want)
		if err != nil {
			return nil, err
		}
		n = c
	}
	return n, nil
}

// choice is what an index has for a platform.
type choice struct {
	platform v1.Platform
	node     *node
}

// choices lists what an index has. An index in it that is for no platform
// itself stands for what that has.
func choices(n *node, seen map[*node]bool) []choice {
	var list []choice
	if n.manifest == nil { // which the source lacks
		return nil
	}
	for i, d := range n.manifest.Manifests {
		c := n.children[i]
		switch {
		case d.Platform != nil && d.Platform.OS != unknownPlatformMarker:
			list = append(list, choice{*d.Platform, c})
		case d.Platform == nil && IsIndex(d.MediaType) && !seen[c]:
			seen[c] = true
			list = append(list, choices(c, seen)...)
		}
	}
	return list
}

// choosePlatform returns what suits a platform best.
func choosePlatform(list []choice, want v1.Platform) (*node, error) {
	match := newMatcher(want)
	var best *choice
	var have []string
	for i, c := range list {
		if p := FormatPlatform(c.platform); len(have) <= maxShown && !slices.Contains(have, p) {
			have = append(have, p)
		}
		if match.Match(c.platform) && (best == nil || match.Less(c.platform, best.platform)) {
			best = &list[i]
		}
	}
	if best != nil {
		return best.node, nil
	}
	hint := "its index names no platforms"
	if len(have) > maxShown {
		have[maxShown] = "and others"
	}
	if len(have) > 0 {
		hint = "it has: " + strings.Join(have, ", ")
	}
	return nil, fault.WithHint(fault.Missing("the image has no platform %s", FormatPlatform(want)), "%s", hint)
}

// checkPlatform compares an image's config with the platforms that were asked for.
func checkPlatform(config []byte, wants []v1.Platform) error {
	var have v1.Platform
	if err := json.Unmarshal(config, &have); err != nil {
		return fault.Damaged("config is not JSON: %w", err)
	}
	var asked []string
	for _, want := range wants {
		if newMatcher(want).Match(have) {
			return nil
		}
		asked = append(asked, FormatPlatform(want))
	}
	return fault.Missing("the image is for %s, not %s", FormatPlatform(have), strings.Join(asked, " or "))
}
