package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	trustpb "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"

	"bale/transport/parts"
)

// noToken takes away what the surroundings of the test offer.
func noToken(t *testing.T) {
	t.Helper()
	for _, name := range []string{"SIGSTORE_ID_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"} {
		t.Setenv(name, "")
	}
}

func writeFile(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const keylessSigner = "release@example.com"

// From nothing to an enforced pipeline without a key: saved and signed with a
// private Sigstore, verified with its trusted root and nothing else.
func TestKeylessPipeline(t *testing.T) {
	noToken(t)
	p := parts.Sigstore(t)
	dir := t.TempDir()
	token := p.Issuer.Token(t, keylessSigner)
	file := filepath.Join(dir, "b.bale")
	servers := []string{"--keyless", "--signing-config", p.SigningConfig, "--trusted-root", p.TrustedRoot}
	image := "oci:" + testdata(t, "images", "busybox")
	save := func(path string, more ...string) []string {
		return append(append(append([]string{"save", "-q", "-o", path}, servers...), more...), image)
	}
	mustRun(t, save(file, "--identity-token", token)...)
	decide := func(who, issuer string) []string {
		return []string{"verify", "--trusted-root", p.TrustedRoot, "--certificate-identity", who, "--certificate-oidc-issuer", issuer, file}
	}
	o := mustRun(t, decide(keylessSigner, p.Issuer.URL)...)
	for _, want := range []string{keylessSigner, p.Issuer.URL, "proven by"} {
		if !strings.Contains(o.out, want) {
			t.Errorf("%q does not say %q", o.out, want)
		}
	}
	for _, args := range [][]string{decide("x@example.com", p.Issuer.URL), decide(keylessSigner, "https://issuer.example")} {
		if wrong := inProcess(t.Context(), args...).refusal(exitUntrusted); wrong != "" {
			t.Errorf("%v: %s", args, wrong)
		}
	}
	bundle, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(bundle, []byte(token)) {
		t.Error("the token is in the bundle")
	}

	t.Run("the token in a variable", func(t *testing.T) {
		t.Setenv("SIGSTORE_ID_TOKEN", token)
		mustRun(t, save(filepath.Join(dir, "variable.bale"))...)
	})
	t.Run("a job of GitHub Actions", func(t *testing.T) {
		for k, v := range p.Issuer.Actions() {
			t.Setenv(k, v)
		}
		mustRun(t, save(filepath.Join(dir, "job.bale"))...)
	})
	t.Run("signed later", func(t *testing.T) {
		key := testdata(t, "keys", forgeKey)
		later := filepath.Join(dir, "later.bale")
		mustRun(t, "save", "-q", "-o", later, "--key", key, image)
		mustRun(t, append(append([]string{"sign", "-q"}, servers...), "--identity-token", token, later)...)
		mustRun(t, "verify", "--key", testdata(t, "keys", forgePub), "--trusted-root", p.TrustedRoot, "--threshold", "2",
			"--certificate-identity", keylessSigner, "--certificate-oidc-issuer", p.Issuer.URL, later)
	})

	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		rekor := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // or the server does not see that the client goes
			cancel()
			<-r.Context().Done()
		}))
		defer rekor.Close()
		config := p.ConfigWith(t, func(c *trustpb.SigningConfig) { c.RekorTlogUrls[0].Url = rekor.URL })
		brokenOff(t, inProcess(ctx, "save", "-q", "-o", filepath.Join(dir, "interrupted.bale"), "--keyless", "--signing-config", config,
			"--trusted-root", p.TrustedRoot, "--identity-token", token, image))
	})

	nobody := p.ConfigWith(t, func(c *trustpb.SigningConfig) { c.RekorTlogUrls[0].Url = "http://" + parts.FreeAddr(t) })
	stale := p.Issuer.Token(t, keylessSigner, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()})
	refused := filepath.Join(dir, "refused.bale")
	for name, c := range map[string]struct {
		args []string
		code int
		text string
	}{
		"no token":         {save(refused), exitUsage, "no identity token"},
		"expired token":    {save(refused, "--identity-token", stale), exitFailed, "expired at"},
		"half a token":     {save(refused, "--identity-token", token[:len(token)/2]), exitUsage, "neither a token nor a file"},
		"another issuer's": {save(refused, "--identity-token", parts.Issuer(t).Token(t, keylessSigner)), exitFailed, "Fulcio at"},
		"Rekor is away": {[]string{"save", "-q", "-o", refused, "--keyless", "--signing-config", nobody, "--trusted-root", p.TrustedRoot,
			"--identity-token", token, image}, exitFailed, "does not answer"},
		"no root": {[]string{"save", "-q", "-o", refused, "--keyless", "--signing-config", nobody, image}, exitUsage, "go together"},
		"no keyless": {[]string{"save", "-q", "-o", refused, "--key", testdata(t, "keys", forgeKey), "--identity-token", token, image},
			exitUsage, "without --keyless"},
		"certificate without a key": {save(refused, "--identity-token", token, "--certificate", "none.pem"), exitUsage, "exactly one --key"},
		"stamp without a key":       {save(refused, "--identity-token", token, "--timestamp-server", p.TSA), exitUsage, "for a --key"},
	} {
		t.Run(name, func(t *testing.T) {
			o := inProcess(t.Context(), c.args...)
			if wrong := o.refusal(c.code); wrong != "" || !strings.Contains(o.errout, c.text) {
				t.Errorf("%s: exit %d, %s", wrong, o.code, o.errout)
			}
			for part := range strings.SplitSeq(token+"."+stale, ".") {
				if strings.Contains(o.errout, part[:20]) {
					t.Errorf("%s shows a token", o.errout)
				}
			}
			if wrong := leftovers(dir, "b.bale", "variable.bale", "job.bale", "later.bale"); wrong != "" {
				t.Error(wrong)
			}
		})
	}
}

