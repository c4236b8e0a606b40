package sign_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"bale/sign"
	"bale/transport/parts"
)

// cosign runs the real cosign in dir and returns what it printed. It reads no
// settings of this machine and calls no server.
func cosign(t *testing.T, dir, pw string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), parts.Tool(t, "cosign"), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "COSIGN_PASSWORD="+pw)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Keys of cosign generate-key-pair are keys of bale.
func TestCosignKeysLoad(t *testing.T) {
	for _, pw := range []string{"a password", ""} {
		dir := t.TempDir()
		if out, err := cosign(t, dir, pw, "generate-key-pair"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		k, err := sign.LoadPrivateKey(filepath.Join(dir, "cosign.key"), give(pw))
		if err != nil {
			t.Fatalf("password %q: %v", pw, err)
		}
		if pub := loadPublic(t, filepath.Join(dir, "cosign.pub")); pub.Hint() != k.Public().Hint() {
			t.Errorf("private half of %s, public half %s", k.Public(), pub)
		}
	}
}

// What bale signs, cosign verifies, and only that.
func TestCosignVerifiesOurs(t *testing.T) {
	message := read(t, testKey("message"))
	for file, public := range map[string]string{"ecdsa.key": "ecdsa.pub", "ed25519.key": "ed25519.pub", "rsa.key": "rsa.pub"} {
		t.Run(file, func(t *testing.T) {
			sig, err := loadPrivate(t, testKey(file)).Sign(t.Context(), message)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			for name, data := range map[string][]byte{
				"key.pub": read(t, testKey(public)), "sig": sig.Data, "good": message, "bad": append([]byte("1"), message[1:]...),
			} {
				if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			verify := func(file string) (string, error) {
				return cosign(t, dir, "", "verify-blob", "--key", "key.pub", "--bundle", "sig", "--insecure-ignore-tlog", file)
			}
			if out, err := verify("good"); err != nil {
				t.Errorf("cosign refuses it: %v: %s", err, out)
			}
			if out, err := verify("bad"); err == nil {
				t.Errorf("cosign accepts an altered file: %s", out)
			}
		})
	}
}

// Keys of bale are keys of cosign.
func TestCosignSignsWithOurKeys(t *testing.T) {
	for _, pw := range []string{"a password", ""} {
		dir := t.TempDir()
		private, public, err := sign.GenerateKeyPair([]byte(pw))
		if err != nil {
			t.Fatal(err)
		}
		if err := sign.WriteKeyPair(t.Context(), filepath.Join(dir, "our"), private, public, false); err != nil {
			t.Fatal(err)
		}
		message := read(t, testKey("message"))
		if err := os.WriteFile(filepath.Join(dir, "message"), message, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := cosign(t, dir, pw, "sign-blob", "--key", "our.key", "--bundle", "sig",
			"--tlog-upload=false", "--use-signing-config=false", "-y", "message")
		if err != nil {
			t.Fatalf("password %q: %v: %s", pw, err, out)
		}
		sig := parseJSON(t, read(t, filepath.Join(dir, "sig")))
		pub := loadPublic(t, filepath.Join(dir, "our.pub"))
		if sig.VerificationMaterial.PublicKey.Hint != pub.Hint() {
			t.Errorf("cosign signed as %s, not %s", sig.VerificationMaterial.PublicKey.Hint, pub.Hint())
		}
		if err := pub.Verify(message, sig.MessageSignature.Signature); err != nil {
			t.Error(err)
		}
	}
}
