package sign

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"encoding/asn1"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
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
		k, err := ParsePrivateKey(data, noPassword)
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

// FuzzSignature: over one message, of all bytes only the signature that was made
// verifies, and with ECDSA its twin; whatever verifies can be wrapped.
func FuzzSignature(f *testing.F) {
	const message = "message"
	type made struct {
		key *PublicKey
		sig []byte
		n   *big.Int // of the curve; nil if none
	}
	var list []made
	for _, file := range []string{"sec1.pem", "secp384r1.pem", "secp521r1.pem", "ed25519.pem", "rsa.pem"} {
		data, err := os.ReadFile(filepath.Join("..", "testdata", "keys", file))
		if err != nil {
			f.Fatal(err)
		}
		priv, err := cryptoutils.UnmarshalPEMToPrivateKey(data, nil)
		if err != nil {
			f.Fatal(err)
		}
		k, err := newPrivateKey(priv)
		if err != nil {
			f.Fatal(err)
		}
		input, h := []byte(message), k.public.Hashes()[0]
		if h != noHash {
			input = Sum(h, input)
		}
		// Without random numbers (RFC 6979): each process that fuzzes makes its own.
		sig, err := priv.(crypto.Signer).Sign(nil, input, h)
		if err != nil {
			f.Fatal(err)
		}
		m := made{key: k.public, sig: sig}
		if pub, ok := k.public.key.(*ecdsa.PublicKey); ok {
			m.n = pub.Params().N
		}
		for i := range 5 {
			f.Add(uint8(i), sig)
		}
		list = append(list, m)
	}
	f.Add(uint8(0), []byte{0x30, 6, 2, 1, 0, 2, 1, 0})
	f.Add(uint8(3), make([]byte, 64))
	f.Fuzz(func(t *testing.T, which uint8, sig []byte) {
		m := list[int(which)%len(list)]
		err := m.key.Verify([]byte(message), sig)
		s, werr := Wrap(m.key, []byte(message), sig)
		if (err == nil) != (werr == nil) || (werr == nil) != (s != nil) {
			t.Fatalf("verifies with %v, wrapped with %v", err, werr)
		}
		if err != nil {
			return
		}
		if bytes.Equal(sig, m.sig) {
			return
		}
		var a, b struct{ R, S *big.Int }
		if m.n == nil {
			t.Fatalf("%s: %x verifies too", m.key, sig)
		}
		if _, err := asn1.Unmarshal(m.sig, &a); err != nil {
			t.Fatal(err)
		}
		if _, err := asn1.Unmarshal(sig, &b); err != nil {
			t.Fatal(err)
		}
		if a.R.Cmp(b.R) != 0 || new(big.Int).Add(a.S, b.S).Cmp(m.n) != 0 {
			t.Fatalf("%s: %x verifies too", m.key, sig)
		}
	})
}
