package verify_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"

	"bale/bundle"
	"bale/bundle/container"
	"bale/bundle/fault"
	"bale/sign"
	"bale/verify"
)

func TestVerifyRefuses(t *testing.T) {
	ec, ed, rsa := loadPrivate(t, "sec1.pem"), loadPrivate(t, "ed25519.pem"), loadPrivate(t, "rsa.pem")
	ecSig, edSig, rsaSig := signed(t, ec, sums), signed(t, ed, sums), signed(t, rsa, sums)
	other := signed(t, ec, []byte("other"))
	// The signature of other sums beside the digest of these.
	grafted := change(t, ecSig, func(b *bundlepb.Bundle) {
		b.GetMessageSignature().Signature = parsed(t, other).GetMessageSignature().GetSignature()
	})
	edit := func(f func(*bundlepb.Bundle)) []bundle.Signature { return entries(entry, change(t, ecSig, f)) }
	replace := func(old, new string) []bundle.Signature {
		s := strings.Replace(string(ecSig), old, new, 1)
		if s == string(ecSig) {
			t.Fatalf("no %q in %s", old, ecSig)
		}
		return entries(entry, []byte(s))
	}
	digest := func(f func(*commonpb.HashOutput)) func(*bundlepb.Bundle) {
		return func(b *bundlepb.Bundle) { f(b.GetMessageSignature().GetMessageDigest()) }
	}
	many := make([]bundle.Signature, container.MaxSignatureEntries+1)
	for i := range many {
		many[i] = bundle.Signature{Entry: fmt.Sprintf("%s.%d", entry, i+1), Data: ecSig}
	}

	tests := []struct {
		name       string
		sigs       []bundle.Signature
		keys       []*sign.PublicKey
		kind       error
		text, hint string
	}{
		// Who signed.
		{"not signed", nil, keys(ec), fault.ErrUntrusted, "not signed", "--insecure-skip-verify"},
		{"unknown key", entries(entry, ecSig), keys(ed, rsa), fault.ErrUntrusted,
			"found " + entry + " by key " + ec.Public().Fingerprint() + "; tried " + ed.Public().Identity().String() + ", " + rsa.Public().Identity().String(), ".pub file"},
		{"only OpenPGP", entries("SHA256SUMS.asc", []byte("?")), keys(ec), fault.ErrUntrusted, "OpenPGP form, and no such key was given", ".pub file"},
		{"only a certificate", entries(entry, change(t, ecSig, certified)), keys(ec), fault.ErrUntrusted, "by a certificate", ".pub file"},
		{"only an unknown form", entries("SHA256SUMS.x\x1b[31m", ecSig), keys(ec), fault.ErrUntrusted, `"SHA256SUMS.x?[31m" in an unknown form`, ".pub file"},
		{"number beyond the format", entries(entry+".32", ecSig), keys(ec), fault.ErrUntrusted, "unknown form", ""},
		{"number zero", entries(entry+".0", ecSig), keys(ec), fault.ErrUntrusted, "unknown form", ""},
		{"number with a zero", entries(entry+".01", ecSig), keys(ec), fault.ErrUntrusted, "unknown form", ""},
		{"number with a sign", entries(entry+".+1", ecSig), keys(ec), fault.ErrUntrusted, "unknown form", ""},
		{"no number", entries(entry+".", ecSig), keys(ec), fault.ErrUntrusted, "unknown form", ""},
		{"no dot", entries(entry+"1", ecSig), keys(ec), fault.ErrUntrusted, "unknown form", ""},
		{"name in other letters", entries(strings.ToLower(entry), ecSig), keys(ec), fault.ErrUntrusted, "unknown form", ""},
		{"hint of a key that did not sign", edit(func(b *bundlepb.Bundle) {
			b.GetVerificationMaterial().GetPublicKey().Hint = ed.Public().Hint()
		}), keys(ed, ec), fault.ErrUntrusted, "does not fit", "altered"},
		{"hint in no UTF-8", replace(`"hint":"`, "\"hint\":\"\xff"), keys(ec), fault.ErrDamaged, "not a Sigstore bundle", ""},
		{"long hint", replace(`"hint":"`, `"hint":"`+strings.Repeat("h", 9999)), keys(ec), fault.ErrUntrusted, `by key "hhhhhhhhh`, ".pub file"},
		{"hint in words", edit(func(b *bundlepb.Bundle) {
			b.GetVerificationMaterial().GetPublicKey().Hint = "build key\u009b"
		}), keys(ec), fault.ErrUntrusted, `by key "build key\u009b"`, ".pub file"},
		{"no hint", edit(func(b *bundlepb.Bundle) {
			b.GetVerificationMaterial().GetPublicKey().Hint = ""
		}), keys(ec), fault.ErrUntrusted, `by key ""`, ".pub file"},

		// What was signed.
		{"signature of other sums", entries(entry, other), keys(ec), fault.ErrUntrusted, "signature is for a SHA256SUMS with the digest", "altered"},
		{"grafted signature", entries(entry, grafted), keys(ec), fault.ErrUntrusted, "does not fit", "altered"},
		{"one of two is wrong", entries(entry, edSig, entry+".1", other), keys(ec, ed), fault.ErrUntrusted, entry + ".1 by ECDSA P-256 key", "altered"},
		{"second of one key is wrong", entries(entry, ecSig, entry+".1", grafted), keys(ec), fault.ErrUntrusted, entry + ".1 by ECDSA P-256 key", "altered"},
		{"attestation", edit(attestation), keys(ec), fault.ErrUnsupported, "attestation", "sign-blob"},
		{"SHA-512 digest", edit(digest(func(h *commonpb.HashOutput) { h.Algorithm = commonpb.HashAlgorithm_SHA2_512 })), keys(ec), fault.ErrUnsupported, "SHA2_512", ""},
		{"digest of an unknown kind", edit(digest(func(h *commonpb.HashOutput) { h.Algorithm = 99 })), keys(ec), fault.ErrUnsupported, "99", ""},
		{"digest without kind", edit(digest(func(h *commonpb.HashOutput) { h.Algorithm = 0 })), keys(ec), fault.ErrDamaged, "no digest", ""},
		{"digest cut short", edit(digest(func(h *commonpb.HashOutput) { h.Digest = h.Digest[:31] })), keys(ec), fault.ErrDamaged, "31 bytes", ""},
		{"no digest", edit(func(b *bundlepb.Bundle) { b.GetMessageSignature().MessageDigest = nil }), keys(ec), fault.ErrDamaged, "no digest", ""},
		{"ED25519ph", entries(entry, change(t, edSig, digest(func(h *commonpb.HashOutput) { h.Algorithm = commonpb.HashAlgorithm_SHA2_512 }))),
			keys(ed), fault.ErrUnsupported, "prehashed", "--tlog-upload=false"},
		{"ED25519, digest without kind", entries(entry, change(t, edSig, digest(func(h *commonpb.HashOutput) { h.Algorithm = 0 }))),
			keys(ed), fault.ErrDamaged, "no digest", ""},

		// Form.
		{"same entry twice", entries(entry, ecSig, entry, edSig), keys(ec), fault.ErrDamaged, "twice", ""},
		{"too many", many, keys(ec), fault.ErrDamaged, "129 signatures", ""},
		{"empty", entries(entry, []byte{}), keys(ec), fault.ErrDamaged, "not JSON", ""},
		{"no JSON", entries(entry, []byte("-----BEGIN")), keys(ec), fault.ErrDamaged, "not JSON", ""},
		{"JSON null", entries(entry, []byte("null")), keys(ec), fault.ErrDamaged, "media type", ""},
		{"JSON list", entries(entry, []byte("[]")), keys(ec), fault.ErrDamaged, "not JSON", ""},
		{"cut short", entries(entry, ecSig[:len(ecSig)-1]), keys(ec), fault.ErrDamaged, "not JSON", ""},
		{"more behind", entries(entry, append(bytes.Clone(ecSig), "{}"...)), keys(ec), fault.ErrDamaged, "not JSON", ""},
		{"too big", entries(entry, append(bytes.Clone(ecSig), bytes.Repeat([]byte(" "), bundle.MaxSignature)...)), keys(ec), fault.ErrDamaged, "more than the 65536", ""},
		{"damaged one beside a good one", entries(entry, ecSig, entry+".1", []byte("{}")), keys(ec), fault.ErrDamaged, entry + ".1: is not", ""},
		{"newer version", replace("v0.3", "v0.4"), keys(ec), fault.ErrUnsupported, "bundle.v0.4+json", "newer bale"},
		{"newer version, new field", replace(`.v0.3+json",`, `.v1+json","new":1,`), keys(ec), fault.ErrUnsupported, "bundle.v1+json", "newer bale"},
		{"older version", replace(".v0.3+json", "+json;version=0.2"), keys(ec), fault.ErrUnsupported, "version=0.2", "newer bale"},
		{"other media type", replace("application/vnd.dev.sigstore.bundle.v0.3+json", "text/plain"), keys(ec), fault.ErrDamaged, "text/plain", ""},
		{"no media type", edit(func(b *bundlepb.Bundle) { b.MediaType = "" }), keys(ec), fault.ErrDamaged, "media type", ""},
		{"no key named", edit(func(b *bundlepb.Bundle) { b.VerificationMaterial = nil }), keys(ec), fault.ErrDamaged, "which key", ""},
		{"no content", edit(func(b *bundlepb.Bundle) { b.Content = nil }), keys(ec), fault.ErrDamaged, "no signature in it", ""},
		{"empty signature", edit(func(b *bundlepb.Bundle) { b.GetMessageSignature().Signature = nil }), keys(ec), fault.ErrDamaged, "empty signature", ""},

		// Other words for the same thing.
		{"unknown field", replace(`{"mediaType"`, `{"extra":1,"mediaType"`), keys(ec), fault.ErrDamaged, "unknown field", ""},
		{"field twice", replace(`"messageDigest":`, `"messageDigest":{},"messageDigest":`), keys(ec), fault.ErrDamaged, "duplicate", ""},
		{"name in snake case", replace("messageSignature", "message_signature"), keys(ec), fault.ErrDamaged, "canonical", ""},
		{"media type's name in other letters", replace("mediaType", "MEDIATYPE"), keys(ec), fault.ErrDamaged, "unknown field", ""},
		{"number for a name", replace(`"SHA2_256"`, "1"), keys(ec), fault.ErrDamaged, "canonical", ""},
		{"null field", replace(`"verificationMaterial":{`, `"verificationMaterial":{"tlogEntries":null,`), keys(ec), fault.ErrDamaged, "canonical", ""},
		{"empty list", replace(`"verificationMaterial":{`, `"verificationMaterial":{"tlogEntries":[],`), keys(ec), fault.ErrDamaged, "canonical", ""},
		{"no base64 padding", replace(`="},"signature"`, `"},"signature"`), keys(ec), fault.ErrDamaged, "canonical", ""},
		{"base64 for URLs", entries(entry, urlBase64(t, rsaSig)), keys(rsa), fault.ErrDamaged, "canonical", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := verify.Verify(bundle.NewEnvelope(sums, tt.sigs), trust(tt.keys...))
			if r != nil {
				t.Error("a result came with the error")
			}
			if !errors.Is(err, tt.kind) {
				t.Fatalf("error %v is not %v", err, tt.kind)
			}
			if text := strings.ReplaceAll(err.Error(), "\u00a0", " "); !strings.Contains(text, tt.text) || len(text) > 500 {
				t.Errorf("error %q does not say %q, or too much", text, tt.text)
			}
			if !strings.Contains(fault.Hint(err), tt.hint) {
				t.Errorf("hint %q does not say %q", fault.Hint(err), tt.hint)
			}
		})
	}
}

func TestVerifyWithoutTrustOrSums(t *testing.T) {
	k := loadPrivate(t, "ed25519.pem")
	env := bundle.NewEnvelope(sums, entries(entry, signed(t, k, sums)))
	nothing := bundle.NewEnvelope(nil, entries(entry, signed(t, k, nil)))
	for name, tt := range map[string]struct {
		env   *bundle.Envelope
		trust verify.Trust
		kind  error
	}{
		"zero trust":    {env, verify.Trust{}, fault.ErrUsage},
		"no keys":       {env, trust(), fault.ErrUsage},
		"nil key":       {env, trust(k.Public(), nil), fault.ErrUsage},
		"zero key":      {env, trust(new(sign.PublicKey)), fault.ErrUsage},
		"nil envelope":  {nil, trust(k.Public()), fault.ErrDamaged},
		"zero envelope": {new(bundle.Envelope), trust(k.Public()), fault.ErrDamaged},
		"empty sums":    {nothing, trust(k.Public()), fault.ErrDamaged},
	} {
		r, err := verify.Verify(tt.env, tt.trust)
		if r != nil || !errors.Is(err, tt.kind) {
			t.Errorf("%s: result %v, error %v, want %v", name, r, err, tt.kind)
		}
	}
}
