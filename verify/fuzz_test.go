package verify

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"bale/bundle"
	"bale/bundle/container"
	"bale/sign"
)

// FuzzSignature: what is accepted says exactly what the JSON says, read by
// another parser, byte strings in strict base64; nothing that is not the
// seed's signature verifies.
func FuzzSignature(f *testing.F) {
	dir := filepath.Join("..", "testdata", "keys")
	var keys []*sign.PublicKey
	for _, name := range []string{"ecdsa", "ed25519", "rsa"} {
		data, err := os.ReadFile(filepath.Join(dir, name+".sigstore.json"))
		if err != nil {
			f.Fatal(err)
		}
		k, err := sign.LoadPublicKey(filepath.Join(dir, name+".pub"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		keys = append(keys, k)
	}
	for _, s := range []string{
		`{}`, `null`, `[`,
		`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}`,
		`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.4+json"}`,
		`{"mediaType":"application/vnd.dev.sigstore.bundle+json;version=0.3","verificationMaterial":{"certificate":{"rawBytes":"AAAA"}},"dsseEnvelope":{}}`,
		`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"h"},` +
			`"tlogEntries":[{"logIndex":"9007199254740993","integratedTime":"1"}],"timestampVerificationData":{"rfc3161Timestamps":[{"signedTimestamp":"AA=="}]}},` +
			`"messageSignature":{"messageDigest":{"algorithm":7},"signature":"AA=="}}`,
	} {
		f.Add([]byte(s))
	}
	// Signed by all the keys, but not what the seeds were signed over.
	env := func(data []byte) *bundle.Envelope {
		return bundle.NewEnvelope([]byte("other sums"), []bundle.Signature{{Entry: container.SigstoreName, Data: data}})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := Verify(env(data), TrustAny(Keys(keys...)...)); err == nil || r != nil {
			t.Fatalf("verified: %v", r)
		}
		ev, err := parseSigstore(data)
		if err != nil {
			if ev != nil {
				t.Fatal("evidence came with the error")
			}
			return
		}
		var is struct {
			VerificationMaterial struct {
				PublicKey *struct {
					Hint string `json:"hint"`
				} `json:"publicKey"`
			} `json:"verificationMaterial"`
			MessageSignature *struct {
				MessageDigest struct {
					Digest string `json:"digest"`
				} `json:"messageDigest"`
				Signature string `json:"signature"`
			} `json:"messageSignature"`
		}
		if err := json.Unmarshal(data, &is); err != nil {
			t.Fatal(err)
		}
		pk, ms := is.VerificationMaterial.PublicKey, is.MessageSignature
		key, sig := ev.GetVerificationMaterial().GetPublicKey(), ev.GetMessageSignature()
		if (key != nil) != (pk != nil) || pk != nil && pk.Hint != key.GetHint() {
			t.Fatalf("hint %q from %s", key.GetHint(), data)
		}
		if (sig != nil) != (ms != nil) {
			t.Fatalf("signature is %v from %s", sig, data)
		}
		if ms != nil && (!isBase64(ms.Signature, sig.GetSignature()) || !isBase64(ms.MessageDigest.Digest, sig.GetMessageDigest().GetDigest())) {
			t.Fatalf("signature %v from %s", sig, data)
		}
		// White space apart, nothing of the length can hide anything.
		var compact bytes.Buffer
		if err := json.Compact(&compact, data); err != nil {
			t.Fatal(err)
		}
		if again, err := parseSigstore(compact.Bytes()); err != nil || !proto.Equal(again, ev) {
			t.Fatalf("compact form: %v", err)
		}
	})
}

func isBase64(s string, want []byte) bool {
	return s == base64.StdEncoding.EncodeToString(want)
}

func TestClip(t *testing.T) {
	long := string(bytes.Repeat([]byte("ä"), maxClip+1))
	for in, want := range map[string]string{
		"":                     "",
		"proto:\u00a0(line 1)": "proto: (line 1)",
		"a\x1b[31m\u009b\xff":  "a?[31m?\ufffd",
		long:                   long[:2*maxClip] + "...",
		long[:2*maxClip]:       long[:2*maxClip],
	} {
		if got := Clip(in); got != want {
			t.Errorf("Clip(%q) = %q, want %q", in, got, want)
		}
	}
}
