package sign

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// addKeys seeds f with every key of testdata/keys.
func addKeys(f *testing.F) {
	seeds := 0
	for _, pattern := range []string{"*.key", "*.pub", "*.pem"} {
		paths, err := filepath.Glob(filepath.Join("..", "testdata", "keys", pattern))
		if err != nil {
			f.Fatal(err)
		}
		for _, p := range paths {
			data, err := os.ReadFile(p)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
			seeds++
		}
	}
	if seeds < 20 {
		f.Fatalf("only %d seeds in testdata/keys", seeds)
	}
}

// FuzzPublicKey: what is accepted is a key of a known kind that survives its
// own PEM form; what is refused gives no key.
func FuzzPublicKey(f *testing.F) {
	addKeys(f)
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := ParsePublicKey(data)
		if err != nil {
			if k != nil {
				t.Fatal("a key came with the error")
			}
			return
		}
		out, err := k.PEM()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParsePublicKey(out)
		if err != nil {
			t.Fatal(err)
		}
		if again.Hint() != k.Hint() || again.Algorithm() != k.Algorithm() || k.Hint() == "" || k.Algorithm() == "" {
			t.Fatalf("%s became %s", k, again)
		}
		if k.Verify([]byte("message"), []byte("signature")) == nil {
			t.Fatal("verifies nonsense")
		}
	})
}

// FuzzPrivateKey: what is accepted signs so that its public half verifies
// (Sign checks it), or says why not. Keys that ask for a password are refused,
// or scrypt would take all the time.
func FuzzPrivateKey(f *testing.F) {
	addKeys(f)
	noPassword := func() ([]byte, error) { return nil, errors.New("no password") }
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := parsePrivateKey(data, noPassword)
		if err != nil {
			if k != nil {
				t.Fatal("a key came with the error")
			}
			return
		}
		// RSA numbers that do not fit each other are found out only here.
		if sig, err := k.Sign(t.Context(), []byte("message")); (err == nil) != (sig != nil) {
			t.Fatalf("signature %q with error %v", sig, err)
		}
	})
}
