package policy

import (
	"fmt"
	"io"
	"strings"

	"bale/verify"
)

// Summary is what a policy demands, to be shown.
type Summary struct {
	Policy  string          `json:"policy"`
	Signers []SignerSummary `json:"signers"`
	Bundles []BundleSummary `json:"bundles"`
	Images  []ImageSummary  `json:"images,omitempty"`
	// Unused are signers and roles that no rule asks for.
	Unused []string `json:"unused,omitempty"`
}

// SignerSummary is one signer.
type SignerSummary struct {
	Name string   `json:"name"`
	Keys []string `json:"keys"` // any of them
}

// BundleSummary is a rule for bundles.
type BundleSummary struct {
	Rule          string   `json:"rule"`
	Line          int      `json:"line"`
	SignedBy      []string `json:"signedBy"` // all of them
	MinSequence   uint64   `json:"minSequence,omitempty"`
	MaxAge        string   `json:"maxAge,omitempty"`
	RequireExpiry bool     `json:"requireExpiry,omitempty"`
	Platforms     []string `json:"platforms,omitempty"`
	Allow         []string `json:"allow,omitempty"`
	Deny          []string `json:"deny,omitempty"`
}

// ImageSummary is a rule for images.
type ImageSummary struct {
	Rule         string               `json:"rule"`
	Line         int                  `json:"line"`
	SignedBy     []string             `json:"signedBy,omitempty"`
	Attestations []AttestationSummary `json:"attestations,omitempty"`
}

// AttestationSummary is an attestation that images must carry.
type AttestationSummary struct {
	Type     string   `json:"type"`
	SignedBy []string `json:"signedBy"`
}

// Summary returns what the policy demands.
func (p *Policy) Summary() Summary {
	s := Summary{Policy: p.name, Signers: []SignerSummary{}, Bundles: []BundleSummary{}}
	for _, who := range p.signers {
		one := SignerSummary{Name: who.name}
		for _, m := range who.members {
			one.Keys = append(one.Keys, under(m).String())
		}
		s.Signers = append(s.Signers, one)
		if !who.used {
			s.Unused = append(s.Unused, who.name)
		}
	}
	for _, r := range p.roles {
		if !r.used {
			s.Unused = append(s.Unused, r.name)
		}
	}
	for _, r := range p.bundles {
		b := BundleSummary{
			Rule: r.title, Line: r.line, SignedBy: demands(r.signedBy), MinSequence: r.minSequence,
			MaxAge: r.maxAgeText, RequireExpiry: r.requireExpiry, Platforms: r.platforms, Allow: texts(r.allow), Deny: texts(r.deny),
		}
		s.Bundles = append(s.Bundles, b)
	}
	for _, r := range p.images {
		i := ImageSummary{Rule: r.which.text, Line: r.line, SignedBy: demands(r.signedBy)}
		for _, a := range r.attestations {
			i.Attestations = append(i.Attestations, AttestationSummary{a.kind, demands(a.signedBy)})
		}
		s.Images = append(s.Images, i)
	}
	return s
}

// under returns the authority without the signer's name.
func under(a verify.Authority) verify.Authority {
	switch m := a.(type) {
	case *member:
		return m.Authority
	case *attesting:
		return m.Authority
	}
	return a
}

func texts(list []*pattern) []string {
	var out []string
	for _, p := range list {
		out = append(out, p.text)
	}
	return out
}

// Print writes the summary in words.
func (s Summary) Print(w io.Writer) {
	fmt.Fprintf(w, "%s is in order\n\nknown are\n", s.Policy)
	for _, who := range s.Signers {
		for i, k := range who.Keys {
			name := who.Name
			if i > 0 {
				name = "or"
			}
			fmt.Fprintf(w, "  %-16s %s\n", name, k)
		}
	}
	for _, b := range s.Bundles {
		fmt.Fprintf(w, "\nbundles %s (line %d)\n", b.Rule, b.Line)
		b.print(w)
	}
	fmt.Fprintln(w, "\nany other bundle is refused")
	for _, i := range s.Images {
		fmt.Fprintf(w, "\nimages %s (line %d)\n", i.Rule, i.Line)
		i.print(w)
	}
	if len(s.Images) > 0 {
		fmt.Fprintln(w, "\nof any other image nothing is demanded")
	}
	if len(s.Unused) > 0 {
		fmt.Fprintf(w, "\nno rule asks for %s\n", strings.Join(s.Unused, ", "))
	}
}

func (b BundleSummary) print(w io.Writer) {
	each := func(label string, list []string) {
		for _, text := range list {
			fmt.Fprintf(w, "  %-16s %s\n", label, text)
			label = ""
		}
	}
	fmt.Fprintf(w, "  %-16s %s\n", "are signed by", strings.Join(b.SignedBy, " and "))
	if b.MinSequence > 0 {
		fmt.Fprintf(w, "  %-16s %d or higher\n", "have sequence", b.MinSequence)
	}
	if b.MaxAge != "" {
		fmt.Fprintf(w, "  %-16s %s at most\n", "were made", b.MaxAge+" ago")
	}
	if b.RequireExpiry {
		fmt.Fprintf(w, "  %-16s and have not\n", "say they expire")
	} else {
		fmt.Fprintf(w, "  %-16s if they say when they do\n", "have not expired")
	}
	if len(b.Platforms) > 0 {
		each("are for", []string{strings.Join(b.Platforms, ", ") + " only"})
	}
	each("have only images", b.Allow)
	each("have no images", b.Deny)
}

func (i ImageSummary) print(w io.Writer) {
	if len(i.SignedBy) == 0 && len(i.Attestations) == 0 {
		fmt.Fprintln(w, "  are exempt")
	}
	if len(i.SignedBy) > 0 {
		fmt.Fprintf(w, "  %-16s %s\n", "are signed by", strings.Join(i.SignedBy, " and "))
	}
	for _, a := range i.Attestations {
		fmt.Fprintf(w, "  %-16s %s by %s\n", "carry", a.Type, strings.Join(a.SignedBy, " and "))
	}
}
