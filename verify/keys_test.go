package verify_test

import (
	"os"
	"path/filepath"
	"testing"

	"bale/bundle"
	"bale/bundle/container"
	"bale/sign"
	"bale/verify"
)

// password opens every encrypted key of testdata/keys but empty.key.
const password = "bale-test"

const entry = container.SigstoreName

// testKey is the path of a file that testdata/keys/make.sh made.
func testKey(name string) string { return filepath.Join("..", "testdata", "keys", name) }

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Three signers, one of each algorithm.
var signerFiles = []string{"sec1.pem", "ed25519.pem", "rsa.pem"}

func loadPrivate(t testing.TB, name string) *sign.PrivateKey {
	t.Helper()
	k, err := sign.LoadPrivateKey(testKey(name), nil)
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

func signed(t testing.TB, k *sign.PrivateKey, sums []byte) []byte {
	t.Helper()
	sig, err := k.Sign(t.Context(), sums)
	if err != nil {
		t.Fatal(err)
	}
	return sig.Data
}

func trust(keys ...*sign.PublicKey) verify.Trust { return verify.TrustAny(verify.Keys(keys...)...) }

// entries makes signature entries out of name, data, name, data.
func entries(namesAndData ...any) []bundle.Signature {
	var sigs []bundle.Signature
	for i := 0; i < len(namesAndData); i += 2 {
		sigs = append(sigs, bundle.Signature{Entry: namesAndData[i].(string), Data: namesAndData[i+1].([]byte)})
	}
	return sigs
}
