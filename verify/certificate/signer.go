package certificate

import (
	"crypto/x509"
	"fmt"
	"strconv"

	"bale/sign"
	"bale/verify"
)

// signer says who signed, once all is verified.
func (a *authority) signer(c *claim, chain []*x509.Certificate, times []verify.Time, entries []entry, stamps []verify.Time) verify.Signer {
	ca := name(chain[len(chain)-1])
	issuer := c.issuer
	if issuer == "" {
		issuer = ca
	}
	s := verify.Signer{
		Identity: sign.Identity{
			Kind:      sign.KindCertificate,
			Algorithm: c.key.Algorithm(),
			Subject:   c.subject,
			Issuer:    issuer,
		},
		IDs:   []string{c.key.ID()},
		Times: times,
	}
	if !a.root.sigstore {
		s.Fingerprint = c.key.Fingerprint()
	}
	// All names of the certificate: it must not stand for two signers.
	for _, name := range c.subjects {
		s.IDs = append(s.IDs, "cert:"+strconv.Quote(issuer)+strconv.Quote(name))
	}
	s.Evidence = append(s.Evidence, fmt.Sprintf("certificate by %s, valid from %s to %s",
		verify.Clip(c.leaf.Issuer.String()), day(c.leaf.NotBefore), day(c.leaf.NotAfter)))
	for _, e := range entries {
		s.Evidence = append(s.Evidence, e.String())
	}
	if n := len(c.entries) - len(entries); n > 0 && len(a.root.material.RekorLogs()) > 0 {
		s.Evidence = append(s.Evidence, fmt.Sprintf("%d log entries of no log in the root, not counted", n))
	}
	for _, t := range stamps {
		s.Evidence = append(s.Evidence, "timestamp by "+t.Source)
	}
	if n := len(c.stamps) - len(stamps); n > 0 && len(a.root.timestamps) > 0 {
		s.Evidence = append(s.Evidence, fmt.Sprintf("%d timestamps by nobody in the root, not counted", n))
	}
	return s
}
