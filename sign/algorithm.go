package sign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"

	"bale/bundle/fault"
)

// The RSA keys that are taken, in bits. Less is weak; more only costs time.
const (
	MinRSABits = 2048
	MaxRSABits = 8192
)

// hash is the digest under every ECDSA and RSA signature. ED25519 takes the
// message itself.
const hash = crypto.SHA256

const kindsHint = "use ECDSA P-256, ED25519, or RSA with 2048 bits or more; bale keygen makes a key pair"

// algorithmOf names the algorithm of pub, such as "ECDSA P-256", and refuses
// keys that bale does not use.
//
// P-384 and P-521 are refused because cosign signs with them over SHA-384 and
// SHA-512 but verifies over SHA-256, so its own signatures do not verify.
func algorithmOf(pub crypto.PublicKey) (string, error) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return "", unsupported("ECDSA on curve %s", k.Curve.Params().Name)
		}
		return "ECDSA P-256", nil
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return "", unsupported("ED25519 with %d bytes", len(k))
		}
		return "ED25519", nil
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < MinRSABits || n > MaxRSABits {
			return "", unsupported("RSA with %d bits", n)
		}
		return fmt.Sprintf("RSA %d", k.N.BitLen()), nil
	}
	return "", unsupported("%T", pub)
}

func unsupported(format string, args ...any) error {
	return fault.WithHint(fault.Unsupported("is a key of a kind that bale does not use: "+format, args...), kindsHint)
}
