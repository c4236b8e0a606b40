package sign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"

	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
)

// noHash stands for ED25519, which takes the message itself.
const noHash crypto.Hash = 0

// hashNames are the digests that a Sigstore bundle may name, and a signature
// be over.
var hashNames = map[commonpb.HashAlgorithm]crypto.Hash{
	commonpb.HashAlgorithm_SHA2_256: crypto.SHA256,
	commonpb.HashAlgorithm_SHA2_384: crypto.SHA384,
	commonpb.HashAlgorithm_SHA2_512: crypto.SHA512,
}

// NamedHash returns the hash that a Sigstore bundle names, if it is one that
// bale uses.
func NamedHash(name commonpb.HashAlgorithm) (crypto.Hash, bool) {
	h, ok := hashNames[name]
	return h, ok
}

// Sum returns the digest of message.
func Sum(h crypto.Hash, message []byte) []byte {
	d := h.New()
	d.Write(message)
	return d.Sum(nil)
}

// messageDigest is what stands beside a signature over h. ED25519 has SHA-256
// there too, where cosign leaves it out when it signs without a log but asks
// for it when it verifies.
func messageDigest(h crypto.Hash, message []byte) *commonpb.HashOutput {
	if h == noHash {
		h = crypto.SHA256
	}
	for name, hash := range hashNames {
		if hash == h {
			return &commonpb.HashOutput{Algorithm: name, Digest: Sum(h, message)}
		}
	}
	return nil
}

// hashesOf returns the hashes that a signature by pub may be over, which are
// those of Sigstore's registry of algorithms and no others. The first is the
// one that a private key in a file signs over.
//
// That is SHA-256 for the larger curves too: cosign signs with them over
// SHA-384 and SHA-512, but with a key file it verifies over SHA-256 and nothing
// else. A KMS decides for itself: Azure takes larger digests for larger RSA keys.
func hashesOf(pub crypto.PublicKey) []crypto.Hash {
	switch k := pub.(type) {
	case ed25519.PublicKey:
		return []crypto.Hash{noHash}
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return []crypto.Hash{crypto.SHA256}
		case elliptic.P384():
			return []crypto.Hash{crypto.SHA256, crypto.SHA384}
		default:
			return []crypto.Hash{crypto.SHA256, crypto.SHA512}
		}
	}
	return []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}
}
