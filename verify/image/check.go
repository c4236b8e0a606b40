package image

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
	"bale/verify"
)

// Image is what is to be checked.
type Image struct {
	Name   string // in messages
	Digest digest.Digest
}

// Options say how to look. The zero value is what [Check] does by default.
type Options struct {
	// Explain, if not nil, is told each step of the decision as it is made.
	Explain func(verify.Step)
	// Named, if not nil, is asked whether the name that an older signature was made
	// for fits; what was made for another name or for none is ignored. Newer signatures and
	// attestations are over no name, and not asked about.
	Named func(reference string) bool
	// AllowPromise counts signatures by certificates for which the log gave a
	// promise and no proof, as cosign's older ones have it. Otherwise they are
	// ignored.
	AllowPromise bool
}

// Check returns who signed an image and what they attest, if that is what req
// demands; see the package comment for the rules. Its errors are of the kinds
//
//   - [fault.ErrUsage]: req demands nothing, or what cannot be
//   - [fault.ErrUntrusted]: something demanded is not there, or something by a
//     known signer does not verify
//   - [fault.ErrMissing]: something that is attached is not at hand
//   - [fault.ErrDamaged]: something is not what its digest says, or there is more
//     of it than anybody would attach
func Check(ctx context.Context, c Content, img Image, req Requirement, o Options) (*Result, error) {
	if err := req.Check(); err != nil {
		return nil, err
	}
	x := &examination{
		content: c, options: o, authorities: req.authorities(),
		parts: make(map[digest.Digest]*part), result: &Result{Name: img.Name, Digest: img.Digest},
	}
	root, err := x.part(ctx, img.Digest, 0)
	if err == nil {
		err = x.decide(root, req)
	}
	if err != nil {
		x.explain(verify.Failed, "%v", err)
		return nil, fmt.Errorf("image %s: %w", img.Name, err)
	}
	return x.result, nil
}

// examination is an image that is being looked at.
type examination struct {
	content     Content
	options     Options
	authorities []verify.Attesting
	result      *Result
	parts       map[digest.Digest]*part
	read        int64   // bytes of payloads and envelopes
	refused     []error // by what is by known signers and does not verify
	missing     []error
	promised    bool // something was ignored because the log only promised it
	ways        int  // from the root to a part that were looked at
}

// part is an index or a manifest of an image.
type part struct {
	digest   digest.Digest
	found    map[string]found // by type of attestation; signatures under ""
	children []*part
	// unclear is why two readers could find other children in it; nil if they
	// cannot.
	unclear error
}

// found is who signed, by the authority that says so.
type found map[verify.Authority][]verify.Signer

// with returns who is in either.
func (f found) with(o found) found {
	if len(o) == 0 {
		return f
	}
	all := make(found)
	for _, each := range []found{f, o} {
		for a, signers := range each {
			all[a] = append(all[a], signers...)
		}
	}
	return all
}

func (x *examination) explain(v verify.Verdict, format string, args ...any) {
	if x.options.Explain != nil {
		x.options.Explain(verify.Step{Verdict: v, Text: fmt.Sprintf(format, args...)})
	}
}

// part looks at what is attached to a part of the image, and to those below it.
func (x *examination) part(ctx context.Context, d digest.Digest, depth int) (*part, error) {
	if p := x.parts[d]; p != nil {
		return p, nil
	}
	switch {
	case depth > MaxDepth:
		return nil, fault.Damaged("indexes are nested more than %d deep", MaxDepth)
	case len(x.parts) == MaxParts:
		return nil, fault.Damaged("has more than %d manifests", MaxParts)
	}
	p := &part{digest: d, found: make(map[string]found)}
	x.parts[d] = p
	attached, err := x.content.Attached(ctx, d)
	if err != nil {
		if !errors.Is(err, fault.ErrMissing) {
			return nil, err
		}
		x.missing = append(x.missing, err)
	}
	seen := make(map[string]bool)
	for _, a := range attached {
		if err := x.look(ctx, p, a, seen); err != nil {
			return nil, err
		}
	}
	children, err := x.content.Children(ctx, d)
	if err != nil {
		return nil, err
	}
	if len(children) > 0 {
		data, err := x.take(ctx, d, MaxManifest)
		if err != nil {
			return nil, err
		}
		p.unclear = checkNames(data, folded)
	}
	listed := make(map[digest.Digest]bool)
	for _, c := range children {
		if listed[c] {
			continue
		}
		listed[c] = true
		child, err := x.part(ctx, c, depth+1)
		if err != nil {
			return nil, err
		}
		p.children = append(p.children, child)
	}
	return p, nil
}

