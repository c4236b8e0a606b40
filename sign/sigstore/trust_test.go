package sigstore_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	trustpb "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	"bale/bundle"
	"bale/bundle/container"
	"bale/bundle/fault"
	"bale/sign"
	"bale/sign/sigstore"
	"bale/transport/parts"
	"bale/verify"
	"bale/verify/certificate"
)

// decides has bale decide about a signature as on the far side.
func decides(data, sums []byte, a verify.Authority) (*verify.Result, error) {
	env := bundle.NewEnvelope(sums, []bundle.Signature{{Entry: container.SigstoreName, Data: data}})
	return verify.Verify(env, verify.TrustAny(a))
}

func keylessAuthority(t *testing.T, p *parts.SigstorePart, subject string) verify.Authority {
	t.Helper()
	root, err := certificate.ParseTrustedRoot(read(t, p.TrustedRoot))
	if err != nil {
		t.Fatal(err)
	}
	a, err := certificate.New(root, certificate.Identity{Subject: subject, Issuer: p.Issuer.URL}, certificate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// What bale and the real cosign sign keyless, bale accepts, by whom it is, and
// nothing else.
func TestKeylessIsTrusted(t *testing.T) {
	t.Parallel()
	p := parts.Sigstore(t)
	dir := t.TempDir()
	write(t, dir, "message", message)
	token := write(t, dir, "token", []byte(p.Issuer.Token(t, who)))
	ours, err := sigstore.Keyless(instance(t, p.SigningConfig, p.TrustedRoot), given(t, token)).Sign(t.Context(), message)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := cosign(t, dir, "sign-blob", "--signing-config", p.SigningConfig, "--trusted-root", p.TrustedRoot,
		"--identity-token", token, "--bundle", "cosigns", "-y", "message"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, data := range map[string][]byte{"bale's": ours.Data, "cosign's": read(t, dir+"/cosigns")} {
		res, err := decides(data, message, keylessAuthority(t, p, who))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		s := res.Signers()[0]
		if s.Kind != sign.KindCertificate || s.Subject != who || s.Issuer != p.Issuer.URL {
			t.Errorf("%s: by %+v", name, s.Identity)
		}
		if len(s.Times) == 0 || !s.Times[0].Proven || time.Since(s.Times[0].At).Abs() > time.Hour {
			t.Errorf("%s: times %+v", name, s.Times)
		}
		if _, err := decides(data, message, keylessAuthority(t, p, "x@example.com")); !errors.Is(err, fault.ErrUntrusted) {
			t.Errorf("%s: somebody else: %v", name, err)
		}
		if _, err := decides(data, flip(message, 0), keylessAuthority(t, p, who)); !errors.Is(err, fault.ErrUntrusted) {
			t.Errorf("%s: an altered message: %v", name, err)
		}
	}
}

// With a certificate of an own CA, with a timestamp and without, signatures are
// accepted by bale and by the real cosign.
func TestCertified(t *testing.T) {
	t.Parallel()
	ca, server := newCA(t), parts.TSA(t)
	var stamping []*x509.Certificate
	for _, der := range parts.TSAChain(t, server) {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		stamping = append(stamping, c)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"ECDSA P-256": newKey(t), "ECDSA P-384": p384, "ED25519": edwards, "RSA 2048": rsaKey} {
		for _, stamps := range [][]string{nil, {server}, {server, server}} {
			t.Run(name, func(t *testing.T) {
				k := keyFile(t, key)
				s, err := sigstore.Certified(k, ca.certify(t, key.Public()), stamps...)
				if err != nil {
					t.Fatal(err)
				}
				sig, err := s.Sign(t.Context(), message)
				if err != nil {
					t.Fatal(err)
				}
				want := sign.Identity{Kind: sign.KindCertificate, Algorithm: name, Subject: who, Issuer: "CN=own issuer,O=example"}
				if sig.By != want {
					t.Errorf("by %+v, want %+v", sig.By, want)
				}
				var trusted []*x509.Certificate
				if stamps != nil {
					trusted = stamping
				}
				root, err := certificate.NewRoot([]*x509.Certificate{ca.root}, []*x509.Certificate{ca.middle}, trusted)
				if err != nil {
					t.Fatal(err)
				}
				a, err := certificate.New(root, certificate.Identity{Subject: who}, certificate.Options{})
				if err != nil {
					t.Fatal(err)
				}
				res, err := decides(sig.Data, message, a)
				if err != nil {
					t.Fatal(err)
				}
				if signer := res.Signers()[0]; signer.Subject != who || len(stamps) > 0 != (len(signer.Times) > 0) {
					t.Errorf("signer %+v", signer)
				}
				if _, err := decides(sig.Data, flip(message, 0), a); !errors.Is(err, fault.ErrUntrusted) {
					t.Errorf("an altered message: %v", err)
				}
				if len(stamps) == 1 && name != "ED25519" {
					cosignTakesCertified(t, ca, server, sig.Data)
				}
			})
		}
	}
}

// cosignTakesCertified has cosign verify with a trusted root of the own CA's.
func cosignTakesCertified(t *testing.T, ca *ownCA, server string, sig []byte) {
	t.Helper()
	since := &commonpb.TimeRange{Start: timestamppb.New(time.Now().Add(-time.Hour))}
	authority := func(uri string, chain ...[]byte) []*trustpb.CertificateAuthority {
		c := &commonpb.X509CertificateChain{}
		for _, der := range chain {
			c.Certificates = append(c.Certificates, &commonpb.X509Certificate{RawBytes: der})
		}
		return []*trustpb.CertificateAuthority{{Uri: uri, Subject: &commonpb.DistinguishedName{CommonName: "own"}, CertChain: c, ValidFor: since}}
	}
	data, err := protojson.Marshal(&trustpb.TrustedRoot{
		MediaType:              "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
		CertificateAuthorities: authority("https://ca.example", ca.middle.Raw, ca.root.Raw),
		TimestampAuthorities:   authority(server, parts.TSAChain(t, server)...),
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, "root.json", data)
	write(t, dir, "sig", sig)
	write(t, dir, "good", message)
	write(t, dir, "bad", flip(message, 0))
	check := func(file string) (string, error) {
		return cosign(t, dir, "verify-blob", "--trusted-root", "root.json", "--bundle", "sig", "--use-signed-timestamps",
			"--insecure-ignore-tlog", "--insecure-ignore-sct", "--certificate-identity", who, "--certificate-oidc-issuer-regexp", ".*", file)
	}
	if out, err := check("good"); err != nil {
		t.Errorf("cosign refuses it: %v: %s", err, out)
	}
	if out, err := check("bad"); err == nil {
		t.Errorf("cosign accepts an altered file: %s", out)
	}
}

// A plain key's signature with a timestamp is accepted for the key, by cosign
// too.
func TestTimestamped(t *testing.T) {
	t.Parallel()
	server := parts.TSA(t)
	key := newKey(t)
	k := keyFile(t, key)
	s, err := sigstore.Timestamped(k, server)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := s.Sign(t.Context(), message)
	if err != nil {
		t.Fatal(err)
	}
	if sig.By != k.Public().Identity() {
		t.Errorf("by %+v", sig.By)
	}
	pb := new(bundlepb.Bundle)
	if err := protojson.Unmarshal(sig.Data, pb); err != nil {
		t.Fatal(err)
	}
	if n := len(pb.GetVerificationMaterial().GetTimestampVerificationData().GetRfc3161Timestamps()); n != 1 {
		t.Errorf("%d timestamps", n)
	}
	if _, err := decides(sig.Data, message, verify.Key(k.Public())); err != nil {
		t.Error(err)
	}
	dir := t.TempDir()
	public, err := k.Public().PEM()
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "key.pub", public)
	write(t, dir, "sig", sig.Data)
	write(t, dir, "message", message)
	if out, err := cosign(t, dir, "verify-blob", "--key", "key.pub", "--bundle", "sig", "--insecure-ignore-tlog", "message"); err != nil {
		t.Errorf("cosign refuses it: %v: %s", err, out)
	}
}

// Certificates that nobody would take are refused before anything is done.
func TestCertifiedRefuses(t *testing.T) {
	ca, key := newCA(t), newKey(t)
	k := keyFile(t, key)
	other := newKey(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		leaf   *x509.Certificate
		server []string
		text   string
	}{
		"none":                {nil, nil, "no certificate"},
		"another key":         {ca.certify(t, other.Public()), nil, "certificate is for the key"},
		"another kind of key": {ca.certify(t, p384.Public()), nil, "certificate is for the key"},
		"a CA's":              {ca.middle, nil, "that of a CA"},
		"ended": {ca.certify(t, key.Public(), func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-2*day), time.Now().Add(-day)
		}), nil, "was valid until"},
		"to come": {ca.certify(t, key.Public(), func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(day), time.Now().Add(2*day)
		}), nil, "not valid before"},
		"for servers": {ca.certify(t, key.Public(), func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}), nil, "not for code signing"},
		"for all": {ca.certify(t, key.Public(), func(c *x509.Certificate) { c.ExtKeyUsage = nil }), nil, "not for code signing"},
		"for ciphers": {ca.certify(t, key.Public(), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }),
			nil, "not for signatures"},
		"nobody's":     {ca.certify(t, key.Public(), func(c *x509.Certificate) { c.EmailAddresses = nil }), nil, "names nobody"},
		"no address":   {ca.certify(t, key.Public()), []string{"tsa.example"}, "none of http or https"},
		"a file":       {ca.certify(t, key.Public()), []string{"file:///etc/passwd"}, "none of http or https"},
		"a password":   {ca.certify(t, key.Public()), []string{"https://user:hunter2@tsa.example/"}, "user or password"},
		"many servers": {ca.certify(t, key.Public()), make([]string, 33), "more than 32"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := sigstore.Certified(k, c.leaf, c.server...)
			if !errors.Is(err, fault.ErrUsage) || !strings.Contains(err.Error(), c.text) || s != nil {
				t.Errorf("signer %v, error %v", s, err)
			}
			if err != nil && strings.Contains(err.Error()+fault.Hint(err), "hunter2") {
				t.Errorf("%v shows a password", err)
			}
		})
	}
	u, err := url.Parse("https://example.com/ci")
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*x509.Certificate){
		"https://example.com/ci": func(c *x509.Certificate) { c.EmailAddresses, c.URIs = nil, []*url.URL{u} },
		"build.example.com":      func(c *x509.Certificate) { c.EmailAddresses, c.DNSNames = nil, []string{"build.example.com"} },
	} {
		s, err := sigstore.Certified(k, ca.certify(t, key.Public(), change))
		if err != nil {
			t.Fatal(err)
		}
		sig, err := s.Sign(t.Context(), message)
		if err != nil {
			t.Fatal(err)
		}
		if sig.By.Subject != want {
			t.Errorf("by %q, want %q", sig.By.Subject, want)
		}
	}
}

// What is signed is JSON without a private key or token in it.
func TestNoSecretInSignature(t *testing.T) {
	t.Parallel()
	p := parts.Sigstore(t)
	token := p.Issuer.Token(t, who)
	sig, err := sigstore.Keyless(instance(t, p.SigningConfig, p.TrustedRoot), given(t, token)).Sign(t.Context(), message)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(sig.Data) {
		t.Error("not JSON")
	}
	// The claims are in it: those that Fulcio puts into its certificate.
	noSecret(t, string(sig.Data), strings.Split(token, ".")[2:])
}