// With the certificate of an own CA, and when it was signed.
func TestCertificatePipeline(t *testing.T) {
	dir, server := t.TempDir(), parts.TSA(t)
	newKey := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	caKey, key := newKey(), newKey()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "own CA"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), EmailAddresses: []string{keylessSigner}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	file := func(name, kind string, list ...[]byte) string {
		var b []byte
		for _, der := range list {
			b = append(b, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
		}
		return writeFile(t, dir, name, b)
	}
	issue := func(c *x509.Certificate, pub *ecdsa.PublicKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, c, ca, pub, caKey)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	caDER, leafDER := issue(ca, &caKey.PublicKey), issue(leaf, &key.PublicKey)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	caFile, keyFile := file("ca.pem", "CERTIFICATE", caDER), file("key.pem", "PRIVATE KEY", keyDER)
	// As CAs give them out: with the CA's own beside it.
	leafFile, stamps := file("leaf.pem", "CERTIFICATE", leafDER, caDER), file("tsa.pem", "CERTIFICATE", parts.TSAChain(t, server)...)
	image := "oci:" + testdata(t, "images", "busybox")
	out := filepath.Join(dir, "b.bale")
	mustRun(t, "save", "-q", "-o", out, "--key", keyFile, "--certificate", leafFile, "--timestamp-server", server, image)
	mustRun(t, "verify", "--ca", caFile, "--certificate-identity", keylessSigner, out)
	o := mustRun(t, "verify", "--ca", caFile, "--timestamp-authority", stamps, "--certificate-identity", keylessSigner, out)
	if !strings.Contains(o.out, "proven by") {
		t.Errorf("%q does not say when", o.out)
	}
	for name, c := range map[string]struct {
		args []string
		text string
	}{
		"only CAs":       {[]string{"--key", keyFile, "--certificate", caFile}, "certificates of CAs only"},
		"another key's":  {[]string{"--key", testdata(t, "keys", forgeKey), "--certificate", leafFile}, "certificate is for the key"},
		"two keys":       {[]string{"--key", keyFile, "--key", testdata(t, "keys", forgeKey), "--certificate", leafFile}, "exactly one --key"},
		"no certificate": {[]string{"--key", keyFile, "--certificate", keyFile}, "no certificate"},
		"no address":     {[]string{"--key", keyFile, "--timestamp-server", "tsa.example"}, "http or https"},
	} {
		t.Run(name, func(t *testing.T) {
			o := inProcess(t.Context(), append(append([]string{"save", "-q", "-o", filepath.Join(dir, "refused.bale")}, c.args...), image)...)
			if wrong := o.refusal(exitUsage); wrong != "" || !strings.Contains(o.errout, c.text) {
				t.Errorf("%s: exit %d, %s", wrong, o.code, o.errout)
			}
		})
	}
}

// trusted-root fetches the file that verify takes.
func TestTrustedRootCommand(t *testing.T) {
	p := parts.Sigstore(t)
	want, err := os.ReadFile(p.TrustedRoot)
	if err != nil {
		t.Fatal(err)
	}
	tuf := parts.TUF(t, time.Now().Add(time.Hour), map[string][]byte{"trusted_root.json": want})
	dir := t.TempDir()
	root := writeFile(t, dir, "root.json", tuf.Root)
	fetch := func(ctx context.Context, more ...string) outcome {
		return inProcess(ctx, append([]string{"trusted-root", "--tuf-url", tuf.URL, "--tuf-root", root}, more...)...)
	}
	if o := fetch(t.Context()); o.code != exitDone || o.out != string(want) {
		t.Errorf("exit %d, %d bytes, %s", o.code, len(o.out), o.errout)
	}
	file := filepath.Join(dir, "trusted_root.json")
	if o := fetch(t.Context(), "-o", file); o.code != exitDone || !strings.Contains(o.out, file) {
		t.Errorf("exit %d: %s", o.code, o.errout)
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if wrong := fetch(t.Context(), "-o", file).refusal(exitFailed); wrong != "" {
		t.Errorf("a file that is there: %s", wrong)
	}
	if o := fetch(t.Context(), "-o", file, "--force", "--json"); o.code != exitDone || !strings.Contains(o.out, `"output"`) {
		t.Errorf("exit %d: %s", o.code, o.errout)
	}
	if wrong := inProcess(t.Context(), "trusted-root", "--tuf-url", tuf.URL).refusal(exitUsage); wrong != "" {
		t.Errorf("half a repository: %s", wrong)
	}
	ctx, cancel := context.WithCancel(t.Context())
	tuf.OnRequest(cancel)
	if o := fetch(ctx, "-o", filepath.Join(dir, "other")); o.code != exitBrokenOff {
		t.Errorf("interrupted: exit %d, %s", o.code, o.errout)
	}
	if wrong := leftovers(dir, "root.json", "trusted_root.json"); wrong != "" {
		t.Error(wrong)
	}
}
