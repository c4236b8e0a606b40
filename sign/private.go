package sign

import (
	"crypto"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"

	"bale/bundle/fault"
)

// PrivateKey is a key to sign with. The zero value signs nothing; call
// [LoadPrivateKey].
type PrivateKey struct {
	public *PublicKey
	signer signature.Signer
}

// LoadPrivateKey reads a private key from a PEM file of at most [MaxKeyFile]
// bytes: cosign's encrypted form (old and new label), PKCS#8 plain or
// encrypted, PKCS#1, or SEC1. The password function is asked once, and only
// if the key is encrypted; nil means that there is none to ask.
//
// No error holds any part of key or password.
func LoadPrivateKey(path string, password func() ([]byte, error)) (*PrivateKey, error) {
	data, err := ReadKeyFile(path)
	if err != nil {
		return nil, fmt.Errorf("private key %s: %w", KeyName(path), err)
	}
	k, err := ParsePrivateKey(data, password)
	if err != nil {
		return nil, fmt.Errorf("private key %s: %w", KeyName(path), err)
	}
	return k, nil
}

// ParsePrivateKey is [LoadPrivateKey] for the content of a file.
func ParsePrivateKey(data []byte, password func() ([]byte, error)) (*PrivateKey, error) {
	b, err := parseBlock(data)
	if err != nil {
		return nil, err
	}
	switch contentOf(b) {
	case publicKey:
		return nil, fault.WithHint(fault.Usage("is a public key, and signing takes a private one"), "give the .key file")
	case certificate:
		return nil, fault.WithHint(fault.Usage("is a certificate, and signing takes a private key"), "give the .key file")
	case unknown:
		return nil, fault.WithHint(fault.Usage("holds %q, which is no private key", label(b)), kindsHint)
	}
	priv, err := decode(b, password)
	if err != nil {
		return nil, err
	}
	return newPrivateKey(priv)
}

func newPrivateKey(priv crypto.PrivateKey) (*PrivateKey, error) {
	s, ok := priv.(crypto.Signer)
	if !ok {
		return nil, unsupported("%T", priv)
	}
	pub, err := NewPublicKey(s.Public())
	if err != nil {
		return nil, err
	}
	signer, err := signature.LoadSigner(priv, pub.verifiers[0].hash)
	if err != nil {
		return nil, fmt.Errorf("use private key: %w", err)
	}
	return &PrivateKey{public: pub, signer: signer}, nil
}

// decode decrypts and parses b. It does not pass on the errors of parsers:
// they may quote what they stumbled over.
func decode(b *pem.Block, password func() ([]byte, error)) (crypto.PrivateKey, error) {
	switch b.Type {
	case cosignLabel, sigstoreLabel:
		if !json.Valid(b.Bytes) {
			return nil, damaged()
		}
	case pkcs8Label, string(cryptoutils.PrivateKeyPEMType),
		string(cryptoutils.PKCS1PrivateKeyPEMType), string(cryptoutils.ECPrivateKeyPEMType):
	default:
		return nil, fault.WithHint(fault.Unsupported("holds %q, a form of private key that bale does not read", label(b)),
			"change it to PKCS#8: openssl pkcs8 -topk8, or ssh-keygen -p -m PKCS8 for a key of OpenSSH")
	}
	if !isEncrypted(b) {
		priv, err := unmarshal(b, nil)
		if err != nil {
			return nil, damaged()
		}
		return priv, nil
	}
	if password == nil {
		return nil, fault.WithHint(fault.Usage("is encrypted, and there is no password"), "set COSIGN_PASSWORD")
	}
	pw, err := password()
	if err != nil {
		return nil, fmt.Errorf("ask for its password: %w", err)
	}
	if pw == nil {
		pw = []byte{} // the library takes nil for "not encrypted"
	}
	priv, err := unmarshal(b, pw)
	if err != nil {
		return nil, fault.WithHint(fault.Usage("cannot be decrypted: wrong password, or the file is damaged"),
			"check COSIGN_PASSWORD, or what you typed")
	}
	return priv, nil
}

// unmarshal is the library's parser without its panics: it hands a wrong IV
// length on to crypto/cipher.
func unmarshal(b *pem.Block, password []byte) (priv crypto.PrivateKey, err error) {
	defer func() {
		if recover() != nil {
			priv, err = nil, errors.New("malformed key")
		}
	}()
	return cryptoutils.UnmarshalPEMToPrivateKey(encodeBlock(b), cryptoutils.StaticPasswordFunc(password))
}

func damaged() error {
	return fault.WithHint(fault.Usage("cannot be read: the key is damaged or of another kind"), kindsHint)
}

// Public returns the public half.
func (k *PrivateKey) Public() *PublicKey { return k.public }

// String names the key by its public half.
func (k *PrivateKey) String() string {
	if k.public == nil {
		return "no private key"
	}
	return "private key of " + k.public.String()
}
