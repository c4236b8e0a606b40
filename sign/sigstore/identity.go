package sigstore

import (
	"crypto/x509"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"

	"bale/sign"
)

// identity is whom a certificate names. Which of several names counts is for
// who verifies to say.
func identity(pub *sign.PublicKey, leaf *x509.Certificate) sign.Identity {
	id := sign.Identity{Kind: sign.KindCertificate, Algorithm: pub.Algorithm(), Issuer: leaf.Issuer.String()}
	if s, err := certificate.SummarizeCertificate(leaf); err == nil {
		id.Subject = s.SubjectAlternativeName
		if s.Issuer != "" {
			id.Issuer = s.Issuer
		}
	}
	if id.Subject == "" && len(leaf.DNSNames) > 0 {
		id.Subject = leaf.DNSNames[0]
	}
	return id
}
