package sign_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"testing"

	"bale/sign"
)

func TestSign(t *testing.T) {
	message := read(t, testKey("message"))
	for _, file := range []string{"sec1.pem", "ed25519.pem", "rsa.pem"} {
		t.Run(file, func(t *testing.T) {
			k := loadPrivate(t, testKey(file))
			made, err := k.Sign(t.Context(), message)
			if err != nil {
				t.Fatal(err)
			}
			if made.Form != sign.Sigstore || made.By != k.Public().Identity() {
				t.Errorf("a signature of form %s by %s", made.Form, made.By)
			}
			data := made.Data
			sig := parseJSON(t, data).MessageSignature.Signature
			sum := sha256.Sum256(message)
			want := fmt.Sprintf(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",`+
				`"verificationMaterial":{"publicKey":{"hint":"%s"}},`+
				`"messageSignature":{"messageDigest":{"algorithm":"SHA2_256","digest":"%s"},"signature":"%s"}}`,
				k.Public().Hint(), base64.StdEncoding.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(sig))
			if string(data) != want {
				t.Errorf("signature is\n%s\nwant\n%s", data, want)
			}
			if err := k.Public().Verify(message, sig); err != nil {
				t.Error(err)
			}
			if k.Public().Algorithm() == "ECDSA P-256" {
				return // has a random number in it
			}
			again, err := k.Sign(t.Context(), message)
			if err != nil {
				t.Fatal(err)
			}
			if string(again.Data) != string(data) {
				t.Error("a second signature has other bytes")
			}
		})
	}
}

func TestZeroPrivateKeyDoesNotSign(t *testing.T) {
	if sig, err := new(sign.PrivateKey).Sign(t.Context(), []byte("message")); err == nil || sig != nil {
		t.Errorf("signs %q, %v", sig, err)
	}
}
