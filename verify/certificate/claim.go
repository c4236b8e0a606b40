package certificate

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"bale/bundle/fault"
	"bale/sign"
	"bale/verify"
)

// Bounds on what one bundle carries.
const (
	maxChain   = 8
	maxEntries = 8
	maxStamps  = 8
	// maxCertificate is the size of one in bytes: the time that it takes to check
	// a signature by RSA grows with the square of the key, which is anybody's.
	maxCertificate = 16 << 10
)

// Media types of bundles before version 0.3. The first knew no proofs of
// inclusion, and in both a whole chain was usual.
const (
	version01 = "application/vnd.dev.sigstore.bundle+json;version=0.1"
	version02 = "application/vnd.dev.sigstore.bundle+json;version=0.2"
)

// claim is a certificate that names the signer. Nothing of it is verified.
type claim struct {
	bundle   *bundlepb.Bundle
	leaf     *x509.Certificate
	extra    []*x509.Certificate // that came with it
	key      *sign.PublicKey
	subject  string   // the one that is asked for
	subjects []string // all
	issuer   string   // "" if it names none
	entries  []*rekorpb.TransparencyLogEntry
	stamps   []*commonpb.RFC3161SignedTimestamp
}

func (c *claim) olderThan03() bool {
	return c.bundle.GetMediaType() == version01 || c.bundle.GetMediaType() == version02
}

// claim returns the certificate in e, if it names the authority's signer.
func (a *authority) claim(e *verify.Evidence) (*claim, error) {
	pb := e.Sigstore()
	m := pb.GetVerificationMaterial()
	var raw []*commonpb.X509Certificate
	switch m.GetContent().(type) {
	case *bundlepb.VerificationMaterial_PublicKey:
		return nil, verify.Other("by key %s", sign.Fingerprint(m.GetPublicKey().GetHint()))
	case *bundlepb.VerificationMaterial_Certificate:
		raw = append(raw, m.GetCertificate())
	case *bundlepb.VerificationMaterial_X509CertificateChain:
		raw = m.GetX509CertificateChain().GetCertificates()
	}
	if len(raw) == 0 || len(raw) > maxChain {
		return nil, fault.Damaged("has %d certificates, not 1 to %d", len(raw), maxChain)
	}
	c := &claim{bundle: pb, entries: m.GetTlogEntries(), stamps: m.GetTimestampVerificationData().GetRfc3161Timestamps()}
	if len(c.entries) > maxEntries || len(c.stamps) > maxStamps {
		return nil, fault.Damaged("has %d log entries and %d timestamps, more than %d or %d", len(c.entries), len(c.stamps), maxEntries, maxStamps)
	}
	var err error
	if c.leaf, err = x509.ParseCertificate(raw[0].GetRawBytes()); err != nil {
		return nil, fault.Damaged("has a certificate that cannot be read: %w", err)
	}
	if err := a.named(c); err != nil {
		return nil, err
	}
	for _, r := range raw {
		if n := len(r.GetRawBytes()); n > maxCertificate {
			return nil, fault.Damaged("has a certificate of %d bytes, more than %d", n, maxCertificate)
		}
	}
	for _, s := range c.stamps {
		if n := len(s.GetSignedTimestamp()); n > sign.MaxTimestamp {
			return nil, fault.Damaged("has a timestamp of %d bytes, more than %d", n, sign.MaxTimestamp)
		}
	}
	if err := a.addChain(c, raw[1:]); err != nil {
		return nil, err
	}
	c.key, err = sign.NewPublicKey(c.leaf.PublicKey)
	return c, err
}

// named fails unless the certificate names the authority's signer.
func (a *authority) named(c *claim) error {
	var err error
	if c.issuer, err = issuerOf(c.leaf); err != nil {
		return err
	}
	c.subjects = subjects(c.leaf)
	i := slices.IndexFunc(c.subjects, a.match.subject)
	if i < 0 || a.match.issuer != nil && !a.match.issuer(c.issuer) {
		return verify.Other("by a certificate for %s, not %s", c.words(), a.who)
	}
	c.subject = c.subjects[i]
	if a.root.sigstore && len(c.subjects) != 1 {
		return fault.WithHint(fault.Untrusted("certificate has %d subjects, and Fulcio gives only one", len(c.subjects)),
			"for a CA of another kind, give its certificate and not a trusted root")
	}
	return nil
}

// words names whom the certificate says it is for.
func (c *claim) words() string {
	who, by := "nobody", c.issuer
	switch {
	case c.subject != "":
		who = c.subject
	case len(c.subjects) > 0:
		who = c.subjects[0]
	}
	if by == "" {
		by = c.leaf.Issuer.String()
	}
	if by == "" {
		return verify.Clip(who)
	}
	return verify.Clip(who) + " of " + verify.Clip(by)
}

// addChain notes the certificates that came along. From a Sigstore instance all
// that count are in the trusted root.
func (a *authority) addChain(c *claim, raw []*commonpb.X509Certificate) error {
	if a.root.sigstore {
		if len(raw) > 0 && !c.olderThan03() {
			return fault.Damaged("has a chain of certificates, and a keyless signature has one")
		}
		return nil
	}
	for _, r := range raw {
		i, err := x509.ParseCertificate(r.GetRawBytes())
		if err != nil {
			return fault.Damaged("has a certificate that cannot be read: %w", err)
		}
		if c.leaf.Equal(i) || slices.ContainsFunc(c.extra, i.Equal) {
			return fault.Damaged("has the certificate %s twice", name(i))
		}
		c.extra = append(c.extra, i)
	}
	return nil
}

// checkLeaf refuses certificates that are for something else than signing code.
func (c *claim) checkLeaf() error {
	switch {
	case c.leaf.IsCA:
		return fault.WithHint(fault.Untrusted("certificate for %s is that of a CA, and a CA must not sign by itself", c.words()),
			"have the CA issue a certificate for whoever signs")
	case !slices.Contains(c.leaf.ExtKeyUsage, x509.ExtKeyUsageCodeSigning):
		return fault.WithHint(fault.Untrusted("certificate for %s is not for code signing", c.words()),
			"have the CA issue one with the extended key usage codeSigning")
	case c.leaf.KeyUsage != 0 && c.leaf.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0:
		return fault.WithHint(fault.Untrusted("certificate for %s is not for signatures", c.words()),
			"have the CA issue one with the key usage digitalSignature")
	case !slices.Contains(algorithms, c.leaf.SignatureAlgorithm):
		return weakAlgorithm(c.leaf)
	}
	if username(c.leaf) != "" {
		// Go does not know this kind of name and would refuse it as critical.
		c.leaf.UnhandledCriticalExtensions = slices.DeleteFunc(c.leaf.UnhandledCriticalExtensions,
			func(id asn1.ObjectIdentifier) bool { return id.Equal(cryptoutils.SANOID) })
	}
	return nil
}
