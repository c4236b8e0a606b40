package sigstore_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"bale/sign"
)

// ownCA is an organisation's own CA: a root, and one below it that issues.
type ownCA struct {
	root, middle *x509.Certificate
	key          *ecdsa.PrivateKey
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func issue(t *testing.T, c, parent *x509.Certificate, pub crypto.PublicKey, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, parent, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func newCA(t *testing.T) *ownCA {
	t.Helper()
	ca := func(name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name, Organization: []string{"example"}},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		}
	}
	rootKey, key := newKey(t), newKey(t)
	root := issue(t, ca("own root"), ca("own root"), rootKey.Public(), rootKey)
	return &ownCA{root, issue(t, ca("own issuer"), root, key.Public(), rootKey), key}
}

// certify issues a certificate for a key, changed in some way.
func (c *ownCA) certify(t *testing.T, pub crypto.PublicKey, change ...func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "signer"}, EmailAddresses: []string{who},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	for _, f := range change {
		f(leaf)
	}
	return issue(t, leaf, c.middle, pub, c.key)
}

// ownCertificate is the certificate of some key, in PEM form.
func ownCertificate(t *testing.T) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: newCA(t).certify(t, newKey(t).Public()).Raw})
}

// keyFile writes a private key, and returns it as bale reads it.
func keyFile(t *testing.T, key crypto.Signer) *sign.PrivateKey {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, t.TempDir(), "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	k, err := sign.LoadPrivateKey(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
