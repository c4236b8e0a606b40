package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"

	"bale/verify/attack"
)

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// sigstoreCases are about the JSON of signatures, all of which say they are by a
// key that is given.
func (w *trustWorld) sigstoreCases() []*attack.Case {
	alice := w.by("alice", "edge")
	is := func(code int, name, reason, says string, data []byte) *attack.Case {
		return trustCase("sigstore-"+name, reason, code, says, aliceOnly, file(jsonEntry, data))
	}
	replace := func(old, with string) []byte {
		if !bytes.Contains(alice, []byte(old)) {
			w.t.Fatalf("no %q in %s", old, alice)
		}
		return bytes.Replace(alice, []byte(old), []byte(with), 1)
	}
	set := func(value any, key string, path ...string) []byte {
		return w.altered("alice", func(v map[string]any) { at(v, path...)[key] = value })
	}
	damaged := func(name, reason, says string, data []byte) *attack.Case {
		return is(exitDamaged, name, reason, says, data)
	}
	refused := func(name, reason, says string, data []byte) *attack.Case {
		return is(exitUntrusted, name, reason, says, data)
	}

	var v struct {
		MessageSignature struct{ Signature string }
	}
	if err := json.Unmarshal(alice, &v); err != nil {
		w.t.Fatal(err)
	}
	sig := v.MessageSignature.Signature // 64 bytes: two signs of padding
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	last := len(sig) - 3
	loose := sig[:last] + string(alphabet[strings.IndexByte(alphabet, sig[last])|1]) + "=="
	url := strings.NewReplacer("+", "-", "/", "_").Replace(sig)
	if loose == sig {
		w.t.Fatal("no loose bits")
	}
	list := []*attack.Case{
		refused("newer", "a Sigstore bundle of version 0.4", "another version", replace("bundle.v0.3+json", "bundle.v0.4+json")),
		refused("older", "a Sigstore bundle of version 0.1, which needs less", "another version", replace("bundle.v0.3+json", "bundle+json;version=0.1")),
		damaged("media-type", "JSON of another media type", "media type", replace("application/vnd.dev.sigstore.bundle.v0.3+json", "application/json")),
		damaged("no-json", "an entry that is no JSON", "not JSON", []byte("signature\n")),
		damaged("empty", "an entry without content", "not JSON", nil),
		damaged("cut", "a signature that was cut off", "not JSON", alice[:len(alice)/2]),
		damaged("trailing", "another object after the signature", "not JSON", append(bytes.Clone(alice), "{}\n"...)),
		damaged("bomb", "lists nested ten thousand deep", "not JSON", []byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","x":`+strings.Repeat("[", 10_001)+"\n")),
		damaged("field-unknown", "a field that the form does not have", "unknown field", replace("{", `{"note":"x",`)),
		damaged("field-twice", "a field of the JSON that is there twice, of which readers take one or the other", "duplicate", replace(`"messageSignature":`, `"messageSignature":{},"messageSignature":`)),
		damaged("field-case", "a field in other letters, which only some readers take", "in other words", replace(`"messageSignature"`, `"message_signature"`)),
		damaged("field-null", "a field that is null, as if it was not there", "in other words", replace("{", `{"dsseEnvelope":null,`)),
		damaged("base64-url", "a signature in the other alphabet of base64", "in other words", replace(sig, url)),
		damaged("base64-loose", "a signature with bits in its base64 that mean nothing", "in other words", replace(sig, loose)),
		damaged("base64-bare", "a signature without the padding of its base64", "in other words", replace(sig, strings.TrimRight(sig, "="))),
		damaged("enum-number", "a number where the form has a name", "in other words", replace(`"SHA2_256"`, "1")),
		damaged("not-utf8", "a name that is not UTF-8", "sigstore.json", replace(`"hint":"`, "\"hint\":\"\xff")),
		damaged("no-signature", "a Sigstore bundle without a signature", "no signature", w.altered("alice", func(v map[string]any) { delete(v, "messageSignature") })),
		damaged("signature-empty", "a signature of no bytes", "empty signature", w.altered("alice", func(v map[string]any) { delete(at(v, "messageSignature"), "signature") })),
		damaged("no-material", "a Sigstore bundle that does not say which key signed", "which key", w.altered("alice", func(v map[string]any) { v["verificationMaterial"] = map[string]any{} })),
		refused("no-hint", "a signature that does not name its key", "not signed by a given key", w.altered("alice", func(v map[string]any) {
			at(v, "verificationMaterial")["publicKey"] = map[string]any{}
		})),
		refused("hint-other", "the key's signature under the name of another key", "not signed by a given key", set(strings.Repeat("A", 43)+"=", "hint", "verificationMaterial", "publicKey")),
		damaged("no-digest", "a signature without the digest of what was signed", "no digest", w.altered("carol", func(v map[string]any) { delete(at(v, "messageSignature"), "messageDigest") })),
		refused("digest-other", "a signature that fits, beside the digest of something else", "with the digest", set(digestOf([]byte("x")), "digest", "messageSignature", "messageDigest")),
		damaged("digest-short", "a digest of too few bytes", "digest of 20 bytes", set(base64.StdEncoding.EncodeToString(make([]byte, 20)), "digest", "messageSignature", "messageDigest")),
		refused("digest-prehashed", "a prehashed ED25519 signature, which is another algorithm", "prehashed", w.altered("alice", func(v map[string]any) {
			at(v, "messageSignature")["messageDigest"] = map[string]any{"algorithm": "SHA2_512", "digest": base64.StdEncoding.EncodeToString(make([]byte, 64))}
		})),
		refused("digest-unknown", "a digest of an algorithm that is not used", "does not use", w.altered("carol", func(v map[string]any) {
			at(v, "messageSignature", "messageDigest")["algorithm"] = "SHA3_256"
		})),
		refused("attestation", "an attestation by the key, which is no signature over SHA256SUMS", "attestation", w.altered("alice", func(v map[string]any) {
			delete(v, "messageSignature")
			v["dsseEnvelope"] = map[string]any{
				"payload": base64.StdEncoding.EncodeToString(w.sums["edge"]), "payloadType": "application/vnd.in-toto+json",
				"signatures": []any{map[string]any{"sig": sig}},
			}
		})),
		refused("signature-altered", "a Sigstore signature with a bit altered", "does not fit", replace(sig, base64.StdEncoding.EncodeToString(flipped(mustBase64(sig))))),
		refused("signature-zero", "an ED25519 signature of zeroes only", "does not fit", replace(sig, base64.StdEncoding.EncodeToString(make([]byte, 64)))),
		refused("signature-short", "a Sigstore signature by ED25519 of too few bytes", "does not fit", replace(sig, base64.StdEncoding.EncodeToString(mustBase64(sig)[:63]))),
	}
	der := func(name, reason string, change func(sig []byte) []byte) {
		data := w.altered("carol", func(v map[string]any) {
			m := at(v, "messageSignature")
			m["signature"] = base64.StdEncoding.EncodeToString(change(mustBase64(m["signature"].(string)))) //nolint:forcetypeassert // the test's own
		})
		list = append(list, refused("der-"+name, reason, "does not fit", data))
	}
	der("trailing", "an ECDSA signature with a byte after its DER", func(s []byte) []byte { return append(s, 0) })
	der("long-length", "an ECDSA signature whose length is written in two bytes", func(s []byte) []byte {
		return append([]byte{0x30, 0x81, s[1]}, s[2:]...)
	})
	der("zero", "an ECDSA signature of two zeroes", func([]byte) []byte { return []byte{0x30, 6, 2, 1, 0, 2, 1, 0} })
	der("padded", "an ECDSA signature with a zero in front of a number", func(s []byte) []byte {
		n := s[3]
		out := append([]byte{0x30, s[1] + 1, 2, n + 1, 0}, s[4:]...)
		return out
	})
	der("raw", "an ECDSA signature as two numbers without DER", func(s []byte) []byte {
		var n struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(s, &n); err != nil {
			w.t.Fatal(err)
		}
		return append(n.R.FillBytes(make([]byte, 32)), n.S.FillBytes(make([]byte, 32))...)
	})
	for _, c := range list {
		if strings.Contains(c.Name, "der-") || c.Name == "sigstore-no-digest" || c.Name == "sigstore-digest-unknown" {
			c.Verify = []string{"--key", "keys/carol.pub"}
		}
	}
	return list
}

func mustBase64(s string) []byte {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}
