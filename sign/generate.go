package sign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"strings"

	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"bale/bundle/fault"
)

// KeyType is a kind of key to make.
type KeyType string

// DefaultKeyType is what cosign makes.
const DefaultKeyType KeyType = "ecdsa-p256"

// makers make private keys.
var makers = []struct {
	name KeyType
	make func() (crypto.Signer, error)
}{
	{DefaultKeyType, onCurve(elliptic.P256())},
	{"ecdsa-p384", onCurve(elliptic.P384())},
	{"ecdsa-p521", onCurve(elliptic.P521())},
	{"ed25519", func() (crypto.Signer, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}},
	{"rsa-3072", withBits(3072)},
	{"rsa-4096", withBits(4096)},
}

func onCurve(c elliptic.Curve) func() (crypto.Signer, error) {
	return func() (crypto.Signer, error) { return ecdsa.GenerateKey(c, rand.Reader) }
}

func withBits(n int) func() (crypto.Signer, error) {
	return func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, n) }
}

// KeyTypes returns the kinds of key that can be made, the default first.
func KeyTypes() []string {
	var list []string
	for _, m := range makers {
		list = append(list, string(m.name))
	}
	return list
}

// GenerateKeyPair makes a key pair in cosign's PEM forms; a type of "" is
// [DefaultKeyType]. The private half is always encrypted; an empty or nil
// password gives a key encrypted with the empty password, as cosign
// generate-key-pair does with an empty COSIGN_PASSWORD.
func GenerateKeyPair(kind KeyType, password []byte) (private, public []byte, err error) {
	if kind == "" {
		kind = DefaultKeyType
	}
	for _, m := range makers {
		if m.name != kind {
			continue
		}
		key, err := m.make()
		if err != nil {
			return nil, nil, fmt.Errorf("generate key pair: %w", err)
		}
		return encodePair(key, password)
	}
	return nil, nil, fault.WithHint(fault.Usage("there is no type of key %q", kind), "use one of %s", strings.Join(KeyTypes(), ", "))
}

// encodePair puts both halves of key in PEM form.
func encodePair(key crypto.Signer, password []byte) (private, public []byte, err error) {
	if password == nil {
		password = []byte{} // nil is no password, which the library refuses
	}
	if public, err = cryptoutils.MarshalPublicKeyToPEM(key.Public()); err != nil {
		return nil, nil, fmt.Errorf("encode public key: %w", err)
	}
	sealed, err := cryptoutils.MarshalPrivateKeyToEncryptedDER(key, cryptoutils.StaticPasswordFunc(password))
	if err != nil {
		return nil, nil, fmt.Errorf("encrypt private key: %w", err)
	}
	return cryptoutils.PEMEncode(cryptoutils.EncryptedSigstorePrivateKeyPEMType, sealed), public, nil
}
