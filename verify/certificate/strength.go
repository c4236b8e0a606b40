package certificate

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"slices"

	"bale/bundle/fault"
	"bale/sign"
)

// algorithms are those that certificates may be signed with: over SHA-2.
var algorithms = []x509.SignatureAlgorithm{
	x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
	x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
	x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512,
	x509.PureEd25519,
}

// strong refuses certificates with weak keys. Curves are all at least P-256,
// except one.
func strong(list []*x509.Certificate) error {
	for _, c := range list {
		if c == nil {
			return fault.Usage("has an empty certificate")
		}
		switch k := c.PublicKey.(type) {
		case *rsa.PublicKey:
			if n := k.N.BitLen(); n < sign.MinRSABits {
				return fault.Unsupported("%s has an RSA key of %d bits, and %d are the least", name(c), n, sign.MinRSABits)
			}
		case *ecdsa.PublicKey:
			if k.Curve.Params().BitSize < 256 {
				return fault.Unsupported("%s has a key on the weak curve %s", name(c), k.Curve.Params().Name)
			}
		case ed25519.PublicKey:
		default:
			return fault.Unsupported("%s has a key of a kind that bale does not use", name(c))
		}
	}
	return nil
}

// checkAlgorithms refuses a chain that is signed over weak hashes. The last one is
// the anchor, whose own signature proves nothing.
func checkAlgorithms(chain []*x509.Certificate) error {
	for _, c := range chain[:len(chain)-1] {
		if !slices.Contains(algorithms, c.SignatureAlgorithm) {
			return weakAlgorithm(c)
		}
	}
	return nil
}

func weakAlgorithm(c *x509.Certificate) error {
	return fault.WithHint(fault.Untrusted("certificate %s is signed with the weak algorithm %s", name(c), c.SignatureAlgorithm),
		"have the CA issue one that is signed over SHA-256")
}
