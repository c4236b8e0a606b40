package sign_test

import (
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"bale/bundle/fault"
	"bale/sign"
)

func TestLoadPrivateKey(t *testing.T) {
	tests := []struct {
		file, password string
		asked          int
		public         string
		algorithm      string
	}{
		{"ecdsa.key", password, 1, "ecdsa.pub", "ECDSA P-256"},
		{"old-cosign.key", password, 1, "ecdsa.pub", "ECDSA P-256"},
		{"empty.key", "", 1, "empty.pub", "ECDSA P-256"},
		{"sec1.pem", "", 0, "sec1.pub", "ECDSA P-256"},
		{"sec1-parameters.pem", "", 0, "sec1.pub", "ECDSA P-256"},
		{"sec1-encrypted.pem", password, 1, "sec1.pub", "ECDSA P-256"},
		{"pkcs8.pem", "", 0, "sec1.pub", "ECDSA P-256"},
		{"pkcs8-encrypted.pem", password, 1, "sec1.pub", "ECDSA P-256"},
		{"ed25519.pem", "", 0, "ed25519.pub", "ED25519"},
		{"ed25519.key", password, 1, "ed25519.pub", "ED25519"},
		{"secp384r1.pem", "", 0, "secp384r1.pub", "ECDSA P-384"},
		{"secp384r1-encrypted.pem", password, 1, "secp384r1.pub", "ECDSA P-384"},
		{"secp384r1.key", password, 1, "secp384r1.pub", "ECDSA P-384"},
		{"secp521r1.pem", "", 0, "secp521r1.pub", "ECDSA P-521"},
		{"secp521r1-encrypted.pem", password, 1, "secp521r1.pub", "ECDSA P-521"},
		{"secp521r1.key", password, 1, "secp521r1.pub", "ECDSA P-521"},
		{"rsa.pem", "", 0, "rsa.pub", "RSA 2048"},
		{"rsa.key", password, 1, "rsa-pkcs1.pub", "RSA 2048"},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			asked := 0
			k, err := sign.LoadPrivateKey(testKey(tt.file), func() ([]byte, error) {
				asked++
				return []byte(tt.password), nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if asked != tt.asked {
				t.Errorf("password was asked %d times, want %d", asked, tt.asked)
			}
			pub := loadPublic(t, testKey(tt.public))
			if k.Public().Hint() != pub.Hint() {
				t.Errorf("public half is %s, want %s", k.Public(), pub)
			}
			if got := k.Public().Algorithm(); got != tt.algorithm {
				t.Errorf("algorithm %q, want %q", got, tt.algorithm)
			}
			sig, err := k.Sign(t.Context(), []byte("message"))
			if err != nil {
				t.Fatal(err)
			}
			if err := pub.Verify([]byte("message"), parseJSON(t, sig.Data).MessageSignature.Signature); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNilPasswordIsEmpty(t *testing.T) {
	k, err := sign.LoadPrivateKey(testKey("empty.key"), func() ([]byte, error) { return nil, nil })
	if err != nil {
		t.Fatal(err)
	}
	if want := loadPublic(t, testKey("empty.pub")).Hint(); k.Public().Hint() != want {
		t.Errorf("hint %s, want %s", k.Public().Hint(), want)
	}
}

func TestLoadPrivateKeyRefuses(t *testing.T) {
	const wrong = "not-the-password"
	key := read(t, testKey("ecdsa.key"))
	big := append(make([]byte, sign.MaxKeyFile), key...)
	tests := []struct {
		name, path string
		kind       error
		text, hint string
	}{
		{"wrong password", testKey("ecdsa.key"), fault.ErrUsage, "wrong password", "COSIGN_PASSWORD"},
		{"wrong password, PKCS#8", testKey("pkcs8-encrypted.pem"), fault.ErrUsage, "wrong password", "COSIGN_PASSWORD"},
		{"wrong password, SEC1", testKey("sec1-encrypted.pem"), fault.ErrUsage, "wrong password", "COSIGN_PASSWORD"},
		{"empty wanted, some given", testKey("empty.key"), fault.ErrUsage, "wrong password", "COSIGN_PASSWORD"},
		{"public key", testKey("ecdsa.pub"), fault.ErrUsage, "is a public key", ".key file"},
		{"public RSA key", testKey("rsa-pkcs1.pub"), fault.ErrUsage, "is a public key", ".key file"},
		{"certificate", testKey("certificate.pem"), fault.ErrUsage, "is a certificate", ".key file"},
		{"no PEM", testKey("message"), fault.ErrUsage, "not a key in PEM form", "keygen"},
		{"empty file", write(t, nil), fault.ErrUsage, "not a key in PEM form", "keygen"},
		{"other PEM", write(t, []byte("-----BEGIN X\x1b[31mY-----\n-----END X\x1b[31mY-----\n")), fault.ErrUsage, `"X?[31mY"`, "ECDSA"},
		{"OpenSSH", write(t, pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY"})), fault.ErrUnsupported, "OPENSSH", "pkcs8"},
		{"two keys", write(t, append(key, read(t, testKey("rsa.key"))...)), fault.ErrUsage, "more than one", "one key"},
		{"key and public key", write(t, append(key, read(t, testKey("ecdsa.pub"))...)), fault.ErrUsage, "more than one", "one key"},
		{"cut short inside", write(t, cut(t, testKey("rsa.pem"))), fault.ErrUsage, "damaged", "ECDSA"},
		{"cut short outside", write(t, key[:len(key)/2]), fault.ErrUsage, "not a key in PEM form", "keygen"},
		{"encrypted, cut short inside", write(t, cut(t, testKey("ecdsa.key"))), fault.ErrUsage, "damaged", "ECDSA"},
		{"IV of a wrong length", write(t, wrongIV(t)), fault.ErrUsage, "or the file is damaged", "COSIGN_PASSWORD"},
		{"P-224", testKey("secp224r1.pem"), fault.ErrUnsupported, "ECDSA on curve P-224", "ECDSA P-256"},
		{"secp256k1", testKey("secp256k1.pem"), fault.ErrUsage, "of another kind", "ECDSA P-256"},
		{"DSA", testKey("dsa.pem"), fault.ErrUsage, "of another kind", "ECDSA P-256"},
		{"RSA for PSS alone", testKey("rsa-pss.pem"), fault.ErrUsage, "of another kind", "ECDSA P-256"},
		{"X25519", testKey("x25519.pem"), fault.ErrUnsupported, "ecdh", "ECDSA P-256"},
		{"RSA 1024", testKey("rsa1024.pem"), fault.ErrUnsupported, "RSA with 1024 bits", "2048"},
		{"too big", write(t, big), fault.ErrUsage, "too many", "key file"},
		{"folder", t.TempDir(), fault.ErrUsage, "is a folder", "key file"},
		{"not there", testKey("none.key"), fault.ErrMissing, "not exist", "path"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, err := sign.LoadPrivateKey(tt.path, give(wrong))
			refused(t, err, tt.kind, tt.text, tt.hint)
			if k != nil {
				t.Error("a key came with the error")
			}
			text := err.Error() + fault.Hint(err)
			if !strings.Contains(text, tt.path) {
				t.Errorf("%q does not name the file", text)
			}
			if strings.Contains(text, wrong) {
				t.Errorf("%q shows the password", text)
			}
			noSecrets(t, text, tt.path)
		})
	}
}

func TestLoadPrivateKeyAsks(t *testing.T) {
	_, err := sign.LoadPrivateKey(testKey("ecdsa.key"), nil)
	refused(t, err, fault.ErrUsage, "encrypted, and there is no password", "COSIGN_PASSWORD")

	stop := errors.New("interrupted")
	_, err = sign.LoadPrivateKey(testKey("ecdsa.key"), func() ([]byte, error) { return nil, stop })
	if !errors.Is(err, stop) {
		t.Errorf("error %v, want one that wraps %v", err, stop)
	}

	k, err := sign.LoadPrivateKey(testKey("rsa.pem"), nil)
	if err != nil || k == nil {
		t.Errorf("a key in clear takes a password function: %v", err)
	}
}

func TestPrivateKeyDoesNotPrint(t *testing.T) {
	for _, file := range []string{"ed25519.pem", "sec1.pem", "rsa.pem"} {
		k := loadPrivate(t, testKey(file))
		block, _ := pem.Decode(read(t, testKey(file)))
		for _, verb := range []string{"%v", "%+v", "%s", "%x"} {
			text := fmt.Sprintf(verb, k)
			if strings.Contains(text, fmt.Sprintf("%x", block.Bytes[len(block.Bytes)-8:])) || len(text) > 200 {
				t.Errorf("%s: %s prints %q", file, verb, text)
			}
		}
		if want := "private key of " + k.Public().String(); k.String() != want {
			t.Errorf("prints %q, want %q", k, want)
		}
	}
	if got := new(sign.PrivateKey).String(); got != "no private key" {
		t.Errorf("zero key prints %q", got)
	}
}

// refused checks an error's kind, text and hint.
func refused(t *testing.T, err, kind error, text, hint string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("error %v is not %v", err, kind)
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("error %q does not say %q", err, text)
	}
	if !strings.Contains(fault.Hint(err), hint) {
		t.Errorf("hint %q does not say %q", fault.Hint(err), hint)
	}
}

// noSecrets checks that no line of a key file shows up in text.
func noSecrets(t *testing.T, text, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		return // a folder, or nothing
	}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); len(line) > 8 && !strings.HasPrefix(line, "---") && strings.Contains(text, line) {
			t.Errorf("%q shows a line of the key", text)
		}
	}
}

// cut returns the PEM file at path with only the first half of its content,
// well-formed outside.
func cut(t *testing.T, path string) []byte {
	t.Helper()
	b, _ := pem.Decode(read(t, path))
	b.Bytes = b.Bytes[:len(b.Bytes)/2]
	return pem.EncodeToMemory(b)
}

// wrongIV returns an encrypted PKCS#8 key (RFC 5958, RFC 8018) whose AES-CBC
// has an IV of five bytes, which crypto/cipher panics on.
func wrongIV(t *testing.T) []byte {
	t.Helper()
	params := func(v any) asn1.RawValue { return asn1.RawValue{FullBytes: der(t, v)} }
	iv := make([]byte, 5)
	if _, err := io.ReadFull(rand.Reader, iv); err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der(t, struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}{
		Algorithm: pkix.AlgorithmIdentifier{
			Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}, // PBES2
			Parameters: params(struct{ KDF, Cipher pkix.AlgorithmIdentifier }{
				KDF: pkix.AlgorithmIdentifier{
					Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}, // PBKDF2
					Parameters: params(struct {
						Salt       []byte
						Iterations int
					}{[]byte("saltsalt"), 1}),
				},
				Cipher: pkix.AlgorithmIdentifier{
					Algorithm:  asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, // AES-256-CBC
					Parameters: params(iv),
				},
			}),
		},
		Data: make([]byte, 64),
	})})
}

func der(t *testing.T, v any) []byte {
	t.Helper()
	b, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
