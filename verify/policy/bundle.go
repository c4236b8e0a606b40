package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"

	"bale/bundle"
	"bale/verify"
)

var (
	bundleFields = []string{"name", "unnamed", "signedBy", "minSequence", "maxAge", "requireExpiry", "platforms", "images"}
	listFields   = []string{"allow", "deny"}
)

// Rule is what the policy demands of some bundles.
type Rule struct {
	policy  *Policy
	line    int
	title   string // in messages and results; no two have the same
	name    string // a pattern; "" fits no name
	unnamed bool   // fits bundles without a name

	signedBy      []*role
	minSequence   uint64
	maxAge        time.Duration
	maxAgeText    string // as the file has it
	requireExpiry bool
	platforms     []string
	allow, deny   []*pattern // of images; without allow all are
}

// unnamedTitle is what the rule for bundles without a name is called.
const unnamedTitle = "unnamed"

// String names the rule for people.
func (r *Rule) String() string { return r.title }

// readBundles reads the rules for bundles.
func (l *loader) readBundles(n *yaml.Node) {
	for _, b := range l.list(n, "bundles") {
		r := &Rule{policy: l.p, line: b.Line}
		o, ok := l.object(b, "a rule of bundles", bundleFields)
		if !ok {
			continue
		}
		l.readWhich(r, o)
		what := "the rule for bundles " + r.title
		if f := o.fields["signedBy"]; f == nil {
			l.badHint(b, "a bundle that nobody needs to sign is taken with --insecure-skip-verify only", "%s has no signedBy", what)
		} else {
			r.signedBy = l.readSignedBy(f, what)
		}
		if f := o.fields["minSequence"]; f != nil {
			r.minSequence, _ = l.number(f, "minSequence", 1, bundle.MaxSequence)
			if r.name == "" {
				l.badHint(f, "leave it out: who numbers bundles names them", "minSequence says nothing for bundles without a name, which have no number")
			}
		}
		if f := o.fields["maxAge"]; f != nil {
			if f.Tag == "!!int" {
				l.badHint(f, "say of what: 45d, 12h or 2w", "maxAge must be a span of time, and is a number")
			} else if s, ok := l.text(f, "maxAge"); ok {
				var err error
				r.maxAgeText = s
				if r.maxAge, err = verify.ParseDuration(s); err != nil {
					l.bad(f, "maxAge: %w", err)
				}
			}
		}
		if f := o.fields["requireExpiry"]; f != nil {
			r.requireExpiry = l.truth(f, "requireExpiry")
		}
		if f := o.fields["platforms"]; f != nil {
			r.platforms = l.readPlatforms(f)
		}
		if f := o.fields["images"]; f != nil {
			l.readLists(r, f)
		}
		l.p.bundles = append(l.p.bundles, r)
	}
}

// readWhich reads which bundles a rule is for.
func (l *loader) readWhich(r *Rule, o *object) {
	if f := o.fields["unnamed"]; f != nil {
		if r.unnamed = l.truth(f, "unnamed"); !r.unnamed {
			l.badHint(f, "leave it out", "unnamed: false says nothing")
		}
	}
	if f := o.fields["name"]; f != nil {
		s, ok := l.text(f, "name")
		if !ok {
			return
		}
		if err := bundle.CheckName(s); err != nil {
			l.bad(f, "no bundle can have a name like this: %w", err)
			return
		}
		r.name = s
	}
	switch {
	case r.name == "" && !r.unnamed:
		l.badHint(o.node, `write name: "PATTERN", or unnamed: true for bundles without a name`, "a rule of bundles does not say for which")
		return
	case r.name == "":
		r.title = unnamedTitle
	case r.unnamed:
		r.title = r.name + " and " + unnamedTitle
	default:
		r.title = r.name
	}
	for _, before := range l.p.bundles {
		if r.title == before.title { // a name can look like two
			l.bad(o.node, "a rule for bundles %s stands in line %d already", r.title, before.line)
			return
		}
		if r.unnamed && before.unnamed {
			l.bad(o.node, "bundles without a name are decided by the rule in line %d already", before.line)
			return
		}
		// A star in the later pattern is only covered by one in the earlier.
		if r.name != "" && before.name != "" && glob(before.name, r.name) {
			l.badHint(o.node, "put the rule that fits less before the one that fits more",
				"nothing reaches this rule: all that fits %q fits %q in line %d already", r.name, before.name, before.line)
			return
		}
	}
}

