package main

import (
	"fmt"
	"io"
)

// vouched is why what was verified or loaded is to be believed. Nil is that of
// what nobody was asked about.
type vouched struct {
	who    []signer
	policy string // "" without one
	rule   string // of the policy, that let the bundle through
	images []verifiedImage
}

// ruled adds by which rule of a policy it was decided.
func (v *vouched) ruled(d *decision) *vouched {
	if d.rule != nil {
		v.policy, v.rule = d.policy.String(), d.rule.String()
	}
	return v
}

// vouchedResult is the same as JSON has it.
type vouchedResult struct {
	Signers []signer        `json:"signers,omitempty"`
	Policy  string          `json:"policy,omitempty"`
	Rule    string          `json:"rule,omitempty"`
	Signed  []verifiedImage `json:"signedImages,omitempty"`
}

func (v *vouched) result() vouchedResult {
	if v == nil {
		return vouchedResult{}
	}
	return vouchedResult{v.who, v.policy, v.rule, v.images}
}

func (v *vouched) print(w io.Writer) {
	if v == nil {
		return
	}
	printSigners(w, v.who)
	if v.rule != "" {
		fmt.Fprintf(w, "accepted by policy %s, rule %s\n", v.policy, v.rule)
	}
	printImages(w, v.images)
}
