package verify

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"strings"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/sign"
	"bale/sign/openpgp"
	"bale/sign/ssh"
)

// The first lines of armored signatures.
const (
	openpgpArmor = "-----BEGIN PGP SIGNATURE-----"
	sshArmor     = "-----BEGIN SSH SIGNATURE-----"
)

// Attached is what a signature that was made elsewhere says of itself.
type Attached struct {
	Form sign.Form
	By   string // whose it says it is, in words; "" if it does not say
}

// Recognize tells by its content what form a signature has that was made
// elsewhere, such as by cosign, gpg or ssh-keygen. It fails if the signature is of
// no known form, not well-formed, or says itself that it is over something else
// than message. Whether it is right it does not tell. Its errors do not name the
// file.
func Recognize(data, message []byte) (Attached, error) {
	switch {
	case len(data) > bundle.MaxSignature:
		return Attached{}, fault.Usage("has more than %d bytes, too many for a signature", bundle.MaxSignature)
	case bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")):
		return recognizeSigstore(data, message)
	case bytes.HasPrefix(data, []byte(openpgpArmor)):
		by, err := openpgp.Signers(data)
		if err != nil {
			return Attached{}, err
		}
		return Attached{sign.OpenPGP, "OpenPGP key " + strings.Join(by, ", ")}, nil
	case bytes.HasPrefix(data, []byte(sshArmor)):
		s, err := ssh.ParseSignature(data)
		if err != nil {
			return Attached{}, err
		}
		if err := s.CheckNamespace(); err != nil {
			return Attached{}, err
		}
		return Attached{sign.SSH, s.Signer()}, nil
	}
	return Attached{}, fault.WithHint(fault.Usage("is not a signature of a form that a bundle takes"),
		"make it over SHA256SUMS with cosign sign-blob --bundle, gpg --armor --detach-sign, or ssh-keygen -Y sign -n file")
}

// recognizeSigstore refuses a Sigstore bundle that is not over message.
func recognizeSigstore(data, message []byte) (Attached, error) {
	pb, err := parseSigstore(data)
	if err != nil {
		return Attached{}, err
	}
	m := pb.GetMessageSignature()
	if m == nil {
		return Attached{}, fault.WithHint(fault.Unsupported("is an attestation, not a signature over SHA256SUMS"),
			"sign SHA256SUMS with cosign sign-blob --bundle")
	}
	sum := sha256.Sum256(message)
	if d := m.GetMessageDigest(); d.GetAlgorithm() == commonpb.HashAlgorithm_SHA2_256 && !bytes.Equal(d.GetDigest(), sum[:]) {
		return Attached{}, fault.WithHint(fault.Untrusted("is over something with the SHA-256 %x, and SHA256SUMS has %x", d.GetDigest(), sum),
			"sign the SHA256SUMS of this very bundle: bale sign --detach DIR FILE writes it")
	}
	return Attached{sign.Sigstore, claimedBy(pb)}, nil
}

// claimedBy says whose signature a Sigstore bundle says it is; "" if it does not.
func claimedBy(pb *bundlepb.Bundle) string {
	m := pb.GetVerificationMaterial()
	if hint := m.GetPublicKey().GetHint(); hint != "" {
		return "key " + sign.Fingerprint(hint)
	}
	raw := m.GetCertificate().GetRawBytes()
	if list := m.GetX509CertificateChain().GetCertificates(); len(list) > 0 {
		raw = list[0].GetRawBytes()
	}
	if c, err := x509.ParseCertificate(raw); err == nil {
		return "a certificate for " + Clip(strings.Join(cryptoutils.GetSubjectAlternateNames(c), ", "))
	}
	return ""
}
