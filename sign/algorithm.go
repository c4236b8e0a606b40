package sign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"math"

	"filippo.io/edwards25519"

	"bale/bundle/fault"
)

// The RSA keys that are taken, in bits. Less is weak; more only costs time.
const (
	MinRSABits = 2048
	MaxRSABits = 8192
)

// The public exponents of RSA that are taken: 1 encrypts nothing, and more
// than the most is not what Go verifies with.
const (
	minRSAExponent = 3
	maxRSAExponent = math.MaxInt32
)

// curves are the curves of ECDSA that are taken.
var curves = map[elliptic.Curve]string{
	elliptic.P256(): "ECDSA P-256",
	elliptic.P384(): "ECDSA P-384",
	elliptic.P521(): "ECDSA P-521",
}

const kindsHint = "use ECDSA P-256, P-384 or P-521, ED25519, or RSA with 2048 bits or more; bale keygen makes a key pair"

// algorithmOf names the algorithm of pub, such as "ECDSA P-256", and refuses
// keys that bale does not use, and numbers that are no key.
func algorithmOf(pub crypto.PublicKey) (string, error) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		if k == nil || k.Curve == nil {
			return "", unsupported("an empty one")
		}
		name, ok := curves[k.Curve]
		if !ok {
			return "", unsupported("ECDSA on curve %s", k.Curve.Params().Name)
		}
		if _, err := k.ECDH(); err != nil { // infinity, or beside the curve
			return "", unsupported("%s with a point that is not on the curve", name)
		}
		return name, nil
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return "", unsupported("ED25519 with %d bytes", len(k))
		}
		if isSmall(k) {
			return "", unsupported("ED25519 with a point that anybody can sign for")
		}
		return "ED25519", nil
	case *rsa.PublicKey:
		if k == nil || k.N == nil {
			return "", unsupported("an empty one")
		}
		if n := k.N.BitLen(); n < MinRSABits || n > MaxRSABits {
			return "", unsupported("RSA with %d bits", n)
		}
		if k.N.Bit(0) == 0 {
			return "", unsupported("RSA with an even modulus")
		}
		if k.E < minRSAExponent || k.E > maxRSAExponent || k.E%2 == 0 {
			return "", unsupported("RSA with the exponent %d", k.E)
		}
		return fmt.Sprintf("RSA %d", k.N.BitLen()), nil
	}
	return "", unsupported("%T", pub)
}

// isSmall tells whether k is no point of the curve, or one of the eight whose
// order is small: with those, signatures verify that nobody made.
func isSmall(k ed25519.PublicKey) bool {
	p, err := new(edwards25519.Point).SetBytes(k)
	return err != nil || new(edwards25519.Point).MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1
}

func unsupported(format string, args ...any) error {
	return fault.WithHint(fault.Unsupported("is a key of a kind that bale does not use: "+format, args...), kindsHint)
}
