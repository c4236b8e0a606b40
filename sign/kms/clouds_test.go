//go:build kms

package kms_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"bale/bundle/fault"
	"bale/sign/kms"
)

// A build with all tags speaks to all services, and refuses what names no key.
func TestProviders(t *testing.T) {
	want := []string{"awskms", "azurekms", "gcpkms", "hashivault", "openbao"}
	if got := kms.Providers(); !slices.Equal(got, want) {
		t.Errorf("providers are %v, want %v", got, want)
	}
	for _, name := range want {
		_, err := kms.Load(t.Context(), name+"://")
		if err == nil || errors.Is(err, fault.ErrUsage) || !strings.Contains(err.Error(), "format") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The answers of AWS as its documentation has them: there is no KMS of AWS that
// could be had for tests.
type awsKMS struct {
	key       crypto.Signer
	algorithm string
	hash      crypto.Hash
	denied    bool
}

func (a *awsKMS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if a.denied {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"__type":"AccessDeniedException","Message":"denied: %s"}`, r.Header.Get("Authorization"))
		return
	}
	der, err := x509.MarshalPKIXPublicKey(a.key.Public())
	if err != nil {
		panic(err)
	}
	id := "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	answer := map[string]any{"KeyId": id, "SigningAlgorithms": []string{a.algorithm}, "KeyUsage": "SIGN_VERIFY"}
	switch _, method, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "."); method {
	case "GetPublicKey":
		answer["PublicKey"] = der
	case "DescribeKey":
		answer = map[string]any{"KeyMetadata": answer}
	case "Sign":
		var ask struct {
			Message                       []byte
			MessageType, SigningAlgorithm string
		}
		if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || ask.MessageType != "DIGEST" || ask.SigningAlgorithm != a.algorithm {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if answer["Signature"], err = a.key.Sign(rand.Reader, ask.Message, a.hash); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		panic(err)
	}
}

func TestAWS(t *testing.T) {
	const id, secret = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY"
	empty := t.TempDir()
	for name, value := range map[string]string{
		"HOME": empty, "AWS_ACCESS_KEY_ID": id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": "", "AWS_REGION": "eu-west-1",
		"AWS_PROFILE": "", "AWS_CONFIG_FILE": filepath.Join(empty, "none"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(empty, "none"),
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_TLS_INSECURE_SKIP_VERIFY": "",
	} {
		t.Setenv(name, value)
	}
	for _, tt := range []struct {
		file, algorithm string
		hash            crypto.Hash
		named           string
	}{
		{"pkcs8.pem", "ECDSA_SHA_256", crypto.SHA256, "SHA2_256"},
		{"secp384r1.pem", "ECDSA_SHA_384", crypto.SHA384, "SHA2_384"},
		{"secp521r1.pem", "ECDSA_SHA_512", crypto.SHA512, "SHA2_512"},
		{"rsa.pem", "RSASSA_PKCS1_V1_5_SHA_256", crypto.SHA256, "SHA2_256"},
	} {
		t.Run(tt.algorithm, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "keys", tt.file))
			if err != nil {
				t.Fatal(err)
			}
			key, err := cryptoutils.UnmarshalPEMToPrivateKey(data, nil)
			if err != nil {
				t.Fatal(err)
			}
			service := &awsKMS{key: key.(crypto.Signer), algorithm: tt.algorithm, hash: tt.hash}
			server := httptest.NewTLSServer(service)
			t.Cleanup(server.Close)
			ca := filepath.Join(t.TempDir(), "ca.pem")
			block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
			if err := os.WriteFile(ca, block, 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("AWS_CA_BUNDLE", ca)
			k, err := kms.Load(t.Context(), "awskms://"+server.Listener.Addr().String()+"/alias/release")
			if err != nil {
				t.Fatal(err)
			}
			s, err := k.Sign(t.Context(), message)
			if err != nil {
				t.Fatal(err)
			}
			accepted(t, k, s, tt.named)
			service.denied = true
			_, err = k.Sign(t.Context(), message)
			if err == nil || !strings.Contains(err.Error(), "AccessDenied") || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), id) {
				t.Errorf("denied: %v", err)
			}
		})
	}
}
