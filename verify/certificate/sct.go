package certificate

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"

	sigstoreverify "github.com/sigstore/sigstore-go/pkg/verify"

	"bale/bundle/fault"
	"bale/verify"
)

// oidSCT is the extension with signed certificate timestamps (RFC 6962).
var oidSCT = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}

// checkSCT fails unless a certificate transparency log of the root, if it has
// any, promised to publish the certificate.
func (r *Root) checkSCT(chains [][]*x509.Certificate) error {
	if len(r.material.CTLogs()) == 0 {
		return nil
	}
	if !slices.ContainsFunc(chains[0][0].Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidSCT) }) {
		return fault.WithHint(fault.Untrusted("certificate has no timestamp of a certificate transparency log, and the trusted root has such logs"),
			"have it signed again with a certificate of the instance that the trusted root is for")
	}
	if err := sigstoreverify.VerifySignedCertificateTimestamp(chains, 1, r.material); err != nil {
		return fault.WithHint(fault.Untrusted("certificate has no valid timestamp of a certificate transparency log in the trusted root: %s", verify.Clip(err.Error())),
			"if the Sigstore instance has a new log, get a new trusted root")
	}
	return nil
}
