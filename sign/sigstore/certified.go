package sigstore

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"bale/bundle/fault"
	"bale/sign"
)

// Key is a signer with a key of its own: in a file, or in a KMS.
type Key interface {
	sign.Signer
	Public() *sign.PublicKey
}

type certified struct {
	key    Key
	leaf   *x509.Certificate
	stamps []string
}

// Certified returns a signer that puts the certificate of its key into what it
// signs, and the timestamps of some authorities (by their addresses; there may
// be none). Without one the signature is good for as long as the certificate.
//
// The form has room for the key's own certificate alone: those between it and
// the CA's go with the CA's, to the far side. There bale takes all keys that it
// uses; cosign takes no ED25519 with a certificate, but a form of it (ED25519ph).
func Certified(key Key, leaf *x509.Certificate, timestampServers ...string) (sign.Signer, error) {
	if err := checkServers(timestampServers); err != nil {
		return nil, err
	}
	if err := checkLeaf(leaf, time.Now()); err != nil {
		return nil, err
	}
	c := &certified{key, leaf, timestampServers}
	certifies, err := sign.NewPublicKey(leaf.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if certifies.ID() != key.Public().ID() {
		return nil, fault.WithHint(fault.Usage("certificate is for the key %s, not %s", certifies, key.Public()),
			"give the certificate that was issued for this key")
	}
	return c, nil
}

// checkLeaf refuses certificates that nobody would take.
func checkLeaf(leaf *x509.Certificate, now time.Time) error {
	day := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	const renew = "ask the CA for a new certificate; check this machine's clock"
	switch {
	case leaf == nil:
		return fault.Usage("no certificate")
	case leaf.IsCA:
		return fault.WithHint(fault.Usage("certificate is that of a CA"), "give the certificate that the CA issued for the key")
	case now.Before(leaf.NotBefore):
		return fault.WithHint(fault.Usage("certificate is not valid before %s", day(leaf.NotBefore)), renew)
	case now.After(leaf.NotAfter):
		return fault.WithHint(fault.Usage("certificate was valid until %s", day(leaf.NotAfter)), renew)
	case !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageCodeSigning):
		return fault.WithHint(fault.Usage("certificate is not for code signing"), "have it issued with the extended key usage codeSigning")
	case leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return fault.WithHint(fault.Usage("certificate is not for signatures"), "have it issued with the key usage digitalSignature")
	case identity(new(sign.PublicKey), leaf).Subject == "":
		return fault.WithHint(fault.Usage("certificate names nobody"),
			"have it issued with a subject alternative name: an e-mail address, a URI or a DNS name")
	}
	return nil
}

// Sign implements [sign.Signer].
func (c *certified) Sign(ctx context.Context, message []byte) (*sign.Signature, error) {
	if err := checkLeaf(c.leaf, time.Now()); err != nil {
		return nil, err // the work before may have been long
	}
	s, err := c.key.Sign(ctx, message)
	if err != nil {
		return nil, err
	}
	pb, err := certify(s, c.leaf)
	if err != nil {
		return nil, err
	}
	if err := addTimestamps(ctx, pb, c.stamps); err != nil {
		return nil, err
	}
	return finish(pb, identity(c.key.Public(), c.leaf))
}
