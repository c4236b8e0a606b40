package certificate_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"

	"bale/bundle/fault"
	"bale/verify"
	"bale/verify/certificate"
)

// A certificate is looked at before anybody vouches for it, so it has a size; and
// names that would do something to a terminal are nobody's.
func TestHostileCertificates(t *testing.T) {
	c := newCorp()
	large := []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: make([]byte, 16<<10)}}
	big := caTemplate("Corp big CA")
	big.ExtraExtensions = large
	bigCA := issue(c.root, newKey(), big)
	anybody := certificate.Identity{SubjectRegexp: `(?s).*`}
	for name, o := range map[string]own{
		"large":            {leaf: func(t *x509.Certificate) { t.ExtraExtensions = large }, kind: fault.ErrDamaged, want: "has a certificate of "},
		"large CA":         {by: bigCA, chain: []*pair{bigCA}, kind: fault.ErrDamaged, want: "has a certificate of "},
		"large, of others": {leaf: func(t *x509.Certificate) { t.EmailAddresses, t.ExtraExtensions = []string{"bob@example.com"}, large }, kind: verify.ErrOther, want: "bob@example.com"},
		"address with an escape": {leaf: func(t *x509.Certificate) { t.EmailAddresses = []string{"\x1b]0;" + alice} },
			who: anybody, kind: verify.ErrOther, want: "by a certificate for nobody"},
		"DNS name of two lines": {leaf: func(t *x509.Certificate) { t.EmailAddresses, t.DNSNames = nil, []string{"x\nci.example.com"} },
			who: anybody, kind: verify.ErrOther, want: "by a certificate for nobody"},
		"DNS name with a zero": {leaf: func(t *x509.Certificate) { t.EmailAddresses, t.DNSNames = nil, []string{"ci.example.com\x00"} },
			who: anybody, kind: verify.ErrOther, want: "by a certificate for nobody"},
	} {
		t.Run(name, func(t *testing.T) {
			if o.who == (certificate.Identity{}) {
				o.who = certificate.Identity{Subject: alice}
			}
			r := must(certificate.NewRoot(certificates([]*pair{c.root}), nil, nil))
			a := must(certificate.New(r, o.who, certificate.Options{Now: then.AddDate(0, 1, 0)}))
			list, err := a.Check(verify.EvidenceOf(o.sign(c)), sums)
			if list != nil || !errors.Is(err, o.kind) || !strings.Contains(err.Error(), o.want) {
				t.Errorf("%v, %v, want %q", list, err, o.want)
			}
		})
	}
}
