package policy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"bale/bundle"
	"bale/bundle/container"
	"bale/bundle/fault"
	"bale/sign"
	"bale/verify"
	"bale/verify/policy"
)

// issued is a certificate with its key.
type issued struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a CA, or somebody's certificate by one.
func issue(t *testing.T, by *issued, email string) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(7), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, BasicConstraintsValid: true,
	}
	if email == "" {
		c.Subject, c.IsCA, c.KeyUsage = pkix.Name{CommonName: "corp"}, true, x509.KeyUsageCertSign
		by = &issued{c, key}
	} else {
		c.EmailAddresses, c.KeyUsage = []string{email}, x509.KeyUsageDigitalSignature
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by.cert, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{cert, key}
}

// entry is the signature over sums by whom the certificate names.
func (i *issued) entry(t *testing.T, name string) bundle.Signature {
	t.Helper()
	sum := sha256.Sum256(sums)
	sig, err := ecdsa.SignASN1(rand.Reader, i.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	data, err := protojson.Marshal(&bundlepb.Bundle{
		MediaType: sign.MediaType,
		VerificationMaterial: &bundlepb.VerificationMaterial{Content: &bundlepb.VerificationMaterial_Certificate{
			Certificate: &commonpb.X509Certificate{RawBytes: i.cert.Raw},
		}},
		Content: &bundlepb.Bundle_MessageSignature{MessageSignature: &commonpb.MessageSignature{
			MessageDigest: &commonpb.HashOutput{Algorithm: commonpb.HashAlgorithm_SHA2_256, Digest: sum[:]}, Signature: sig,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return bundle.Signature{Entry: name, Data: data}
}

// Whom an organisation's CA names is a signer like others; and one who has two
// certificates is one.
func TestCertificates(t *testing.T) {
	ca, other := issue(t, nil, ""), issue(t, nil, "")
	ann, ann2, ben, stranger := issue(t, ca, "ann@corp.example"), issue(t, ca, "ann@corp.example"), issue(t, ca, "ben@corp.example"), issue(t, other, "ben@corp.example")
	const text = `version: 1
signers:
  ann: {certificate: {ca: [ca.pem], identity: ann@corp.example}}
  others: {certificate: {ca: [ca.pem], identityRegexp: '(ben|carol)@corp\.example'}}
roles:
  both: {signers: [ann, others]}
bundles:
  - {name: edge, signedBy: [both]}
`
	read := 0
	p, err := policy.Parse("p.yaml", []byte(text), func(string) ([]byte, string, error) {
		read++
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}), "ca.pem", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if read != 1 {
		t.Errorf("the CA's file was read %d times", read)
	}
	for name, c := range map[string]struct {
		by   []*issued
		good bool
	}{
		"both":                   {[]*issued{ann, ben}, true},
		"one":                    {[]*issued{ann}, false},
		"one with two":           {[]*issued{ann, ann2}, false},
		"the other CA's":         {[]*issued{ann, stranger}, false},
		"both and a stranger":    {[]*issued{ann, ben, issue(t, ca, "eve@corp.example")}, true},
		"an address with a tail": {[]*issued{ann, issue(t, ca, "ben@corp.example.evil.example")}, false},
	} {
		var sigs []bundle.Signature
		for i, who := range c.by {
			sigs = append(sigs, who.entry(t, container.SignatureName(sign.Sigstore, i)))
		}
		res, err := verify.Verify(bundle.NewEnvelope(sums, sigs), p.Trust(nil))
		switch {
		case !c.good && !errors.Is(err, fault.ErrUntrusted):
			t.Errorf("%s: %v", name, err)
		case c.good && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.good && len(res.Signers()) != 2:
			t.Errorf("%s: signers %v", name, res.Signers())
		}
	}
}

// Who is known by a Sigstore instance signs images too, and is told from others
// by its words.
func TestKeyless(t *testing.T) {
	p, err := policy.Load("testdata/good/keyless.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := p.Summary()
	if len(s.Signers) != 2 || !strings.Contains(s.Signers[0].Keys[0], "token.example") {
		t.Errorf("%+v", s.Signers)
	}
	// A certificate that this instance did not issue.
	ca := issue(t, nil, "")
	_, err = verify.Verify(bundle.NewEnvelope(sums, []bundle.Signature{issue(t, ca, "other@corp.example").entry(t, container.SigstoreName)}), p.Trust(nil))
	if !errors.Is(err, fault.ErrUntrusted) {
		t.Errorf("a stranger's certificate: %v", err)
	}
	if _, err := os.Stat("testdata/keys/trusted_root.json"); err != nil || len(p.Files()) != 2 {
		t.Errorf("files %v, %v", p.Files(), err)
	}
}
