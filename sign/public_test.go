package sign_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"bale/bundle/fault"
	"bale/sign"
)

// The hint must be what cosign writes, so it is taken from what cosign wrote.
func TestHintIsCosigns(t *testing.T) {
	for _, name := range []string{"ecdsa", "ed25519", "rsa", "secp384r1", "secp521r1"} {
		want := parseJSON(t, read(t, testKey(name+".sigstore.json"))).VerificationMaterial.PublicKey.Hint
		if got := loadPublic(t, testKey(name+".pub")).Hint(); got != want || want == "" {
			t.Errorf("%s: hint %q, want %q", name, got, want)
		}
	}
}

func TestPublicKeyWords(t *testing.T) {
	for file, algorithm := range map[string]string{
		"ecdsa.pub": "ECDSA P-256", "sec1.pub": "ECDSA P-256", "ed25519.pub": "ED25519",
		"rsa.pub": "RSA 2048", "rsa-pkcs1.pub": "RSA 2048", "secp384r1.pub": "ECDSA P-384", "secp521r1.pub": "ECDSA P-521",
	} {
		k := loadPublic(t, testKey(file))
		sum, err := base64.StdEncoding.DecodeString(k.Hint())
		if err != nil {
			t.Fatal(err)
		}
		digits := strings.ReplaceAll(k.Fingerprint(), "-", "")
		if k.Algorithm() != algorithm || len(k.Fingerprint()) != 24 || digits != hex.EncodeToString(sum)[:20] {
			t.Errorf("%s: algorithm %q, fingerprint %q", file, k.Algorithm(), k.Fingerprint())
		}
		if want := k.Algorithm() + " " + k.Fingerprint(); k.String() != want {
			t.Errorf("%s: prints %q, want %q", file, k, want)
		}
		if k.IsED25519() != (file == "ed25519.pub") {
			t.Errorf("%s: IsED25519 is %v", file, k.IsED25519())
		}
		data, err := k.PEM()
		if err != nil {
			t.Fatal(err)
		}
		if file != "rsa-pkcs1.pub" && string(data) != string(read(t, testKey(file))) {
			t.Errorf("%s: PEM is not what the file has", file)
		}
	}
}

func TestFingerprint(t *testing.T) {
	tests := []struct{ hint, want string }{
		{base64.StdEncoding.EncodeToString([]byte("0123456789abcdefghijklmnopqrstuv")), "3031-3233-3435-3637-3839"},
		{"", `""`},
		{"my key\x1b[31m", `"my key\x1b[31m"`},
		{strings.Repeat("k", 1000), `"` + strings.Repeat("k", 44) + `"...`},
		{"AAAA", `"AAAA"`},
	}
	for _, tt := range tests {
		if got := sign.Fingerprint(tt.hint); got != tt.want {
			t.Errorf("Fingerprint(%q) = %s, want %s", tt.hint, got, tt.want)
		}
	}
}

