package policy

import (
	"fmt"
	"slices"
	"time"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/verify"
)

// Waivers are what the user takes upon themselves. The zero value enforces all.
type Waivers struct {
	Expiry   bool // take what has expired, or says no expiry
	Age      bool // take what is older than maxAge
	Sequence bool // take what is below minSequence
}

// CheckHeader finds the rule for a bundle and decides by it: res says who signed
// the bundle according to [Policy.Trust], h is its header, now is the time.
// Refusals are a [fault.ErrUntrusted]. explain may be nil.
func (p *Policy) CheckHeader(res *verify.Result, h bundle.Header, now time.Time, w Waivers, explain func(verify.Step)) (*Rule, error) {
	r, err := p.checkHeader(res, h, now, w, explain)
	if err != nil {
		say(explain, verify.Failed, "%v", err)
		return nil, err
	}
	return r, nil
}

func (p *Policy) checkHeader(res *verify.Result, h bundle.Header, now time.Time, w Waivers, explain func(verify.Step)) (*Rule, error) {
	if res == nil || res.SumsDigest() == "" || len(res.Signers()) == 0 {
		return nil, fault.Untrusted("nobody vouches for the bundle's name: its signature was not verified")
	}
	i := slices.IndexFunc(p.bundles, func(r *Rule) bool { return r.fits(h) })
	if i < 0 {
		hint := "add one under bundles if such bundles are to be taken"
		if h.Name == "" {
			hint = "have the sender save it with --name; or add a rule with unnamed: true if such bundles are to be taken"
		}
		return nil, fault.WithHint(fault.Untrusted("%s has no rule for %s", p.name, describeBundle(h)), "%s", hint)
	}
	r := p.bundles[i]
	met := res.Accepted()
	if !slices.Contains(met, r.title) {
		return nil, fault.WithHint(fault.Untrusted("%s is under %s, which asks for signatures by %s, and they are not all there",
			describeBundle(h), r.rule(), r.signed()),
			"have those who are missing sign it: bale sign FILE --key KEY")
	}
	say(explain, verify.Passed, "%s is under %s: signed by %s", describeBundle(h), r.rule(), r.signed())
	return r, r.checkHeader(h, now, w, explain)
}

// checkHeader compares sequence and times with what the rule demands.
func (r *Rule) checkHeader(h bundle.Header, now time.Time, w Waivers, explain func(verify.Step)) error {
	if now.IsZero() {
		return fault.Usage("no time given to decide at")
	}
	for _, c := range []struct {
		wanted, waived bool
		check          func(bundle.Header, time.Time) error
		good           string
	}{
		{r.minSequence > 0, w.Sequence, r.checkSequence, fmt.Sprintf("sequence %d is not below %d", h.Sequence, r.minSequence)},
		{r.maxAge > 0, w.Age, r.checkAge, "made at " + h.Created.Format(time.RFC3339) + ", within " + r.maxAgeText},
		{h.Expires != nil || r.requireExpiry, w.Expiry, r.checkExpiry, "not expired: " + expiry(h)},
	} {
		if !c.wanted {
			continue
		}
		switch err := c.check(h, now); {
		case err == nil:
			say(explain, verify.Passed, "%s", c.good)
		case c.waived:
			say(explain, verify.Ignored, "waived: %v", err)
		default:
			return err
		}
	}
	return nil
}

func (r *Rule) checkSequence(h bundle.Header, _ time.Time) error {
	if h.Sequence >= r.minSequence {
		return nil
	}
	return fault.WithHint(fault.Untrusted("%s demands sequence %d or higher, and %s has %d", r.rule(), r.minSequence, describeBundle(h), h.Sequence),
		"get a newer bundle from the sender; whoever takes it all the same says so with --insecure-ignore-age")
}

func (r *Rule) checkAge(h bundle.Header, now time.Time) error {
	clock := now.UTC().Format(time.RFC3339)
	switch {
	case verify.FromFuture(h, now):
		return fault.WithHint(fault.Untrusted("%s allows an age of %s, and %s was made at %s, when it is only %s",
			r.rule(), r.maxAgeText, describeBundle(h), h.Created.Format(time.RFC3339), clock),
			"set the clock of this machine, or the sender theirs")
	case now.Sub(h.Created) > r.maxAge:
		return fault.WithHint(fault.Untrusted("%s allows an age of %s, and %s was made at %s; it is %s",
			r.rule(), r.maxAgeText, describeBundle(h), h.Created.Format(time.RFC3339), clock),
			"get a newer bundle from the sender; whoever takes it all the same says so with --insecure-ignore-age")
	}
	return nil
}

func (r *Rule) checkExpiry(h bundle.Header, now time.Time) error {
	if h.Expires == nil {
		return fault.WithHint(fault.Untrusted("%s demands that bundles expire, and %s does not say when", r.rule(), describeBundle(h)),
			"ask the sender to save it with --expires; whoever takes it all the same says so with --insecure-ignore-expiry")
	}
	return verify.CheckExpiry(h, now)
}

// expiry says when a bundle expires.
func expiry(h bundle.Header) string {
	if h.Expires == nil {
		return "never does"
	}
	return "does at " + h.Expires.Format(time.RFC3339)
}

// rule names the rule in a sentence.
func (r *Rule) rule() string { return fmt.Sprintf("rule %s (%s:%d)", r.title, r.policy.name, r.line) }

func say(explain func(verify.Step), v verify.Verdict, format string, args ...any) {
	if explain != nil {
		explain(verify.Step{Verdict: v, Text: fmt.Sprintf(format, args...)})
	}
}
