package main

import (
	"slices"
	"time"

	"github.com/spf13/cobra"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/verify"
	"bale/verify/policy"
)

// baseTrustFlags say whose earlier bundles a new one may be made of, besides
// those of who signs it.
type baseTrustFlags struct {
	keys     []string
	policy   string
	insecure bool
}

// add adds the flags; what are the bundles, in words.
func (f *baseTrustFlags) add(c *cobra.Command, what string) {
	fl := c.Flags()
	fl.StringArrayVar(&f.keys, "base-key", nil, "public key `FILE` that "+what+" may be signed with, besides the keys that sign the new bundle")
	fl.StringVar(&f.policy, "base-policy", "", "policy `FILE` that says whose signatures on "+what+" will do as well")
	fl.BoolVar(&f.insecure, "insecure-skip-verify", false, "take "+what+" whoever made them")
}

// named reports whether anything is said.
func (f *baseTrustFlags) named() bool { return len(f.keys) > 0 || f.policy != "" || f.insecure }

func (f *baseTrustFlags) check() error {
	if f.insecure && (len(f.keys) > 0 || f.policy != "") {
		return fault.Usage("--base-key, --base-policy and --insecure-skip-verify exclude each other")
	}
	return nil
}

// baseTrust is whose earlier bundles are taken.
type baseTrust struct {
	verify.Trust
	policy *policy.Policy // nil without one
}

// trust returns whose bundles are taken: of those who sign and of the keys one is
// enough, or what the policy asks for. It is the zero value if there is nobody.
func (f *baseTrustFlags) trust(s *signing) (t baseTrust, err error) {
	known, err := readKeys(f.keys)
	if err != nil {
		return t, err
	}
	if known = append(known, s.known...); len(known) > 0 {
		t.Trust = verify.TrustAny(known...)
	}
	if f.policy == "" {
		return t, nil
	}
	if t.policy, err = policy.Load(f.policy); err != nil {
		return t, err
	}
	t.Alternatives = append(t.Alternatives, t.policy.Trust(nil).Alternatives...)
	return t, nil
}

// voucher vouches for what res does. Where only the policy takes it, that must be
// by the rule for its name: images and numbers go by names. How old it is does not
// matter.
func (t baseTrust) voucher(res *verify.Result) bundle.Voucher {
	if t.policy == nil || slices.Contains(res.Accepted(), "") { // the keys have no rule
		return res
	}
	return baseVoucher{res, t.policy}
}

type baseVoucher struct {
	*verify.Result
	policy *policy.Policy
}

// VouchesFor implements [bundle.HeaderVoucher].
func (v baseVoucher) VouchesFor(h bundle.Header) error {
	_, err := v.policy.CheckHeader(v.Result, h, time.Now(), policy.Waivers{Expiry: true, Age: true, Sequence: true}, nil)
	return err
}
