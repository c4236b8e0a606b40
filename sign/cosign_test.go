package sign_test

import (
	"fmt"
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
	for file, public := range map[string]string{
		"ecdsa.key": "ecdsa.pub", "ed25519.key": "ed25519.pub", "rsa.key": "rsa.pub",
		// Over SHA-256, since cosign does not verify what itself signs with these.
		"secp384r1.pem": "secp384r1.pub", "secp521r1.pem": "secp521r1.pub",
	} {
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

// Keys of bale are keys of cosign, of every type, and with each of them both
// sign what both verify.
func TestCosignSignsWithOurKeys(t *testing.T) {
	const pw = "a password"
	type pair struct{ kind, password string }
	pairs := []pair{{"", ""}}
	for _, kind := range sign.KeyTypes() {
		pairs = append(pairs, pair{kind, pw})
	}
	for _, tt := range pairs {
		t.Run(fmt.Sprintf("%s, password %q", tt.kind, tt.password), func(t *testing.T) {
			dir := t.TempDir()
			private, public, err := sign.GenerateKeyPair(sign.KeyType(tt.kind), []byte(tt.password))
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
			out, err := cosign(t, dir, tt.password, "sign-blob", "--key", "our.key", "--bundle", "sig",
				"--tlog-upload=false", "--use-signing-config=false", "-y", "message")
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			sig := parseJSON(t, read(t, filepath.Join(dir, "sig")))
			pub := loadPublic(t, filepath.Join(dir, "our.pub"))
			if sig.VerificationMaterial.PublicKey.Hint != pub.Hint() {
				t.Errorf("cosign signed as %s, not %s", sig.VerificationMaterial.PublicKey.Hint, pub.Hint())
			}
			if err := pub.Verify(message, sig.MessageSignature.Signature); err != nil {
				t.Error(err)
			}
			k, err := sign.LoadPrivateKey(filepath.Join(dir, "our.key"), give(tt.password))
			if err != nil {
				t.Fatal(err)
			}
			ours, err := k.Sign(t.Context(), message)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "ours"), ours.Data, 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := cosign(t, dir, "", "verify-blob", "--key", "our.pub", "--bundle", "ours", "--insecure-ignore-tlog", "message"); err != nil {
				t.Errorf("cosign refuses ours: %v: %s", err, out)
			}
		})
	}
}
