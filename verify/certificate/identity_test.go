package certificate_test

import (
	"errors"
	"strings"
	"testing"

	"bale/bundle/fault"
	"bale/verify/certificate"
)

func TestIdentityRefused(t *testing.T) {
	i := newInstance()
	keyless := must(certificate.ParseTrustedRoot(i.trustedRoot(nil)))
	own := must(certificate.NewRoot(certificates([]*pair{newCorp().root}), nil, nil))
	for name, c := range map[string]struct {
		root *certificate.Root
		who  certificate.Identity
		want string
	}{
		"nothing":               {keyless, certificate.Identity{}, "no identity given"},
		"nothing, own CA":       {own, certificate.Identity{}, "no identity given"},
		"only an issuer":        {own, certificate.Identity{Issuer: idp}, "no identity given"},
		"no issuer":             {keyless, certificate.Identity{Subject: alice}, "no issuer given"},
		"both ways":             {own, certificate.Identity{Subject: alice, SubjectRegexp: alice}, "identity given both exactly and as a regular expression"},
		"both ways, issuer":     {own, certificate.Identity{Subject: alice, Issuer: idp, IssuerRegexp: idp}, "issuer given both exactly"},
		"no regular expression": {own, certificate.Identity{SubjectRegexp: "("}, "missing closing )"},
		"broken out":            {own, certificate.Identity{SubjectRegexp: "a)|(b"}, "regular expression for the identity"},
		"huge":                  {own, certificate.Identity{SubjectRegexp: strings.Repeat("a", 1025)}, "more than 1024 bytes"},
		"no root":               {nil, whoAlice, "no trusted root"},
		"empty root":            {new(certificate.Root), whoAlice, "no trusted root"},
	} {
		a, err := certificate.New(c.root, c.who, certificate.Options{})
		if a != nil || !errors.Is(err, fault.ErrUsage) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestIdentityWords(t *testing.T) {
	for want, who := range map[string]certificate.Identity{
		"alice@example.com":                     {Subject: alice},
		"/.*@example\\.com/, as x says":         {SubjectRegexp: `.*@example\.com`, Issuer: "x"},
		"alice@example.com, as /https:.*/ says": {Subject: alice, IssuerRegexp: "https:.*"},
	} {
		if got := who.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
