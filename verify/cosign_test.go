package verify_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/transport/parts"
	"bale/verify"
)

// cosign runs the real cosign in dir. It reads no settings of this machine
// and calls no server.
func cosign(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), parts.Tool(t, "cosign"), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "COSIGN_PASSWORD="+password)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cosign %s: %v: %s", args[0], err, out)
	}
}

// What cosign signs, bale verifies, and only that.
func TestVerifyWhatCosignSigns(t *testing.T) {
	dir := t.TempDir()
	cosign(t, dir, "generate-key-pair", "--output-key-prefix", "new")
	for _, name := range []string{"ed25519", "rsa", "secp384r1", "secp521r1"} {
		if err := os.WriteFile(filepath.Join(dir, name+".pem"), read(t, testKey(name+".pem")), 0o600); err != nil {
			t.Fatal(err)
		}
		cosign(t, dir, "import-key-pair", "--key", name+".pem", "--output-key-prefix", name)
	}
	if err := os.WriteFile(filepath.Join(dir, "SHA256SUMS"), sums, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"new", "ed25519", "rsa", "secp384r1", "secp521r1"} {
		t.Run(name, func(t *testing.T) {
			cosign(t, dir, "sign-blob", "--key", name+".key", "--bundle", name+".json",
				"--tlog-upload=false", "--use-signing-config=false", "-y", "SHA256SUMS")
			sig := read(t, filepath.Join(dir, name+".json"))
			pub := loadPublic(t, filepath.Join(dir, name+".pub"))

			r, err := verify.Verify(bundle.NewEnvelope(sums, entries(entry, sig)), trust(pub))
			if err != nil {
				t.Fatal(err)
			}
			if s := r.Signers(); len(s) != 1 || s[0].IDs[0] != pub.ID() {
				t.Errorf("signers %v, want %s", s, pub)
			}
			if err := r.Vouches(sums); err != nil {
				t.Error(err)
			}
			bad := append([]byte("1"), sums[1:]...)
			if _, err := verify.Verify(bundle.NewEnvelope(bad, entries(entry, sig)), trust(pub)); !errors.Is(err, fault.ErrUntrusted) {
				t.Errorf("altered: %v", err)
			}
		})
	}
}
