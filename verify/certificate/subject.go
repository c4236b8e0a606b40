package certificate

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"strings"
	"unicode"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"bale/bundle/fault"
)

// subjects returns the names in a certificate, each once. What kind of name it is
// must show in the name itself, or a CA that may only give out DNS names could
// give out one that reads as an email address. Names of other kinds, those that do
// not look like their kind, and those that cannot be shown, are nobody's.
func subjects(c *x509.Certificate) []string {
	var list []string
	for _, s := range c.EmailAddresses {
		if strings.Contains(s, "@") && !strings.ContainsAny(s, ":/ \t\r\n\x00") {
			list = append(list, s)
		}
	}
	for _, u := range c.URIs {
		if u.IsAbs() {
			list = append(list, u.String())
		}
	}
	for _, s := range c.DNSNames {
		if s != "" && !strings.ContainsAny(s, "@:/!") {
			list = append(list, s)
		}
	}
	if s := username(c); s != "" {
		list = append(list, s)
	}
	// Names are shown to people, and compared by patterns that they wrote.
	return slices.DeleteFunc(list, func(s string) bool {
		return strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
	})
}

// username returns the name of Fulcio's own kind, such as "alice!example.com".
func username(c *x509.Certificate) string {
	s, err := cryptoutils.UnmarshalOtherNameSAN(c.Extensions)
	if err != nil || !strings.Contains(s, "!") || strings.ContainsAny(s, "@:/") {
		return ""
	}
	return s
}

// oidOldIssuer is the extension that Fulcio wrote the issuer in at first, and
// still does.
var oidOldIssuer = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}

// issuerOf returns the OIDC issuer that a certificate names; "" if none. Fulcio
// writes it in an old form and a new one, which must agree.
func issuerOf(c *x509.Certificate) (string, error) {
	var old, current string
	for _, e := range c.Extensions {
		switch {
		case e.Id.Equal(oidOldIssuer):
			old = string(e.Value)
		case e.Id.Equal(certificate.OIDIssuerV2):
			if err := certificate.ParseDERString(e.Value, &current); err != nil {
				return "", fault.Damaged("has a certificate whose issuer cannot be read: %w", err)
			}
		}
	}
	if old != "" && current != "" && old != current {
		return "", fault.Damaged("has a certificate that names two issuers")
	}
	if current == "" {
		return old, nil
	}
	return current, nil
}