// fits reports whether the rule is for a bundle.
func (r *Rule) fits(h bundle.Header) bool {
	if h.Name == "" {
		return r.unnamed
	}
	return r.name != "" && glob(r.name, h.Name)
}

// platformForm is os/arch[/variant].
var platformForm = regexp.MustCompile(`^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9.]+)?$`)

// platformNames are platforms under names that images are never shown with.
var platformNames = map[string]string{
	"x86_64": "amd64", "x86-64": "amd64", "amd64/v1": "amd64", "aarch64": "arm64", "arm64/v8": "arm64",
	"armhf": "arm/v7", "arm": "arm/v7", "armel": "arm/v6", "i386": "386",
}

// readPlatforms reads a list of platforms, each written as images have it.
func (l *loader) readPlatforms(n *yaml.Node) []string {
	var out []string
	for _, f := range l.list(n, "platforms") {
		s, ok := l.text(f, "a platform")
		if !ok {
			continue
		}
		os, arch, _ := strings.Cut(s, "/")
		switch {
		case !platformForm.MatchString(s):
			l.badHint(f, "for example linux/amd64, linux/arm64 or linux/arm/v7", "platform %q is not os/arch[/variant]", verify.Clip(s))
		case platformNames[arch] != "":
			l.bad(f, "platform %q fits no image: write %s/%s", s, os, platformNames[arch])
		case slices.Contains(out, s):
			l.bad(f, "platform %s is there twice", s)
		default:
			out = append(out, s)
		}
	}
	return out
}

// readLists reads which images a bundle may have.
func (l *loader) readLists(r *Rule, n *yaml.Node) {
	o, ok := l.object(n, "images of a rule of bundles", listFields)
	if !ok {
		return
	}
	if len(o.fields) == 0 {
		l.badHint(n, "leave it out, or say allow or deny", "images is empty")
	}
	if f := o.fields["allow"]; f != nil {
		r.allow = l.readPatterns(f, "allow")
	}
	if f := o.fields["deny"]; f != nil {
		r.deny = l.readPatterns(f, "deny")
	}
}

func (l *loader) readPatterns(n *yaml.Node, what string) []*pattern {
	var out []*pattern
	for _, f := range l.list(n, what) {
		if p := l.readPattern(f); p != nil {
			out = append(out, p)
		}
	}
	return out
}

func (l *loader) readPattern(n *yaml.Node) *pattern {
	s, ok := l.text(n, "a pattern of image names")
	if !ok {
		return nil
	}
	if strings.ContainsFunc(s, unicode.IsSpace) {
		l.bad(n, "pattern %q has a space in it", verify.Clip(s))
		return nil
	}
	p, err := parsePattern(s)
	if err != nil {
		l.bad(n, "pattern %q: %w", verify.Clip(s), err)
		return nil
	}
	return p
}

// demands says in words whose signatures are needed.
func demands(list []*role) []string {
	var out []string
	for _, r := range list {
		out = append(out, r.words())
	}
	return out
}

func (r *Rule) signed() string { return strings.Join(demands(r.signedBy), " and ") }

// describeBundle names a bundle for people.
func describeBundle(h bundle.Header) string {
	if h.Name == "" {
		return "a bundle without a name"
	}
	return fmt.Sprintf("bundle %s", verify.Clip(h.Name))
}
