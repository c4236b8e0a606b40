package policy

import (
	"net/url"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.yaml.in/yaml/v3"

	"bale/bundle/fault"
	"bale/verify"
	"bale/verify/image"
)

var (
	imageFields       = []string{"name", "signedBy", "attestations", "exempt"}
	attestationFields = []string{"type", "signedBy"}
)

// Image is an image of a bundle, as far as rules ask for it.
type Image struct {
	Name   string // in full, with host and tag or digest
	Digest digest.Digest
	// Platforms are all that the image says it is for, in the one way that
	// images are shown: linux/amd64, linux/arm/v7.
	Platforms []string
	// Attached is set for what is attached to another image.
	Attached bool
}

// imageRule is what the policy demands of the signatures of some images.
type imageRule struct {
	line         int
	which        *pattern
	signedBy     []*role
	attestations []attestation
	demand       image.Requirement
}

// attestation is a demand for one.
type attestation struct {
	kind     string // its predicate type
	signedBy []*role
}

// readImages reads the rules for images.
func (l *loader) readImages(n *yaml.Node) {
	for _, i := range l.list(n, "images") {
		r := &imageRule{line: i.Line}
		o, ok := l.object(i, "a rule of images", imageFields)
		if !ok {
			continue
		}
		f := o.fields["name"]
		if f == nil {
			l.badHint(i, `write name: "PATTERN"; "**" is every image`, "a rule of images does not say for which")
			continue
		}
		if r.which = l.readPattern(f); r.which == nil {
			continue
		}
		for _, before := range l.p.images {
			if before.which.covers(r.which) {
				l.badHint(i, "put the rule that fits less before the one that fits more",
					"nothing reaches this rule: all that fits %q fits %q in line %d already", r.which.text, before.which.text, before.line)
				break
			}
		}
		l.readDemand(r, o)
		l.p.images = append(l.p.images, r)
	}
}

// readDemand reads which signatures images must carry.
func (l *loader) readDemand(r *imageRule, o *object) {
	what := "the rule for images " + r.which.text
	signed, attested := o.fields["signedBy"], o.fields["attestations"]
	if f := o.fields["exempt"]; f != nil {
		switch {
		case !l.truth(f, "exempt"):
			l.badHint(f, "leave it out", "exempt: false says nothing")
		case signed != nil || attested != nil:
			l.bad(f, "%s exempts them, and demands something", what)
		}
		return
	}
	if signed == nil && attested == nil {
		l.badHint(o.node, "say signedBy, attestations, or exempt: true", "%s demands nothing", what)
	}
	if signed != nil {
		r.signedBy = l.readSignedBy(signed, what)
		r.demand.Signed = l.attesting(signed, what, r.signedBy)
	}
	if attested == nil {
		return
	}
	var kinds []string
	for _, a := range l.list(attested, what+": attestations") {
		o, ok := l.object(a, "an attestation", attestationFields)
		if !ok {
			continue
		}
		kind, by := o.fields["type"], o.fields["signedBy"]
		if kind == nil || by == nil {
			l.bad(a, "an attestation must have a type and signedBy")
			continue
		}
		one := attestation{kind: l.predicate(kind), signedBy: l.readSignedBy(by, what)}
		if slices.Contains(kinds, one.kind) {
			l.bad(kind, "%s demands attestations of type %s twice", what, one.kind)
		}
		kinds = append(kinds, one.kind)
		r.attestations = append(r.attestations, one)
		r.demand.Attestations = append(r.demand.Attestations,
			image.Attestation{Type: one.kind, Rules: l.attesting(by, what, one.signedBy)})
	}
}

// predicate reads the type of an attestation, or cosign's short name of it.
func (l *loader) predicate(n *yaml.Node) string {
	s, ok := l.text(n, "an attestation's type")
	if !ok {
		return ""
	}
	s = image.PredicateType(s)
	if u, err := url.Parse(s); err != nil || u.Scheme == "" || strings.ContainsAny(s, " *") {
		l.badHint(n, "in full, for example https://slsa.dev/provenance/v1, https://spdx.dev/Document or https://cyclonedx.org/bom",
			"attestation type %q is not a URI", verify.Clip(s))
	}
	if s == image.SignaturePredicate {
		l.badHint(n, "demand it with signedBy", "attestation type %s is a signature", s)
	}
	return s
}

// attesting returns what some roles ask for of an image. Who signs with SSH or
// OpenPGP signs none.
func (l *loader) attesting(n *yaml.Node, what string, list []*role) []verify.Rule {
	var out []verify.Rule
	for _, r := range list {
		rule, enough := r.rule(true)
		if !enough {
			l.badHint(n, "images are signed with the keys of cosign, or certificates",
				"%s: %s can never be met: signers with SSH or OpenPGP keys sign no images", what, r.words())
		}
		out = append(out, rule)
	}
	return out
}

// Requirement returns what an image must carry, and the pattern of the rule that
// says so. Without a rule it is nothing and "".
func (p *Policy) Requirement(i Image) (image.Requirement, string, error) {
	n, err := parseName(i)
	if err != nil {
		return image.Requirement{}, "", fault.Damaged("image %q: %w", verify.Clip(i.Name), err)
	}
	for _, r := range p.images {
		if r.which.fits(n, false) {
			return r.demand, r.which.text, nil
		}
	}
	return image.Requirement{}, "", nil
}

// DemandsOfImages reports whether any image must carry signatures.
func (p *Policy) DemandsOfImages() bool {
	return slices.ContainsFunc(p.images, func(r *imageRule) bool { return !r.demand.Empty() })
}

// WantsPlatforms reports whether [Rule.CheckImages] looks at platforms.
func (r *Rule) WantsPlatforms() bool { return len(r.platforms) > 0 }

// CheckImages fails with [fault.ErrUntrusted] unless the rule lets a bundle have
// all of some images.
func (r *Rule) CheckImages(images []Image, explain func(verify.Step)) error {
	if len(r.allow) == 0 && len(r.deny) == 0 && len(r.platforms) == 0 {
		return nil
	}
	for _, i := range images {
		if err := r.checkImage(i); err != nil {
			say(explain, verify.Failed, "%v", err)
			return err
		}
	}
	say(explain, verify.Passed, "%s: %s, all allowed", r.rule(), plural(len(images), "image"))
	return nil
}

func (r *Rule) checkImage(i Image) error {
	n, err := parseName(i)
	if err != nil {
		return fault.Damaged("image %q: %w", verify.Clip(i.Name), err)
	}
	for _, p := range r.deny {
		if p.fits(n, true) {
			return fault.WithHint(fault.Untrusted("%s denies image %s, by %s", r.rule(), i.Name, p.text),
				"ask the sender for a bundle without it")
		}
	}
	if len(r.allow) > 0 && !slices.ContainsFunc(r.allow, func(p *pattern) bool { return p.fits(n, false) }) {
		return fault.WithHint(fault.Untrusted("%s does not allow image %s", r.rule(), i.Name),
			"ask the sender for a bundle without it, or have the policy allow it")
	}
	if len(r.platforms) == 0 {
		return nil
	}
	for _, p := range i.Platforms {
		if !slices.Contains(r.platforms, p) {
			return fault.WithHint(fault.Untrusted("%s allows the platforms %s, and image %s is for %s too",
				r.rule(), strings.Join(r.platforms, ", "), i.Name, verify.Clip(p)),
				"ask the sender to save it with --platform, or have the policy allow it")
		}
	}
	return nil
}
