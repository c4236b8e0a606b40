package verify

import (
	"bytes"
	"crypto"
	"slices"

	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"

	"bale/bundle/fault"
	"bale/sign"
)

// Key returns the authority of a public key: it accepts what the key signed,
// and needs no certificate, log or timestamp. A nil or empty key accepts nothing.
func Key(k *sign.PublicKey) Authority { return keyAuthority{k} }

// Keys is [Key] for several keys.
func Keys(keys ...*sign.PublicKey) []Authority {
	var list []Authority
	for _, k := range keys {
		list = append(list, Key(k))
	}
	return list
}

type keyAuthority struct{ key *sign.PublicKey }

func (a keyAuthority) Form() sign.Form { return sign.Sigstore }

func (a keyAuthority) String() string {
	if a.key == nil || a.key.Hint() == "" {
		return "no key"
	}
	return a.key.Identity().String()
}

// named fails unless the key is the one that e names.
func (a keyAuthority) named(e *Evidence) error {
	if a.key == nil || a.key.Hint() == "" {
		return fault.Usage("an empty key given to verify with")
	}
	named := e.bundle.GetVerificationMaterial().GetPublicKey()
	switch {
	case named == nil:
		return Other("by a certificate")
	case !e.anonymous && named.GetHint() != a.key.Hint():
		return Other("by key %s", sign.Fingerprint(named.GetHint()))
	}
	return nil
}

// signers is the key, if err says that the signature is its own.
func (a keyAuthority) signers(e *Evidence, err error) ([]Signer, error) {
	switch {
	case err != nil && e.anonymous:
		return nil, Other("by another key")
	case err != nil:
		return nil, Altered(fault.Untrusted("signature does not fit SHA256SUMS: %w", err))
	}
	return []Signer{{Identity: a.key.Identity(), IDs: []string{a.key.ID()}}}, nil
}

// Check implements [Authority].
func (a keyAuthority) Check(e *Evidence, message []byte) ([]Signer, error) {
	if err := a.named(e); err != nil {
		return nil, err
	}
	m := e.bundle.GetMessageSignature()
	if m == nil {
		return nil, fault.WithHint(fault.Unsupported("is an attestation, not a signature over SHA256SUMS"),
			"sign it with bale, or cosign sign-blob")
	}
	if e.anonymous {
		return a.signers(e, a.key.Verify(message, m.GetSignature()))
	}
	hash, err := a.checkDigest(m.GetMessageDigest(), message)
	if err != nil {
		return nil, err
	}
	return a.signers(e, a.key.VerifyOver(hash, message, m.GetSignature()))
}

// checkDigest compares the digest that stands beside the signature, and returns
// its hash, which is the one that the signature must be over. It proves
// nothing, but a wrong one means that somebody was there.
func (a keyAuthority) checkDigest(d *commonpb.HashOutput, message []byte) (crypto.Hash, error) {
	if d.GetAlgorithm() == commonpb.HashAlgorithm_HASH_ALGORITHM_UNSPECIFIED {
		// cosign leaves the digest out with ED25519, which signs the message.
		if a.key.IsED25519() && len(d.GetDigest()) == 0 {
			return 0, nil
		}
		return 0, fault.Damaged("has no digest of what was signed")
	}
	hash, ok := sign.NamedHash(d.GetAlgorithm())
	switch {
	case !ok:
		return 0, fault.Unsupported("is over the digest %s, which bale does not use", d.GetAlgorithm())
	case a.key.IsED25519() && hash == crypto.SHA512:
		return 0, fault.WithHint(fault.Unsupported("is a prehashed ED25519 signature (ED25519ph), as cosign makes for its log"),
			"sign with cosign sign-blob --tlog-upload=false --use-signing-config=false, or with bale")
	case !a.goesWith(hash):
		return 0, fault.Unsupported("is over the digest %s, which does not go with a key of %s", d.GetAlgorithm(), a.key.Algorithm())
	case len(d.GetDigest()) != hash.Size():
		return 0, fault.Damaged("has a digest of %d bytes", len(d.GetDigest()))
	}
	if sum := sign.Sum(hash, message); !bytes.Equal(d.GetDigest(), sum) {
		return 0, Altered(fault.Untrusted("signature is for a SHA256SUMS with the digest %x, not %x", d.GetDigest(), sum))
	}
	return hash, nil
}

// goesWith tells whether a digest may stand beside a signature by the key.
func (a keyAuthority) goesWith(h crypto.Hash) bool {
	if a.key.IsED25519() {
		return h == crypto.SHA256
	}
	return slices.Contains(a.key.Hashes(), h)
}

// Altered gives err the hint for a signature that is by a known signer and does
// not fit.
func Altered(err error) error {
	return fault.WithHint(err, "SHA256SUMS or the signature was altered after signing: do not use this bundle, get it again from its source")
}
