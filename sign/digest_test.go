package sign_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"slices"
	"testing"

	"bale/sign"
)

// Which hashes a signature may be over is bound to the key: those of Sigstore's
// registry, never a weaker one, and the one that the signature says.
func TestHashesOfKeys(t *testing.T) {
	curve := func(c elliptic.Curve) crypto.Signer {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	all := []crypto.Hash{crypto.MD5, crypto.SHA1, crypto.SHA224, crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA512_256}
	message := []byte("message")
	for name, tt := range map[string]struct {
		key   crypto.Signer
		taken []crypto.Hash
	}{
		"P-256": {curve(elliptic.P256()), []crypto.Hash{crypto.SHA256}},
		"P-384": {curve(elliptic.P384()), []crypto.Hash{crypto.SHA256, crypto.SHA384}},
		"P-521": {curve(elliptic.P521()), []crypto.Hash{crypto.SHA256, crypto.SHA512}},
		"RSA":   {r, []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}},
	} {
		pub, err := sign.NewPublicKey(tt.key.Public())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(pub.Hashes(), tt.taken) {
			t.Errorf("%s: hashes are %v, want %v", name, pub.Hashes(), tt.taken)
		}
		for _, h := range all {
			sig, err := tt.key.Sign(rand.Reader, sign.Sum(h, message), h)
			if err != nil {
				t.Fatal(err)
			}
			taken := slices.Contains(tt.taken, h)
			if err := pub.Verify(message, sig); (err == nil) != taken {
				t.Errorf("%s over %s: %v", name, h, err)
			}
			if s, err := sign.Wrap(pub, message, sig); (err == nil) != taken || (s != nil) != taken {
				t.Errorf("%s over %s: wrapped with %v", name, h, err)
			}
			for _, said := range all {
				if err := pub.VerifyOver(said, message, sig); (err == nil) != (taken && said == h) {
					t.Errorf("%s over %s, which says %s: %v", name, h, said, err)
				}
			}
		}
	}
	// PSS is another thing with the same key.
	pub, err := sign.NewPublicKey(r.Public())
	if err != nil {
		t.Fatal(err)
	}
	sig, err := rsa.SignPSS(rand.Reader, r, crypto.SHA256, sign.Sum(crypto.SHA256, message), nil)
	if err != nil {
		t.Fatal(err)
	}
	if pub.Verify(message, sig) == nil {
		t.Error("PSS is taken")
	}
}
