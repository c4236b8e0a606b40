package sign_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"bale/sign"
)

// password opens every encrypted key of testdata/keys but empty.key.
const password = "bale-test"

// testKey is the path of a key that testdata/keys/make.sh made.
func testKey(name string) string { return filepath.Join("..", "testdata", "keys", name) }

func give(pw string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(pw), nil }
}

func loadPrivate(t testing.TB, path string) *sign.PrivateKey {
	t.Helper()
	k, err := sign.LoadPrivateKey(path, give(password))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func loadPublic(t testing.TB, path string) *sign.PublicKey {
	t.Helper()
	k, err := sign.LoadPublicKey(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// write puts data in a new file and returns its path.
func write(t testing.TB, data []byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(p, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// sigstoreJSON is a Sigstore bundle as anybody would read it.
type sigstoreJSON struct {
	MediaType            string
	VerificationMaterial struct{ PublicKey struct{ Hint string } }
	MessageSignature     struct {
		MessageDigest struct {
			Algorithm string
			Digest    []byte
		}
		Signature []byte
	}
}

func parseJSON(t testing.TB, data []byte) sigstoreJSON {
	t.Helper()
	var b sigstoreJSON
	if err := json.Unmarshal(data, &b); err != nil {
		t.Fatal(err)
	}
	return b
}
