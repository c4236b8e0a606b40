package policy

import "bale/verify"

// Trust returns whose signatures the policy asks for: an alternative for each
// rule of bundles, of which [Policy.CheckHeader] picks the one that decides.
// What more asks for is needed as well, whichever that is. explain may be nil.
func (p *Policy) Trust(explain func(verify.Step), more ...verify.Rule) verify.Trust {
	t := verify.Trust{Explain: explain}
	for _, r := range p.bundles {
		a := verify.Alternative{Name: r.title}
		for _, s := range r.signedBy {
			rule, _ := s.rule(false)
			a.Rules = append(a.Rules, rule)
		}
		a.Rules = append(a.Rules, more...)
		t.Alternatives = append(t.Alternatives, a)
	}
	if explain != nil && len(p.bundles) > 1 {
		// What one rule lacks another may have: that is no failure yet.
		t.Explain = func(s verify.Step) {
			if s.Verdict == verify.Failed {
				s.Verdict = verify.Noted
			}
			explain(s)
		}
	}
	return t
}
