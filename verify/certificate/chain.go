package certificate

import (
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"bale/bundle/fault"
	"bale/verify"
)

// with returns a CA that also uses the certificates of c to build a chain, and
// its window.
func with(ca *authorityOfCAs, c *claim) (*authorityOfCAs, window) {
	copied := *ca
	copied.Intermediates = slices.Concat(ca.Intermediates, c.extra)
	return &copied, window{ca.ValidityPeriodStart, ca.ValidityPeriodEnd}
}

// always returns ca without its window.
func always(ca *authorityOfCAs) *authorityOfCAs {
	copied := *ca
	copied.ValidityPeriodStart, copied.ValidityPeriodEnd = time.Time{}, time.Time{}
	return &copied
}

// issued tells whether the certificate is by a certificate of the root, or one
// that came along: that is for the words of a refusal, not for trust.
func (r *Root) issued(c *claim) bool {
	for _, ca := range r.authorities {
		for _, by := range slices.Concat([]*x509.Certificate{ca.Root}, ca.Intermediates, c.extra) {
			if c.leaf.CheckSignatureFrom(by) == nil {
				return true
			}
		}
	}
	return false
}

// stranger is the refusal of a certificate that names the signer and is not by a
// CA of the root.
func (r *Root) stranger(c *claim) error {
	if r.sigstore {
		return fault.WithHint(fault.Untrusted("certificate for %s is not by a CA in the trusted root", c.words()),
			"use the trusted root of the Sigstore instance that it was signed with; if that is it, it may be too old: get a new one")
	}
	return fault.WithHint(fault.Untrusted("certificate for %s is not by a CA that was given", c.words()),
		"give the CA's certificate; if there are CAs below it, theirs too")
}

// checkChain returns the chains from the certificate to a CA of the root. They
// must be valid at all times that are proven, or now if there is none.
func (r *Root) checkChain(c *claim, times []verify.Time, now time.Time) ([][]*x509.Certificate, error) {
	at := []time.Time{now}
	if len(times) > 0 {
		at = nil
		for _, t := range times {
			at = append(at, t.At)
		}
	}
	var chains [][]*x509.Certificate
	for _, t := range at {
		var err error
		if chains, err = r.chainsAt(c, t, len(times) > 0); err != nil {
			return nil, err
		}
	}
	chain := chains[0]
	if err := errors.Join(strong(chain), checkAlgorithms(chain)); err != nil {
		return nil, err
	}
	if username(c.leaf) == c.subject && slices.ContainsFunc(chain, constrained) {
		return nil, fault.WithHint(fault.Untrusted("certificate for %s is by a CA that may give out some names only, and such a name cannot be checked", c.words()),
			"have the CA issue one for an email address, a URI or a DNS name")
	}
	for _, e := range c.extra {
		if !slices.ContainsFunc(chain, e.Equal) && !c.olderThan03() {
			return nil, fault.Damaged("has the certificate %s, which is no part of its chain", name(e))
		}
	}
	return chains, nil
}

// chainsAt returns the chains that were valid at a time.
func (r *Root) chainsAt(c *claim, t time.Time, proven bool) ([][]*x509.Certificate, error) {
	if err := c.validAt(t, proven); err != nil {
		return nil, err
	}
	var refused, outside error
	for _, ca := range r.authorities {
		ca, w := with(ca, c)
		chains, err := ca.Verify(c.leaf, t)
		if err == nil {
			return chains, nil
		}
		if _, err := always(ca).Verify(c.leaf, t); err == nil {
			outside = w.holds("the CA "+name(ca.Root), t)
		}
		if unknown := new(x509.UnknownAuthorityError); refused == nil || !errors.As(err, unknown) {
			refused = err
		}
	}
	if outside != nil {
		return nil, outside
	}
	return nil, fault.WithHint(fault.Untrusted("certificate for %s has no chain to a CA of the root that was valid at %s: %s",
		c.words(), day(t), verify.Clip(refused.Error())), "the certificate of a CA may have ended, or the root be too old: get a new one")
}

// validAt fails with words if the certificate itself is not valid.
func (c *claim) validAt(t time.Time, proven bool) error {
	if (window{c.leaf.NotBefore, c.leaf.NotAfter}).has(t) {
		return nil
	}
	valid := day(c.leaf.NotBefore) + " to " + day(c.leaf.NotAfter)
	if proven {
		return fault.WithHint(fault.Untrusted("certificate for %s was valid from %s, and it was signed at %s", c.words(), valid, day(t)),
			"have it signed again, and stamped while the certificate is valid")
	}
	return verify.Stale(fault.WithHint(fault.Untrusted("certificate for %s is valid from %s, and now it is %s", c.words(), valid, day(t)),
		"have it signed again with a certificate that is valid; with a timestamp, and its authority given here, a signature outlives its certificate"))
}

// constrained tells whether a CA may give out some names only.
func constrained(c *x509.Certificate) bool {
	return len(c.PermittedDNSDomains)+len(c.ExcludedDNSDomains)+
		len(c.PermittedIPRanges)+len(c.ExcludedIPRanges)+
		len(c.PermittedEmailAddresses)+len(c.ExcludedEmailAddresses)+
		len(c.PermittedURIDomains)+len(c.ExcludedURIDomains) > 0
}