// decide compares what was found with what is demanded.
func (x *examination) decide(root *part, req Requirement) error {
	if len(x.refused) > 0 {
		return fault.WithHint(join(x.refused), "something attached to the image was altered, or is not what it says: get the image again from who signs it")
	}
	if len(x.missing) > 0 {
		return fault.WithHint(join(x.missing), "name the bundles that an update builds on with --base")
	}
	var lacks []string
	if len(req.Signed) > 0 {
		if less := x.covered(root, "", req.Signed, nil); len(less) > 0 {
			lacks = append(lacks, "is not signed as it must be: "+strings.Join(less, "; "))
		}
	}
	for _, a := range req.Attestations {
		if less := x.covered(root, a.Type, a.Rules, nil); len(less) > 0 {
			lacks = append(lacks, fmt.Sprintf("has no attestation %s as it must: %s", a.Type, strings.Join(less, "; ")))
		}
	}
	if len(lacks) == 0 {
		x.explain(verify.Passed, "it has all that is demanded")
		return nil
	}
	err := fault.Untrusted("%s%s", strings.Join(lacks, ", and "), x.ignored())
	if x.promised {
		return fault.WithHint(err, "have it signed again with cosign 3, which keeps the log's proof, or count promises with --image-allow-promise")
	}
	return fault.WithHint(err, "have it signed (cosign sign) and save it again with what is attached to it; bale verify --images --explain shows what there is")
}

// covered says what is not met by the signers of a part and of those above it. An
// index that lacks something may have it in all that it lists, if nobody can find
// another list in it.
func (x *examination) covered(p *part, kind string, rules []verify.Rule, above found) []string {
	all := above.with(p.found[kind])
	lacks := verify.Lacking(rules, all)
	if x.ways++; x.ways > maxWays || len(lacks) == 0 || len(p.children) == 0 {
		return lacks
	}
	if p.unclear != nil {
		return append(lacks, fmt.Sprintf("and what it lists does not count, since it %v", p.unclear))
	}
	for _, c := range p.children {
		if len(x.covered(c, kind, rules, all)) > 0 {
			if len(x.parts) > 2 { // with one child there is nothing to tell apart
				lacks = append(lacks, "nor is "+short(c.digest.String()))
			}
			return lacks
		}
	}
	return nil
}

// ignored says in words what was found and did not count: each reason once, with
// the first that it is about.
func (x *examination) ignored() string {
	type reason struct {
		text string
		n    int
	}
	var list []reason
	passed := false
	for _, f := range x.result.Findings {
		passed = passed || f.Verdict == verify.Passed
		if f.Verdict != verify.Ignored {
			continue
		}
		i := slices.IndexFunc(list, func(r reason) bool { return strings.HasSuffix(r.text, " "+f.Reason) })
		if i < 0 {
			i = len(list)
			list = append(list, reason{text: f.In + " " + f.Reason})
		}
		list[i].n++
	}
	if len(list) == 0 && !passed {
		return "; no signature is attached to it"
	}
	var words []string
	for i, r := range list {
		if i == maxReasons {
			words = append(words, fmt.Sprintf("and %d other reasons", len(list)-i))
			break
		}
		if r.n > 1 {
			r.text += fmt.Sprintf(" (and %d more)", r.n-1)
		}
		words = append(words, r.text)
	}
	if len(words) == 0 {
		return ""
	}
	return "; ignored: " + short(strings.Join(words, ", "))
}

// short leaves out the greater part of a digest. In full they stand in the
// findings.
func short(name string) string {
	return inDigest.ReplaceAllString(name, "$1...")
}

var inDigest = regexp.MustCompile(`(sha(?:256|512)[:-][0-9a-f]{12})[0-9a-f]{52,}`)

// join joins some errors, as many as people read.
func join(list []error) error {
	if n := len(list) - maxReasons; n > 0 {
		list = append(slices.Clone(list[:maxReasons]), fmt.Errorf("and %d more", n))
	}
	return errors.Join(list...)
}
