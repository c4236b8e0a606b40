package openpgp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // for [crypto.Hash.New]
	_ "crypto/sha3"
	_ "crypto/sha512"
	"fmt"

	pgpecdsa "github.com/ProtonMail/go-crypto/openpgp/ecdsa"
	pgped25519 "github.com/ProtonMail/go-crypto/openpgp/ed25519"
	"github.com/ProtonMail/go-crypto/openpgp/eddsa"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"bale/bundle/fault"
	"bale/sign"
)

// strict is how self-signatures are judged. Message signatures are judged by
// hashes.
var strict = &packet.Config{
	MinRSABits:           sign.MinRSABits,
	RejectHashAlgorithms: map[crypto.Hash]bool{crypto.MD5: true, crypto.SHA1: true, crypto.RIPEMD160: true, crypto.SHA224: true},
}

// lenient is how revocations are judged: a weak one is still meant.
var lenient = &packet.Config{RejectHashAlgorithms: map[crypto.Hash]bool{}}

// hashes are the digests that a signature may be over, by their number.
var hashes = map[byte]bool{8: true, 9: true, 10: true, 12: true, 14: true}

// hashNames are the digests for messages.
var hashNames = map[byte]string{1: "MD5", 2: "SHA-1", 3: "RIPEMD-160", 11: "SHA-224"}

func hashName(id byte) string {
	if n, ok := hashNames[id]; ok {
		return n
	}
	return fmt.Sprintf("number %d", id)
}

// nist are the curves that the standard library has, and brainpool those that
// only OpenPGP has, with their names for people.
var (
	nist = map[packet.Curve]elliptic.Curve{
		packet.CurveNistP256: elliptic.P256(),
		packet.CurveNistP384: elliptic.P384(),
		packet.CurveNistP521: elliptic.P521(),
	}
	brainpool = map[packet.Curve]string{
		packet.CurveBrainpoolP256: "brainpoolP256r1",
		packet.CurveBrainpoolP384: "brainpoolP384r1",
		packet.CurveBrainpoolP512: "brainpoolP512r1",
	}
)

// algorithmOf names the algorithm of pk, such as "ED25519", and refuses keys
// that bale does not use.
func algorithmOf(pk *packet.PublicKey) (string, error) {
	if pub := standard(pk); pub != nil {
		k, err := sign.NewPublicKey(pub)
		if err != nil {
			return "", err
		}
		return k.Algorithm(), nil
	}
	switch pk.PubKeyAlgo {
	case packet.PubKeyAlgoECDSA:
		curve, err := pk.Curve()
		name, ok := brainpool[curve]
		if err != nil || !ok {
			return "", unsupported("ECDSA on curve %s", curve)
		}
		return "ECDSA " + name, nil
	case packet.PubKeyAlgoEdDSA, packet.PubKeyAlgoEd448:
		if curve, err := pk.Curve(); err == nil && curve == packet.Curve448 {
			return "ED448", nil
		}
	case packet.PubKeyAlgoDSA:
		return "", unsupported("DSA")
	}
	return "", unsupported("algorithm %d", pk.PubKeyAlgo)
}

func unsupported(format string, args ...any) error {
	return fault.WithHint(fault.Unsupported("is a key of a kind that bale does not use: "+format, args...),
		"use ED25519, ECDSA, or RSA with %d bits or more", sign.MinRSABits)
}

// keyID returns the [sign.PublicKey.ID] of pk, or "" if bale uses no such keys
// in other forms.
func keyID(pk *packet.PublicKey) string {
	k, err := sign.NewPublicKey(standard(pk))
	if err != nil {
		return ""
	}
	return k.ID()
}

// standard returns a key that can sign as the standard library has it, or nil
// if it has none of the kind.
func standard(pk *packet.PublicKey) crypto.PublicKey {
	switch k := pk.PublicKey.(type) {
	case *rsa.PublicKey:
		if pk.PubKeyAlgo.CanSign() {
			return k
		}
	case *eddsa.PublicKey:
		if curve, err := pk.Curve(); err == nil && curve == packet.Curve25519 {
			return ed25519.PublicKey(k.X)
		}
	case *pgped25519.PublicKey:
		return ed25519.PublicKey(k.Point)
	case *pgpecdsa.PublicKey:
		curve, err := pk.Curve()
		c, ok := nist[curve]
		if err != nil || !ok {
			break
		}
		if pub, err := ecdsa.ParseUncompressedPublicKey(c, k.MarshalPoint()); err == nil {
			return pub
		}
	}
	return nil
}
