package sigstore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"bale/sign"
	"bale/sign/sigstore"
	"bale/transport/parts"
)

const who = "signer@example.com"

var message = []byte("0123  bale.json\n")

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// instance reads the part's own files, or others.
func instance(t *testing.T, config, trusted string) *sigstore.Instance {
	t.Helper()
	i, err := sigstore.ParseInstance(read(t, config), read(t, trusted))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func given(t *testing.T, token string) sigstore.TokenSource {
	t.Helper()
	s, err := sigstore.Given(token)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// cosign runs the real cosign in dir.
func cosign(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), parts.Tool(t, "cosign"), args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir, "COSIGN_PASSWORD=")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// verifies has sigstore-go verify a signature with all that a trusted root can
// prove.
func verifies(t *testing.T, p *parts.SigstorePart, data, message []byte, san string) error {
	t.Helper()
	trusted, err := root.NewTrustedRootFromPath(p.TrustedRoot)
	if err != nil {
		t.Fatal(err)
	}
	return verifiesWith(t, trusted, p.Issuer.URL, data, message, san,
		verify.WithSignedCertificateTimestamps(1), verify.WithTransparencyLog(1), verify.WithSignedTimestamps(1))
}

func verifiesWith(t *testing.T, trusted root.TrustedMaterial, issuer string, data, message []byte, san string, demands ...verify.VerifierOption) error {
	t.Helper()
	v, err := verify.NewVerifier(trusted, demands...)
	if err != nil {
		t.Fatal(err)
	}
	id, err := verify.NewShortCertificateIdentity(issuer, "", san, "")
	if err != nil {
		t.Fatal(err)
	}
	b := new(bundle.Bundle)
	if err := b.UnmarshalJSON(data); err != nil {
		return err
	}
	_, err = v.Verify(b, verify.NewPolicy(verify.WithArtifact(bytes.NewReader(message)), verify.WithCertificateIdentity(id)))
	return err
}

// What bale signs keyless, sigstore-go and the real cosign accept, and only
// that.
func TestKeyless(t *testing.T) {
	t.Parallel()
	p := parts.Sigstore(t)
	at := instance(t, p.SigningConfig, p.TrustedRoot)
	if at.Issuer() != p.Issuer.URL {
		t.Errorf("issuer %q", at.Issuer())
	}
	sig, err := sigstore.Keyless(at, given(t, p.Issuer.Token(t, who))).Sign(t.Context(), message)
	if err != nil {
		t.Fatal(err)
	}
	want := sign.Identity{Kind: sign.KindCertificate, Algorithm: "ECDSA P-256", Subject: who, Issuer: p.Issuer.URL}
	if sig.Form != sign.Sigstore || sig.By != want {
		t.Errorf("form %s by %+v, want %+v", sig.Form, sig.By, want)
	}
	if err := verifies(t, p, sig.Data, message, who); err != nil {
		t.Error(err)
	}
	altered := append([]byte("1"), message[1:]...)
	if verifies(t, p, sig.Data, altered, who) == nil || verifies(t, p, sig.Data, message, "x@example.com") == nil {
		t.Error("what was not signed, or somebody else, is accepted")
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, sig.Data); err != nil || !bytes.Equal(compact.Bytes(), sig.Data) {
		t.Errorf("not compact JSON: %v", err)
	}

	dir := t.TempDir()
	write(t, dir, "sig", sig.Data)
	write(t, dir, "good", message)
	write(t, dir, "bad", altered)
	check := func(file, who string) (string, error) {
		return cosign(t, dir, "verify-blob", "--trusted-root", p.TrustedRoot, "--certificate-identity", who,
			"--certificate-oidc-issuer", p.Issuer.URL, "--bundle", "sig", "--use-signed-timestamps", file)
	}
	if out, err := check("good", who); err != nil {
		t.Errorf("cosign refuses it: %v: %s", err, out)
	}
	if out, err := check("bad", who); err == nil {
		t.Errorf("cosign accepts an altered file: %s", out)
	}
	if out, err := check("good", "x@example.com"); err == nil {
		t.Errorf("cosign accepts somebody else: %s", out)
	}
}

// One signer makes any number of signatures, each with a certificate of its own.
func TestKeylessTwice(t *testing.T) {
	t.Parallel()
	p := parts.Sigstore(t)
	asked := 0
	s := sigstore.Keyless(instance(t, p.SigningConfig, p.TrustedRoot), func(context.Context) (string, error) {
		asked++
		return p.Issuer.Token(t, who), nil
	})
	var last []byte
	for range 2 {
		sig, err := s.Sign(t.Context(), message)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(sig.Data, last) {
			t.Error("the same signature twice")
		}
		last = sig.Data
	}
	if asked != 2 {
		t.Errorf("the token was asked for %d times", asked)
	}
}
