package certificate

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"slices"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"

	"bale/bundle/fault"
	"bale/sign"
	"bale/verify"
)

// signed is a signature and what it is over.
type signed struct {
	signature []byte
	verify    func() error
	digest    func(crypto.Hash) []byte // of what the signature is over
}

// messageSignature returns the signature over a message.
func messageSignature(e *verify.Evidence, c *claim, message []byte) (*signed, error) {
	m := e.Sigstore().GetMessageSignature()
	if m == nil {
		return nil, fault.WithHint(fault.Unsupported("is an attestation, not a signature over SHA256SUMS"),
			"sign it with bale, or cosign sign-blob")
	}
	return &signed{
		signature: m.GetSignature(),
		digest:    func(h crypto.Hash) []byte { return sign.Sum(h, message) },
		verify:    func() error { return checkMessage(c, m, message) },
	}, nil
}

// checkMessage verifies a message's signature over the digest that stands beside
// it. ED25519 is over the message itself, or with SHA-512 over that (ED25519ph),
// which is what Sigstore's logs need.
func checkMessage(c *claim, m *commonpb.MessageSignature, message []byte) error {
	d := m.GetMessageDigest()
	hash, ok := sign.NamedHash(d.GetAlgorithm())
	switch {
	case d.GetAlgorithm() == commonpb.HashAlgorithm_HASH_ALGORITHM_UNSPECIFIED && len(d.GetDigest()) == 0 && c.key.IsED25519():
		return fits(c.key.Verify(message, m.GetSignature()))
	case !ok:
		return fault.Unsupported("is over the digest %s, which bale does not use", d.GetAlgorithm())
	case len(d.GetDigest()) != hash.Size():
		return fault.Damaged("has a digest of %d bytes", len(d.GetDigest()))
	}
	sum := sign.Sum(hash, message)
	if !bytes.Equal(d.GetDigest(), sum) {
		return verify.Altered(fault.Untrusted("signature is for something with the digest %x, not %x", d.GetDigest(), sum))
	}
	if pub, ok := c.leaf.PublicKey.(ed25519.PublicKey); ok {
		switch hash {
		case crypto.SHA256:
			return fits(c.key.Verify(message, m.GetSignature()))
		case crypto.SHA512:
			return fits(ed25519.VerifyWithOptions(pub, sum, m.GetSignature(), &ed25519.Options{Hash: crypto.SHA512}))
		}
	}
	if !slices.Contains(c.key.Hashes(), hash) {
		return fault.Unsupported("is over the digest %s, which does not go with a key of %s", d.GetAlgorithm(), c.key.Algorithm())
	}
	return fits(c.key.VerifyOver(hash, message, m.GetSignature()))
}

// envelopeSignature returns the signature over a DSSE envelope's payload and its
// type.
func envelopeSignature(e *verify.Evidence, c *claim) (*signed, error) {
	env := e.Sigstore().GetDsseEnvelope()
	if env == nil || len(env.GetSignatures()) != 1 {
		return nil, fault.Damaged("has no envelope with one signature")
	}
	message := dsse.PAE(env.GetPayloadType(), env.GetPayload())
	sig := env.GetSignatures()[0].GetSig()
	return &signed{
		signature: sig,
		digest:    func(h crypto.Hash) []byte { return sign.Sum(h, message) },
		verify:    func() error { return fits(c.key.Verify(message, sig)) },
	}, nil
}

// fits gives an error of the check of a signature its kind.
func fits(err error) error {
	if err == nil {
		return nil
	}
	return verify.Altered(fault.Untrusted("signature does not fit what was signed: %w", err))
}
