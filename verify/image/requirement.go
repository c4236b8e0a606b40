package image

import (
	"fmt"
	"slices"

	"bale/bundle/fault"
	"bale/verify"
)

// Requirement says what an image must have. The zero value demands nothing, and
// [Check] refuses it.
type Requirement struct {
	Signed       []verify.Rule // all of them must be met, by signatures
	Attestations []Attestation // all of them must be there
}

// Attestation says that an image must have an attestation of a type, such as
// "https://slsa.dev/provenance/v1", by those who meet all rules.
type Attestation struct {
	Type  string
	Rules []verify.Rule
}

// Empty reports whether nothing is demanded.
func (r Requirement) Empty() bool { return len(r.Signed) == 0 && len(r.Attestations) == 0 }

// Check refuses a requirement that nobody could have meant.
func (r Requirement) Check() error {
	if r.Empty() {
		return fault.WithHint(fault.Usage("nobody is named who must have signed the image"), "give a public key with --image-key, or a policy")
	}
	if len(r.Signed) > 0 {
		if err := verify.CheckRules(r.Signed); err != nil {
			return err
		}
	}
	for _, a := range r.Attestations {
		if a.Type == "" {
			return fault.Usage("an attestation without a type is demanded")
		}
		if a.Type == SignaturePredicate {
			return fault.WithHint(fault.Usage("%s is a signature, not a type of attestation", a.Type), "demand a signature")
		}
		if err := verify.CheckRules(a.Rules); err != nil {
			return fmt.Errorf("attestation %s: %w", a.Type, err)
		}
	}
	return nil
}

// authorities returns all that can check what is attached, each once.
func (r Requirement) authorities() (list []verify.Attesting) {
	seen := make(map[verify.Authority]bool)
	for _, rule := range r.rules() {
		for _, a := range rule.Of {
			if at, ok := a.(verify.Attesting); ok && !seen[a] {
				seen[a] = true
				list = append(list, at)
			}
		}
	}
	return list
}

func (r Requirement) rules() []verify.Rule {
	list := slices.Clone(r.Signed)
	for _, a := range r.Attestations {
		list = append(list, a.Rules...)
	}
	return list
}
