package verify

import (
	"fmt"
	"slices"
	"strings"

	"bale/bundle/fault"
)

// Trust says whose signatures a bundle needs: all rules of any one of the
// alternatives must be met. The zero value trusts nobody, and [Verify] refuses
// it.
type Trust struct {
	Alternatives []Alternative
	// Explain, if not nil, is told each step of a decision as it is made.
	Explain func(Step)
}

// TrustAny returns the trust that asks for a signature by at least one of some
// authorities.
func TrustAny(list ...Authority) Trust { return TrustSome(1, list...) }

// TrustSome returns the trust that asks for signatures by at least n different
// ones of some authorities.
func TrustSome(n int, list ...Authority) Trust {
	return Trust{Alternatives: []Alternative{{Rules: []Rule{{Of: list, Threshold: n}}}}}
}

// Alternative is one way to be trusted. Without a rule it is none.
type Alternative struct {
	Name  string // in messages and results; "" for that of the command line
	Rules []Rule // all of them must be met
}

// Rule asks for signatures by at least Threshold different ones of Of. A
// threshold of 0 asks for all of them.
type Rule struct {
	Name      string // of the role, in messages; "" if it has none
	Of        []Authority
	Threshold int
}

// need returns how many signers a rule asks for.
func (r Rule) need() int {
	if r.Threshold == 0 {
		return len(r.Of)
	}
	return r.Threshold
}

// check refuses trust that nobody could have meant.
func (t Trust) check() error {
	if len(t.Alternatives) == 0 {
		return noTrust()
	}
	for _, a := range t.Alternatives {
		if len(a.Rules) == 0 {
			return noTrust()
		}
		for _, r := range a.Rules {
			switch n := r.need(); {
			case len(r.Of) == 0:
				return noTrust()
			case slices.Contains(r.Of, nil):
				return fault.Usage("an empty key given to verify with")
			case n < 1 || n > len(r.Of):
				return fault.Usage("%s asks for %d signers out of %d", r.title(), n, len(r.Of))
			}
		}
	}
	return nil
}

func noTrust() error {
	return fault.WithHint(fault.Usage("no key given to verify with"), "give the sender's public key with --key")
}

func (r Rule) title() string {
	if r.Name == "" {
		return "the rule"
	}
	return "role " + r.Name
}

// authorities returns all that the trust names.
func (t Trust) authorities() []Authority {
	var list []Authority
	for _, a := range t.Alternatives {
		for _, r := range a.Rules {
			list = append(list, r.Of...)
		}
	}
	return list
}

// met counts the different signers of a rule among what was found. Authorities
// count once together if any of their keys or identities is the same: whoever
// has one key cannot stand for two.
func (r Rule) met(found map[Authority][]Signer) (n int, missing []Authority) {
	groups := make(map[string]int) // by id: the group that it is in
	var size []bool                // groups that are still there
	for _, a := range r.Of {
		signers := found[a]
		if len(signers) == 0 {
			missing = append(missing, a)
			continue
		}
		this := len(size)
		size = append(size, true)
		for _, s := range signers {
			for _, id := range s.IDs {
				g, ok := groups[id]
				groups[id] = this
				if !ok || g == this {
					continue
				}
				for other, in := range groups { // they are one
					if in == g {
						groups[other] = this
					}
				}
				size[g] = false
			}
		}
	}
	for _, there := range size {
		if there {
			n++
		}
	}
	return n, missing
}

// describe says what a rule asks for.
func (r Rule) describe() string {
	var names []string
	for _, a := range r.Of {
		names = append(names, a.String())
	}
	of := strings.Join(names, ", ")
	switch n := r.need(); {
	case len(r.Of) == 1:
		return of
	case n == len(r.Of):
		return "all of " + of
	default:
		return fmt.Sprintf("%d of %s", n, of)
	}
}
