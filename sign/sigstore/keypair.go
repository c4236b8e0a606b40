package sigstore

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"

	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

// keypair is a key on P-256 as the library wants it to prove to Fulcio that one
// has it.
type keypair struct{ key *ecdsa.PrivateKey }

func (k *keypair) GetHashAlgorithm() commonpb.HashAlgorithm {
	return commonpb.HashAlgorithm_SHA2_256
}

func (k *keypair) GetSigningAlgorithm() commonpb.PublicKeyDetails {
	return commonpb.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256
}

func (k *keypair) GetHint() []byte                { return nil }
func (k *keypair) GetKeyAlgorithm() string        { return "ECDSA" }
func (k *keypair) GetPublicKey() crypto.PublicKey { return k.key.Public() }

func (k *keypair) GetPublicKeyPem() (string, error) {
	b, err := cryptoutils.MarshalPublicKeyToPEM(k.key.Public())
	return string(b), err
}

func (k *keypair) SignData(_ context.Context, data []byte) (sig, digest []byte, err error) {
	sum := sha256.Sum256(data)
	sig, err = ecdsa.SignASN1(rand.Reader, k.key, sum[:])
	return sig, sum[:], err
}
