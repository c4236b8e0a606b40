package certificate_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bale/verify"
	"bale/verify/certificate"
)

// vector reads a file of sigstore-go's own tests, which lie in the module cache.
func vector(t testing.TB, path ...string) []byte {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/sigstore/sigstore-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(append([]string{strings.TrimSpace(string(dir))}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What real instances signed years ago verifies today, offline: their
// certificates have long ended, and logs prove when it was.
func TestRealBundles(t *testing.T) {
	public := vector(t, "pkg", "testing", "data", "trusted-roots", "public-good.json")
	private := vector(t, "pkg", "testing", "data", "trusted-roots", "scaffolding.json")
	const github = "https://token.actions.githubusercontent.com"
	for name, c := range map[string]struct {
		root []byte
		path []string
		who  certificate.Identity
		want string // of the refusal
	}{
		"provenance": {public, []string{"pkg", "testing", "data", "bundles", "sigstore.js@2.0.0-provenance.sigstore.json"},
			certificate.Identity{SubjectRegexp: `https://github\.com/sigstore/sigstore-js/.*`, Issuer: github}, ""},
		"provenance, promised": {public, []string{"examples", "bundle-provenance.json"},
			certificate.Identity{SubjectRegexp: `https://github\.com/sigstore/sigstore-js/.*`, Issuer: github}, ""},
		"another repository": {public, []string{"examples", "bundle-provenance.json"},
			certificate.Identity{SubjectRegexp: `https://github\.com/sigstore/cosign/.*`, Issuer: github}, "by a certificate for https://github.com/sigstore/sigstore-js/"},
		"another instance's root": {private, []string{"examples", "bundle-provenance.json"},
			certificate.Identity{SubjectRegexp: `.*`, Issuer: github}, "is not by a CA in the trusted root"},
		"a key": {public, []string{"examples", "bundle-publish.json"},
			certificate.Identity{SubjectRegexp: `.*`, IssuerRegexp: `.*`}, "by key"},
		"two signatures": {public, []string{"pkg", "testing", "data", "bundles", "dsse-2sigs.sigstore.json"},
			certificate.Identity{SubjectRegexp: `.*`, IssuerRegexp: `.*`}, "no envelope with one signature"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := certificate.ParseTrustedRoot(c.root)
			if err != nil {
				t.Fatal(err)
			}
			e, err := verify.ParseEvidence(vector(t, c.path...))
			if err != nil {
				t.Fatal(err)
			}
			list, err := must(certificate.New(r, c.who, certificate.Options{})).CheckEnvelope(e)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s := list[0]; s.Issuer != github || len(s.Times) != 1 || s.Times[0].At.Year() != 2023 || !s.Times[0].Proven {
				t.Errorf("%+v", s)
			}
		})
	}
}
