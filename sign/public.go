package sign

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"

	"bale/bundle/fault"
)

// PublicKey is a key to verify with. The zero value has no hint and verifies
// nothing; call [LoadPublicKey], [ParsePublicKey] or [PrivateKey.Public].
type PublicKey struct {
	key       crypto.PublicKey
	algorithm string
	hint      string
	verifiers []verifier // by the hashes that its signatures may be over
}

type verifier struct {
	hash crypto.Hash
	signature.Verifier
}

// LoadPublicKey reads a public key from a PEM file of at most [MaxKeyFile]
// bytes.
func LoadPublicKey(path string) (*PublicKey, error) {
	data, err := ReadKeyFile(path)
	if err != nil {
		return nil, fmt.Errorf("public key %s: %w", KeyName(path), err)
	}
	k, err := ParsePublicKey(data)
	if err != nil {
		return nil, fmt.Errorf("public key %s: %w", KeyName(path), err)
	}
	return k, nil
}

// ParsePublicKey reads a public key in PEM form: PKIX ("PUBLIC KEY") or
// PKCS#1 ("RSA PUBLIC KEY"). A private key is refused although a public one
// could be had from it: who verifies should not hold it.
func ParsePublicKey(data []byte) (*PublicKey, error) {
	b, err := parseBlock(data)
	if err != nil {
		return nil, err
	}
	switch contentOf(b) {
	case privateKey:
		return nil, fault.WithHint(fault.Usage("is a private key, and verifying takes a public one"), "give the .pub file")
	case certificate:
		return nil, fault.WithHint(fault.Usage("is a certificate, not a public key"),
			"give its CA with --ca, and --certificate-identity; or take the key out of it: openssl x509 -pubkey -noout")
	}
	if cryptoutils.PEMType(b.Type) != cryptoutils.PublicKeyPEMType && cryptoutils.PEMType(b.Type) != cryptoutils.PKCS1PublicKeyPEMType {
		return nil, fault.WithHint(fault.Usage("holds %q, which is no public key that bale reads", label(b)), kindsHint)
	}
	pub, err := cryptoutils.UnmarshalPEMToPublicKey(encodeBlock(b))
	if err != nil {
		return nil, fault.WithHint(fault.Usage("cannot be read as a public key: %w", err),
			"the file is damaged or holds a key of another kind; %s", kindsHint)
	}
	return NewPublicKey(pub)
}

// NewPublicKey returns a public key of a kind that bale uses; others, weak ones
// among them, are a [fault.ErrUnsupported].
func NewPublicKey(pub crypto.PublicKey) (*PublicKey, error) {
	algorithm, err := algorithmOf(pub)
	if err != nil {
		return nil, err
	}
	der, err := cryptoutils.MarshalPublicKeyToDER(pub)
	if err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	sum := sha256.Sum256(der)
	k := &PublicKey{
		key:       pub,
		algorithm: algorithm,
		hint:      base64.StdEncoding.EncodeToString(sum[:]),
	}
	for _, h := range hashesOf(pub) {
		v, err := signature.LoadVerifier(pub, h)
		if err != nil {
			return nil, fmt.Errorf("use public key: %w", err)
		}
		k.verifiers = append(k.verifiers, verifier{h, v})
	}
	return k, nil
}

// Hint returns the base64 of the SHA-256 of the key's PKIX DER form: what
// cosign and bale write as publicKey.hint. It is "" for the zero value only.
func (k *PublicKey) Hint() string { return k.hint }

// Fingerprint returns the key's [Fingerprint].
func (k *PublicKey) Fingerprint() string { return Fingerprint(k.hint) }

// Algorithm returns the kind of key in words, such as "ECDSA P-256",
// "ED25519" or "RSA 3072".
func (k *PublicKey) Algorithm() string { return k.algorithm }

// IsED25519 tells whether the key signs messages and not their digests.
func (k *PublicKey) IsED25519() bool {
	_, ok := k.key.(ed25519.PublicKey)
	return ok
}

// Hashes returns the hashes that a signature by the key may be over; ED25519
// has none, and 0 for it.
func (k *PublicKey) Hashes() []crypto.Hash {
	var list []crypto.Hash
	for _, v := range k.verifiers {
		list = append(list, v.hash)
	}
	return list
}

// ID returns what tells whether two signers have the same key, in whichever
// form it is kept and whatever form of signature it makes.
func (k *PublicKey) ID() string { return "key:" + k.hint }

// Identity returns the key as a signer.
func (k *PublicKey) Identity() Identity {
	return Identity{Kind: KindKey, Algorithm: k.algorithm, Fingerprint: k.Fingerprint()}
}

// String names the key for a message: algorithm and fingerprint.
func (k *PublicKey) String() string { return k.algorithm + " " + k.Fingerprint() }

// PEM returns the key in PKIX PEM form, as in a .pub file.
func (k *PublicKey) PEM() ([]byte, error) { return cryptoutils.MarshalPublicKeyToPEM(k.key) }

// Verify fails unless sig is this key's signature over message: ECDSA in DER
// or RSA PKCS#1 v1.5 over one of the hashes that go with the key, or plain
// ED25519 (not its prehashed form). The errors have no kind, since only the
// caller knows what it means.
func (k *PublicKey) Verify(message, sig []byte) error {
	_, err := k.hashUnder(message, sig)
	return err
}

// VerifyOver is Verify for a signature that says which hash it is over; with
// ED25519, which has none under it, h is that of the digest beside it.
func (k *PublicKey) VerifyOver(h crypto.Hash, message, sig []byte) error {
	if k.IsED25519() {
		h = noHash
	}
	for _, v := range k.verifiers {
		if v.hash == h {
			return k.verify(v, message, sig)
		}
	}
	return fmt.Errorf("signature is over %s, which does not go with a key of %s", h, k.algorithm)
}

// hashUnder verifies sig and returns the hash that it is over.
func (k *PublicKey) hashUnder(message, sig []byte) (crypto.Hash, error) {
	err := errors.New("no key to verify with")
	for _, v := range k.verifiers {
		if err = k.verify(v, message, sig); err == nil {
			return v.hash, nil
		}
	}
	return noHash, err
}

func (k *PublicKey) verify(v verifier, message, sig []byte) error {
	// The library also takes the other common form of an ECDSA signature.
	// One form is enough, or a signature could be rewritten unseen.
	if _, ok := k.key.(*ecdsa.PublicKey); ok && !isDER(sig) {
		return errors.New("signature is not in DER form")
	}
	if err := v.VerifySignature(bytes.NewReader(sig), bytes.NewReader(message)); err != nil {
		return fmt.Errorf("signature does not fit: %w", err)
	}
	return nil
}

func isDER(sig []byte) bool {
	var rs struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(sig, &rs); err != nil || len(rest) != 0 {
		return false
	}
	again, err := asn1.Marshal(rs)
	return err == nil && bytes.Equal(again, sig)
}
