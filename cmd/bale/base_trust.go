package main

import (
	"github.com/spf13/cobra"

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

// trust returns whose bundles are taken: of those who sign and of the keys one is
// enough, or what any rule of the policy asks for. It is the zero value if there
// is nobody.
func (f *baseTrustFlags) trust(s *signing) (t verify.Trust, err error) {
	known, err := readKeys(f.keys)
	if err != nil {
		return t, err
	}
	if known = append(known, s.known...); len(known) > 0 {
		t = verify.TrustAny(known...)
	}
	if f.policy == "" {
		return t, nil
	}
	p, err := policy.Load(f.policy)
	if err != nil {
		return t, err
	}
	t.Alternatives = append(t.Alternatives, p.Trust(nil).Alternatives...)
	return t, nil
}
