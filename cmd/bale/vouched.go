package main

import (
	"fmt"
	"io"
	"time"

	"bale/bundle"
	"bale/verify"
)

// vouched is why what was verified or loaded is to be believed. Nil is that of
// what nobody was asked about.
type vouched struct {
	who    []signer
	policy string // "" without one
	rule   string // of the policy, that let the bundle through
	images []verifiedImage
	app    *app       // which knows what was waived
	bundle identified // zero where it is told elsewhere
}

// identified tells which bundle it is, as it says itself.
type identified struct {
	Bundle   string     `json:"bundle,omitempty"` // the file
	ID       string     `json:"id,omitempty"`
	Name     string     `json:"name,omitempty"`
	Sequence uint64     `json:"sequence,omitempty"`
	Expires  *time.Time `json:"expires,omitempty"`
	Sums     string     `json:"sums,omitempty"` // digest of SHA256SUMS
}

func identify(path string, h bundle.Header, res *verify.Result) identified {
	return identified{path, h.ID, h.Name, h.Sequence, h.Expires, res.SumsDigest().String()}
}

// of returns which bundle it is about; the zero value if about none.
func (v *vouched) of() identified {
	if v == nil {
		return identified{}
	}
	return v.bundle
}

// ruled adds by which rule of a policy it was decided.
func (v *vouched) ruled(d *decision) *vouched {
	v.app = d.app
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
	Waived  []string        `json:"waived,omitempty"` // what would have been refused, or not looked at
}

func (v *vouched) result() vouchedResult {
	if v == nil {
		return vouchedResult{}
	}
	r := vouchedResult{Signers: v.who, Policy: v.policy, Rule: v.rule, Signed: v.images}
	if v.app != nil {
		r.Waived = v.app.waived
	}
	return r
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