func TestLoadPublicKeyRefuses(t *testing.T) {
	pub := read(t, testKey("ecdsa.pub"))
	tests := []struct {
		name, path string
		kind       error
		text, hint string
	}{
		{"encrypted private key", testKey("ecdsa.key"), fault.ErrUsage, "is a private key", "give the .pub file"},
		{"old private key", testKey("old-cosign.key"), fault.ErrUsage, "is a private key", "give the .pub file"},
		{"plain private key", testKey("pkcs8.pem"), fault.ErrUsage, "is a private key", "give the .pub file"},
		{"SEC1 with parameters", testKey("sec1-parameters.pem"), fault.ErrUsage, "is a private key", "give the .pub file"},
		{"PKCS#1", testKey("rsa.pem"), fault.ErrUsage, "is a private key", "give the .pub file"},
		{"certificate", testKey("certificate.pem"), fault.ErrUsage, "is a certificate", "openssl x509"},
		{"two keys", write(t, append(pub, read(t, testKey("rsa.pub"))...)), fault.ErrUsage, "more than one", "one key"},
		{"no PEM", testKey("message"), fault.ErrUsage, "not a key in PEM form", "keygen"},
		{"other PEM", write(t, []byte("-----BEGIN PGP PUBLIC KEY-----\n-----END PGP PUBLIC KEY-----\n")), fault.ErrUsage, "PGP", "ECDSA"},
		{"parameters alone", write(t, []byte("-----BEGIN EC PARAMETERS-----\n-----END EC PARAMETERS-----\n")), fault.ErrUsage, "not a key in PEM form", "keygen"},
		{"cut short", write(t, cut(t, testKey("rsa.pub"))), fault.ErrUsage, "cannot be read", "damaged"},
		{"P-224", testKey("secp224r1.pub"), fault.ErrUnsupported, "ECDSA on curve P-224", "ECDSA P-256"},
		{"secp256k1", testKey("secp256k1.pub"), fault.ErrUsage, "curve", "ECDSA P-256"},
		{"DSA", testKey("dsa.pub"), fault.ErrUnsupported, "dsa", "ECDSA P-256"},
		{"RSA for PSS alone", testKey("rsa-pss.pub"), fault.ErrUsage, "cannot be read", "ECDSA P-256"},
		{"X25519", testKey("x25519.pub"), fault.ErrUnsupported, "ecdh", "ECDSA P-256"},
		{"RSA 1024", testKey("rsa1024.pub"), fault.ErrUnsupported, "RSA with 1024 bits", "2048"},
		{"too big", write(t, append(make([]byte, sign.MaxKeyFile), pub...)), fault.ErrUsage, "too many", "key file"},
		{"folder", t.TempDir(), fault.ErrUsage, "is a folder", "key file"},
		{"key in a service", "hashivault://release", fault.ErrUsage, "asks nobody over the network", "bale public-key"},
		{"key in a device", "pkcs11:object=release", fault.ErrUsage, "asks nobody over the network", "bale public-key"},
		{"address", "https://keys.example/release.pub", fault.ErrUsage, "is an address", "fetch it"},
		{"key that gpg holds", "gpg:release@example.org", fault.ErrUsage, "gpg holds", "export its public half"},
		{"not there", testKey("none.pub"), fault.ErrMissing, "not exist", "path"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, err := sign.LoadPublicKey(tt.path)
			refused(t, err, tt.kind, tt.text, tt.hint)
			if k != nil {
				t.Error("a key came with the error")
			}
			if !strings.Contains(err.Error(), sign.KeyName(tt.path)) {
				t.Errorf("%q does not name the file", err)
			}
			noSecrets(t, err.Error(), sign.KeyName(tt.path))
		})
	}
}

func TestVerify(t *testing.T) {
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(priv.Public())
	if err != nil {
		t.Fatal(err)
	}
	k, err := sign.ParsePublicKey(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	message := []byte("message")
	sum := sha256.Sum256(message)
	good, err := ecdsa.SignASN1(rand.Reader, priv, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Verify(message, good); err != nil {
		t.Fatal(err)
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(good, &rs); err != nil {
		t.Fatal(err)
	}
	p1363 := append(rs.R.FillBytes(make([]byte, 32)), rs.S.FillBytes(make([]byte, 32))...)
	for name, tt := range map[string]struct{ message, sig []byte }{
		"other message":   {[]byte("massage"), good},
		"empty signature": {message, nil},
		"more behind":     {message, append(good, 0)},
		"IEEE P1363":      {message, p1363},
	} {
		if err := k.Verify(tt.message, tt.sig); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := loadPublic(t, testKey("ecdsa.pub")).Verify(message, good); err == nil {
		t.Error("another key accepts it")
	}
	if err := new(sign.PublicKey).Verify(message, good); err == nil {
		t.Error("zero key accepts it")
	}
}
