package image

import (
	"slices"

	"github.com/opencontainers/go-digest"

	"bale/verify"
)

// Kind is what something attached to an image is.
type Kind string

// The kinds of what is attached.
const (
	KindUnknown     Kind = ""
	KindSignature   Kind = "signature"
	KindAttestation Kind = "attestation"
)

// Result says who signed an image, and what they attest. It holds what is
// accepted only; what was ignored is in its findings.
type Result struct {
	Name   string
	Digest digest.Digest
	// Findings are all that is attached to the image and to what it is made of,
	// in the order of the image's parts.
	Findings []Finding
}

// Finding is one thing that is attached to an image, and what came of it.
type Finding struct {
	Of   digest.Digest // what it is attached to: the image, or what its index lists
	In   string        // what it was found in, such as "sha256-….sig layer 2"
	Kind Kind
	Type string // of an attestation: its predicate type
	// Reference is the name that the image had when it was signed, if that was
	// signed too.
	Reference string
	// Verdict is Passed for what is verified, Ignored for what does not count,
	// and Noted for what cannot be a signature. Type and Reference are only
	// claims unless it is Passed.
	Verdict verify.Verdict
	Reason  string          // why it does not count
	Signers []verify.Signer // verified; none unless it is Passed
}

// Signers returns who signed the image or something that it lists, each once.
func (r *Result) Signers() []verify.Signer {
	return r.signers(func(f Finding) bool { return f.Kind == KindSignature })
}

// Attested is who attests something of a type.
type Attested struct {
	Type string
	By   []verify.Signer
}

// Attestations returns which attestations there are, sorted by type.
func (r *Result) Attestations() []Attested {
	var types []string
	for _, f := range r.Findings {
		if f.Verdict == verify.Passed && f.Kind == KindAttestation {
			types = append(types, f.Type)
		}
	}
	slices.Sort(types)
	var list []Attested
	for _, t := range slices.Compact(types) {
		list = append(list, Attested{t, r.signers(func(f Finding) bool { return f.Kind == KindAttestation && f.Type == t })})
	}
	return list
}

func (r *Result) signers(of func(Finding) bool) []verify.Signer {
	var list []verify.Signer
	for _, f := range r.Findings {
		if f.Verdict != verify.Passed || !of(f) {
			continue
		}
		for _, s := range f.Signers {
			if !slices.ContainsFunc(list, func(o verify.Signer) bool { return sameSigner(o, s) }) {
				list = append(list, s)
			}
		}
	}
	return list
}

func sameSigner(a, b verify.Signer) bool {
	return slices.ContainsFunc(a.IDs, func(id string) bool { return slices.Contains(b.IDs, id) })
}
