package certificate

import (
	"regexp"

	"bale/bundle/fault"
)

// maxPattern bounds a regular expression, in bytes.
const maxPattern = 1024

// Identity says whose certificates count. Of each pair at most one is given, and
// one of the first pair must be; with a Sigstore trusted root one of the second
// must be too.
//
// A regular expression (Go's) must match all of the text. It is a part of it
// that cosign looks for, which has let strangers in: "alice@example.com" finds
// "malice@example.com.evil.org" as well. Where a part is meant, say ".*".
type Identity struct {
	Subject       string // an email address, a URI, a DNS name, or Fulcio's user!domain
	SubjectRegexp string
	Issuer        string // who vouched for the subject before Fulcio: an OIDC issuer
	IssuerRegexp  string
}

// String names the identity for a message.
func (i Identity) String() string {
	s := either(i.Subject, i.SubjectRegexp)
	if i.Issuer != "" || i.IssuerRegexp != "" {
		s += ", as " + either(i.Issuer, i.IssuerRegexp) + " says"
	}
	return s
}

func either(exact, pattern string) string {
	if exact != "" {
		return exact
	}
	return "/" + pattern + "/"
}

// matcher is an identity that can be compared.
type matcher struct {
	subject, issuer func(string) bool // issuer may be nil
}

func newMatcher(who Identity, issuerToo bool) (matcher, error) {
	var m matcher
	var err error
	if m.subject, err = compile("identity", who.Subject, who.SubjectRegexp); err != nil {
		return m, err
	}
	if m.issuer, err = compile("issuer", who.Issuer, who.IssuerRegexp); err != nil {
		return m, err
	}
	switch {
	case m.subject == nil:
		return m, fault.WithHint(fault.Usage("no identity given that a certificate must have"),
			"anybody can have a certificate: say whose counts with --certificate-identity, such as alice@example.com")
	case m.issuer == nil && issuerToo:
		return m, fault.WithHint(fault.Usage("no issuer given that vouches for the identity"),
			"any issuer can vouch for any name: say whose word counts with --certificate-oidc-issuer")
	}
	return m, nil
}

// compile returns how a text is compared; nil if nothing is given.
func compile(what, exact, pattern string) (func(string) bool, error) {
	switch {
	case exact != "" && pattern != "":
		return nil, fault.Usage("%s given both exactly and as a regular expression", what)
	case exact != "":
		return func(s string) bool { return s == exact }, nil
	case pattern == "":
		return nil, nil
	case len(pattern) > maxPattern:
		return nil, fault.Usage("regular expression for the %s has more than %d bytes", what, maxPattern)
	}
	// By itself first: "a)|(b" is none, but would be one between brackets.
	if _, err := regexp.Compile(pattern); err != nil {
		return nil, fault.Usage("regular expression for the %s: %w", what, err)
	}
	re, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	if err != nil {
		return nil, fault.Usage("regular expression for the %s: %w", what, err)
	}
	return re.MatchString, nil
}
