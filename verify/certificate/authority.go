package certificate

import (
	"fmt"
	"time"

	"bale/bundle/fault"
	"bale/sign"
	"bale/verify"
)

// Options are what an authority may be told besides root and identity. The zero
// value is the strictest.
type Options struct {
	// Now is the time that a certificate must be valid at where nothing proves
	// when it signed; zero is the time of the check.
	Now time.Time
}

// New returns the authority that accepts signatures by whoever has a certificate
// for an identity from a root. It also checks what is attached to images.
func New(r *Root, who Identity, o Options) (verify.Attesting, error) {
	if r == nil || len(r.authorities) == 0 {
		return nil, fault.Usage("no trusted root and no CA given to check certificates with")
	}
	m, err := newMatcher(who, r.sigstore)
	if err != nil {
		return nil, err
	}
	return &authority{root: r, who: who, match: m, now: o.Now}, nil
}

// authority is a pointer wherever it is used, since authorities are compared.
type authority struct {
	root  *Root
	who   Identity
	match matcher
	now   time.Time
}

func (a *authority) Form() sign.Form { return sign.Sigstore }

func (a *authority) String() string { return "a certificate for " + a.who.String() }

// Check implements [verify.Authority].
func (a *authority) Check(e *verify.Evidence, message []byte) ([]verify.Signer, error) {
	c, err := a.claim(e)
	if err != nil {
		return nil, err
	}
	s, err := messageSignature(e, c, message)
	if err != nil {
		return nil, err
	}
	return a.check(c, s)
}

// CheckEnvelope implements [verify.Attesting].
func (a *authority) CheckEnvelope(e *verify.Evidence) ([]verify.Signer, error) {
	c, err := a.claim(e)
	if err != nil {
		return nil, err
	}
	s, err := envelopeSignature(e, c)
	if err != nil {
		return nil, err
	}
	return a.check(c, s)
}

// check verifies a certificate that names the signer, and what it signed.
func (a *authority) check(c *claim, s *signed) ([]verify.Signer, error) {
	if err := c.checkLeaf(); err != nil {
		return nil, err
	}
	if !a.root.issued(c) {
		return nil, a.root.stranger(c)
	}
	if err := s.verify(); err != nil {
		return nil, err
	}
	entries, err := a.root.checkLogs(c, s)
	if err != nil {
		return nil, err
	}
	stamps, err := a.root.checkTimestamps(c, s)
	if err != nil {
		return nil, err
	}
	times, err := a.times(c, entries, stamps)
	if err != nil {
		return nil, err
	}
	chain, err := a.root.checkChain(c, times, a.currentTime())
	if err != nil {
		return nil, err
	}
	if err := a.root.checkSCT(chain); err != nil {
		return nil, err
	}
	return []verify.Signer{a.signer(c, chain[0], times, entries, stamps)}, nil
}

// times returns when the signature was made, as somebody of the root proves.
func (a *authority) times(c *claim, entries []entry, stamps []verify.Time) ([]verify.Time, error) {
	var times []verify.Time
	for _, e := range entries {
		if !e.at.IsZero() {
			times = append(times, verify.Time{At: e.at, Source: "log " + e.log, Proven: true})
		}
	}
	times = append(times, stamps...)
	switch {
	case len(times) > 0:
	case !a.root.sigstore && len(a.root.timestamps) == 0:
		return nil, nil
	case a.root.sigstore:
		return nil, noTime(c, "nothing proves when it was signed: %s has no time from a log or a timestamp authority of the trusted root")
	default:
		return nil, noTime(c, "nothing proves when it was signed: %s has no timestamp by a timestamp authority that was given")
	}
	for _, e := range entries {
		for _, t := range times {
			if err := e.window.holds("log "+e.log, t.At); err != nil {
				return nil, err
			}
		}
	}
	return times, nil
}

func noTime(c *claim, format string) error {
	what := "its signature"
	if n := len(c.stamps); n > 0 {
		what = fmt.Sprintf("its signature, with %d timestamps,", n)
	}
	return fault.WithHint(fault.Untrusted(format, what),
		"have it signed again with a timestamp; if the timestamp authority has changed its certificate, get a new trusted root")
}

func (a *authority) currentTime() time.Time {
	if a.now.IsZero() {
		return time.Now()
	}
	return a.now
}
