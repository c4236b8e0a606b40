package parts_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"bale/transport/parts"
)

// The real cosign signs and verifies with the private Sigstore, certificate log
// and all, and refuses another identity.
func TestSigstoreIsOne(t *testing.T) {
	p := parts.Sigstore(t)
	dir := t.TempDir()
	const who = "signer@example.com"
	for name, text := range map[string]string{"message": "message", "token": p.Issuer.Token(t, who)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cosign := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), parts.Tool(t, "cosign"), args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := cosign("sign-blob", "--signing-config", p.SigningConfig, "--trusted-root", p.TrustedRoot,
		"--identity-token", "token", "--bundle", "sig", "-y", "message")
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	verify := func(who string) (string, error) {
		return cosign("verify-blob", "--trusted-root", p.TrustedRoot, "--certificate-identity", who,
			"--certificate-oidc-issuer", p.Issuer.URL, "--bundle", "sig", "--use-signed-timestamps", "message")
	}
	if out, err := verify(who); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := verify("another@example.com"); err == nil {
		t.Errorf("another identity is accepted: %s", out)
	}
}
