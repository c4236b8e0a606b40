package image_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	dssepb "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"

	"bale/bundle/fault"
	"bale/sign"
	"bale/verify"
	"bale/verify/image"
)

// keys are who signs: two that are known, and a stranger.
type keys struct{ alice, bob, stranger *sign.PrivateKey }

func newKeys(t testing.TB) keys {
	return keys{key(t, "sec1.pem"), key(t, "ed25519.pem"), key(t, "rsa.pem")}
}

func TestAccepted(t *testing.T) {
	k := newKeys(t)
	signature := func(d digest.Digest) []byte { return statementFor(d, image.SignaturePredicate) }
	alice := image.Requirement{Signed: by(k.alice)}
	both := image.Requirement{Signed: by(k.alice, k.bob)}
	attested := image.Requirement{Attestations: []image.Attestation{{Type: provenance, Rules: by(k.alice)}}}
	for name, c := range map[string]struct {
		req     image.Requirement
		build   func(w *world)
		signers int
		types   int
	}{
		"older": {alice, func(w *world) { w.tag(w.index, "sig", older(t, k.alice, payloadFor(w.index, "r/app"))) }, 1, 0},
		"older as a referrer": {alice, func(w *world) {
			w.refer(w.index, older(t, k.alice, payloadFor(w.index, "r/app")))
		}, 1, 0},
		"older, among strangers'": {alice, func(w *world) {
			p := payloadFor(w.index, "r/app")
			w.tag(w.index, "sig", older(t, k.stranger, p), older(t, k.alice, p), older(t, k.stranger, p))
		}, 1, 0},
		"newer": {alice, func(w *world) { w.refer(w.index, newer(t, k.alice, signature(w.index))) }, 1, 0},
		"newer, over the manifest's bytes": {alice, func(w *world) {
			sig, err := k.alice.Sign(t.Context(), w.blobs[w.index])
			if err != nil {
				t.Fatal(err)
			}
			w.refer(w.index, layer{sign.MediaType, sig.Data, nil})
		}, 1, 0},
		"newer, version 0.2": {alice, func(w *world) {
			l := newer(t, k.alice, signature(w.index), func(b *bundlepb.Bundle) { b.MediaType = "application/vnd.dev.sigstore.bundle+json;version=0.2" })
			w.refer(w.index, l)
		}, 1, 0},
		"newer, whatever its key id says": {alice, func(w *world) {
			w.refer(w.index, newer(t, k.alice, signature(w.index), func(b *bundlepb.Bundle) {
				b.GetDsseEnvelope().Signatures[0].Keyid = "somebody"
			}))
		}, 1, 0},
		"two, in either form": {both, func(w *world) {
			w.tag(w.index, "sig", older(t, k.bob, payloadFor(w.index, "r/app")))
			w.refer(w.index, newer(t, k.alice, signature(w.index)))
		}, 2, 0},
		"each child": {alice, func(w *world) {
			w.refer(w.amd, newer(t, k.alice, signature(w.amd)))
			w.tag(w.arm, "sig", older(t, k.alice, payloadFor(w.arm, "r/app")))
		}, 1, 0},
		"the only child that is there": {alice, func(w *world) {
			w.children[w.index] = []digest.Digest{w.arm}
			w.refer(w.arm, newer(t, k.alice, signature(w.arm)))
		}, 1, 0},
		"one on the index, another on each child": {both, func(w *world) {
			w.refer(w.index, newer(t, k.bob, signature(w.index)))
			w.refer(w.amd, newer(t, k.alice, signature(w.amd)))
			w.refer(w.arm, newer(t, k.alice, signature(w.arm)))
		}, 2, 0},
		"an index in an index": {alice, func(w *world) {
			inner := w.put([]byte(`{"lists":"both"}`))
			w.children[inner], w.children[w.index] = w.children[w.index], []digest.Digest{inner}
			w.refer(inner, newer(t, k.alice, signature(inner)))
		}, 1, 0},
		"what is no signature is there too": {alice, func(w *world) {
			w.tag(w.index, "sbom", layer{"text/spdx", []byte("x"), nil})
			w.refer(w.index, layer{"application/spdx+json", []byte("{}"), nil})
			w.refer(w.index)
			w.refer(w.index, newer(t, k.alice, signature(w.index)))
		}, 1, 0},
		"malformed ones by strangers are there too": {alice, func(w *world) {
			w.tag(w.index, "sig", layer{simpleSigning, []byte("{"), nil}, older(t, k.alice, payloadFor(w.index, "r/app")))
			w.refer(w.index, layer{sign.MediaType, []byte("[]"), nil})
		}, 1, 0},
		"attested, older": {attested, func(w *world) {
			w.tag(w.index, "att", olderEnvelope(t, k.alice, statementFor(w.index, provenance)))
		}, 0, 1},
		"attested, newer": {attested, func(w *world) {
			w.refer(w.index, newer(t, k.alice, statementFor(w.index, provenance)))
			w.refer(w.index, newer(t, k.alice, statementFor(w.index, "https://spdx.dev/Document")))
		}, 0, 2},
		"attested about several subjects": {attested, func(w *world) {
			s := strings.Replace(string(statementFor(w.index, provenance)), `"subject":[`, `"subject":[{"digest":{"sha1":"00"}},{"digest":{"sha256":"`+w.amd.Encoded()+`"}},`, 1)
			w.refer(w.index, newer(t, k.alice, []byte(s)))
		}, 0, 1},
		"attested, each child": {attested, func(w *world) {
			w.refer(w.amd, newer(t, k.alice, statementFor(w.amd, provenance)))
			w.refer(w.arm, newer(t, k.alice, statementFor(w.arm, provenance)))
		}, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.build(w)
			r, err := w.check(c.req, image.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if n := len(r.Signers()); n != c.signers {
				t.Errorf("%d signers, want %d: %+v", n, c.signers, r.Findings)
			}
			if n := len(r.Attestations()); n != c.types {
				t.Errorf("%d types of attestation, want %d: %+v", n, c.types, r.Findings)
			}
		})
	}
}

// Each case is one thing wrong with a good signature or attestation.
func TestRefused(t *testing.T) {
	k := newKeys(t)
	alice := image.Requirement{Signed: by(k.alice)}
	both := image.Requirement{Signed: by(k.alice, k.bob)}
	attested := image.Requirement{Attestations: []image.Attestation{{Type: provenance, Rules: by(k.alice)}}}
	signature := func(d digest.Digest) []byte { return statementFor(d, image.SignaturePredicate) }
	const reference = "r/app"
	good := func(w *world) layer { return newer(t, k.alice, signature(w.index)) }
	goodOld := func(w *world) layer { return older(t, k.alice, payloadFor(w.index, reference)) }
	// signed over what a change makes of a payload or statement
	payload := func(change func(string) string) func(w *world) {
		return func(w *world) {
			w.tag(w.index, "sig", older(t, k.alice, []byte(change(string(payloadFor(w.index, reference))))))
		}
	}
	statement := func(change func(string) string) func(w *world) {
		return func(w *world) { w.refer(w.index, newer(t, k.alice, []byte(change(string(signature(w.index)))))) }
	}
	bundle := func(change func(*bundlepb.Bundle)) func(w *world) {
		return func(w *world) { w.refer(w.index, newer(t, k.alice, signature(w.index), change)) }
	}
	envelope := func(change func(string) string) func(w *world) {
		return func(w *world) {
			l := olderEnvelope(t, k.alice, statementFor(w.index, provenance))
			l.content = []byte(change(string(l.content)))
			w.tag(w.index, "att", l)
		}
	}
	swap := func(old, fresh string) func(string) string {
		return func(s string) string {
			if !strings.Contains(s, old) {
				t.Fatalf("no %s in %s", old, s)
			}
			return strings.Replace(s, old, fresh, 1)
		}
	}
	annotated := func(key, value string) func(w *world) {
		return func(w *world) {
			l := goodOld(w)
			l.annotations[key] = value
			w.tag(w.index, "sig", l)
		}
	}
	for name, c := range map[string]struct {
		req   image.Requirement
		build func(w *world)
		kind  error
		says  string
	}{
		"nothing attached":     {alice, func(*world) {}, fault.ErrUntrusted, "no signature is attached"},
		"by a stranger":        {alice, func(w *world) { w.refer(w.index, newer(t, k.stranger, signature(w.index))) }, fault.ErrUntrusted, "is by key"},
		"older, by a stranger": {alice, func(w *world) { w.tag(w.index, "sig", older(t, k.stranger, payloadFor(w.index, reference))) }, fault.ErrUntrusted, "is by another key"},
		"one of two":           {both, func(w *world) { w.refer(w.index, good(w)) }, fault.ErrUntrusted, "has 1, without ED25519"},
		"one of two, twice":    {both, func(w *world) { w.refer(w.index, good(w)); w.tag(w.index, "sig", goodOld(w)) }, fault.ErrUntrusted, "has 1"},
		"one child of two":     {alice, func(w *world) { w.refer(w.amd, newer(t, k.alice, signature(w.amd))) }, fault.ErrUntrusted, "; nor is " + string(newWorld(t).arm)[:19]},
		"two, each on another child": {both, func(w *world) {
			w.refer(w.amd, newer(t, k.alice, signature(w.amd)))
			w.refer(w.arm, newer(t, k.bob, signature(w.arm)))
		}, fault.ErrUntrusted, "; nor is "},
		"a signature of a child": {alice, func(w *world) { w.refer(w.index, newer(t, k.alice, signature(w.amd))) }, fault.ErrUntrusted, "is for another image, " + string(newWorld(t).amd)[:19]},
		"older, of a child":      {alice, func(w *world) { w.tag(w.index, "sig", older(t, k.alice, payloadFor(w.amd, reference))) }, fault.ErrUntrusted, "is for another image"},
		"over another manifest": {alice, func(w *world) {
			sig, _ := k.alice.Sign(t.Context(), w.blobs[w.amd])
			w.refer(w.index, layer{sign.MediaType, sig.Data, nil})
		}, fault.ErrUntrusted, "does not verify"},
		"an attestation alone":        {alice, func(w *world) { w.refer(w.index, newer(t, k.alice, statementFor(w.index, provenance))) }, fault.ErrUntrusted, "is not signed as"},
		"a signature alone":           {attested, func(w *world) { w.refer(w.index, good(w)) }, fault.ErrUntrusted, "no attestation " + provenance},
		"another type of attestation": {attested, func(w *world) { w.refer(w.index, newer(t, k.alice, statementFor(w.index, provenance+"x"))) }, fault.ErrUntrusted, "no attestation"},
		"an attestation by a stranger": {attested, func(w *world) {
			w.refer(w.index, newer(t, k.stranger, statementFor(w.index, provenance)))
		}, fault.ErrUntrusted, "is by key"},
		"an attestation about a child": {attested, func(w *world) {
			w.refer(w.index, newer(t, k.alice, statementFor(w.amd, provenance)))
		}, fault.ErrUntrusted, "is for another image"},
		"an old attestation's annotation lies": {attested, func(w *world) {
			w.tag(w.index, "att", olderEnvelope(t, k.alice, statementFor(w.index, "https://spdx.dev/Document")))
		}, fault.ErrUntrusted, "no attestation"},

		"statement altered after signing": {alice, bundle(func(b *bundlepb.Bundle) {
			b.GetDsseEnvelope().Payload = bytes.Replace(b.GetDsseEnvelope().Payload, []byte(`"x":1`), []byte(`"x":2`), 1)
		}), fault.ErrUntrusted, "does not verify"},
		"signature altered": {alice, bundle(func(b *bundlepb.Bundle) { b.GetDsseEnvelope().Signatures[0].Sig[9] ^= 1 }), fault.ErrUntrusted, "does not verify"},
		"altered, beside a good one": {alice, func(w *world) {
			w.refer(w.index, good(w))
			w.refer(w.index, newer(t, k.alice, signature(w.index), func(b *bundlepb.Bundle) { b.GetDsseEnvelope().Signatures[0].Sig[9] ^= 1 }))
		}, fault.ErrUntrusted, "does not verify"},
		"altered attestation that nobody demands": {alice, func(w *world) {
			w.refer(w.index, good(w))
			w.refer(w.index, newer(t, k.alice, statementFor(w.index, provenance), func(b *bundlepb.Bundle) { b.GetDsseEnvelope().Signatures[0].Sig[9] ^= 1 }))
		}, fault.ErrUntrusted, "does not verify"},
		"a stranger's under a known key's name": {alice, bundle(func(b *bundlepb.Bundle) {
			b.GetDsseEnvelope().Signatures[0].Sig = raw(t, k.stranger, b.GetDsseEnvelope().Payload)
		}), fault.ErrUntrusted, "does not verify"},
		"older payload altered after signing": {alice, func(w *world) {
			l := goodOld(w)
			l.content = bytes.Replace(l.content, []byte(reference), []byte("r/evil"), 1)
			w.tag(w.index, "sig", l)
		}, fault.ErrUntrusted, "is by another key"},
		"older signature of other bytes":   {alice, annotated(signatureKey, "AAAA"), fault.ErrUntrusted, "is by another key"},
		"older signature, not base64":      {alice, annotated(signatureKey, "?"), fault.ErrUntrusted, "no signature in its annotations"},
		"older signature, empty":           {alice, annotated(signatureKey, ""), fault.ErrUntrusted, "no signature in its annotations"},
		"older signature, huge":            {alice, annotated(signatureKey, strings.Repeat("A", 1<<19)), fault.ErrUntrusted, "more than"},
		"certificate, no PEM":              {alice, annotated(certificateKey, "x"), fault.ErrUntrusted, "something else than certificates"},
		"certificate, a key":               {alice, annotated(certificateKey, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), fault.ErrUntrusted, "something else than certificates"},
		"certificate, twice":               {alice, annotated(certificateKey, strings.Repeat(pemCertificate, 2)), fault.ErrUntrusted, "holds 2 certificates"},
		"certificate added to a key's":     {alice, annotated(certificateKey, pemCertificate), fault.ErrUntrusted, "by a certificate"},
		"log entry, no JSON":               {alice, annotated(logKey, "x"), fault.ErrUntrusted, "is not JSON"},
		"log entry without a promise":      {alice, annotated(logKey, `{"Payload":{"body":"e30="}}`), fault.ErrUntrusted, "no promise"},
		"log entry with another body":      {alice, annotated(logKey, `{"SignedEntryTimestamp":"AAAA","Payload":{"body":1}}`), fault.ErrUntrusted, "body"},
		"log entry of a strange log":       {alice, annotated(logKey, `{"SignedEntryTimestamp":"AAAA","Payload":{"body":"e30=","logID":"xyz"}}`), fault.ErrUntrusted, "names the log"},
		"timestamp, empty":                 {alice, annotated(timestampKey, `{}`), fault.ErrUntrusted, "no timestamp"},
		"timestamp, twice the same member": {alice, annotated(timestampKey, `{"SignedRFC3161Timestamp":"AAAA","SignedRFC3161Timestamp":"AAAA"}`), fault.ErrUntrusted, "twice"},

		"payload in other capitals":      {alice, payload(swap(`"critical"`, `"Critical"`)), fault.ErrUntrusted, `no "critical"`},
		"payload without an image":       {alice, payload(swap(`"image"`, `"images"`)), fault.ErrUntrusted, "critical member"},
		"payload of another type":        {alice, payload(swap(`cosign container`, `atomic container`)), fault.ErrUntrusted, "payload of the type"},
		"payload without a digest":       {alice, payload(swap(`"docker-manifest-digest"`, `"digest"`)), fault.ErrUntrusted, "critical member"},
		"payload with two digests":       {alice, payload(swap(`"image":{`, `"image":{"docker-manifest-digest":"`+string(newWorld(t).index)+`",`)), fault.ErrUntrusted, "twice"},
		"payload with two criticals":     {alice, payload(swap(`"optional"`, `"critical"`)), fault.ErrUntrusted, "twice"},
		"payload with a critical demand": {alice, payload(swap(`"critical":{`, `"critical":{"until":"2020",`)), fault.ErrUntrusted, "critical member"},
		"payload, no digest":             {alice, payload(swap(`sha256:`, `sha256-`)), fault.ErrUntrusted, "no digest"},
		"payload, trailing bytes":        {alice, payload(func(s string) string { return s + "{}" }), fault.ErrUntrusted, "not a JSON object"},
		"payload, no UTF-8":              {alice, payload(swap(reference, "\xff")), fault.ErrUntrusted, "UTF-8"},
		"payload, an array":              {alice, payload(func(string) string { return "[]" }), fault.ErrUntrusted, "not a JSON object"},
		"payload, null":                  {alice, payload(func(string) string { return "null" }), fault.ErrUntrusted, "null"},
		"payload, too deep":              {alice, payload(swap(`null`, strings.Repeat("[", 300)+strings.Repeat("]", 300))), fault.ErrUntrusted, "deep"},
		"payload, huge":                  {alice, payload(swap(`null`, `"`+strings.Repeat("x", image.MaxPayload)+`"`)), fault.ErrUntrusted, "too large"},
		"payload, gzip":                  {alice, payload(func(string) string { return "\x1f\x8b\x08\x00" }), fault.ErrUntrusted, "UTF-8"},

		"statement of another type":       {alice, statement(swap("Statement/v1", "Statement/v2")), fault.ErrUntrusted, "statement of the type"},
		"statement without a subject":     {alice, statement(swap(`"subject"`, `"subjects"`)), fault.ErrUntrusted, "for another image, nothing"},
		"statement without predicateType": {alice, statement(swap(`"predicateType"`, `"PredicateType"`)), fault.ErrUntrusted, "without a predicate type"},
		"statement, two subjects members": {alice, statement(swap(`"predicate":{`, `"subject":[],"predicate":{`)), fault.ErrUntrusted, "twice"},
		"statement, two digests":          {alice, statement(swap(`"digest":{`, `"digest":{"sha256":"00","x":"y"},"digest":{`)), fault.ErrUntrusted, "twice"},
		"statement, digest upper case": {alice, func(w *world) {
			s := strings.Replace(string(signature(w.index)), w.index.Encoded(), strings.ToUpper(w.index.Encoded()), 1)
			w.refer(w.index, newer(t, k.alice, []byte(s)))
		}, fault.ErrUntrusted, "for another image"},
		"statement, another algorithm":     {alice, statement(swap(`"sha256"`, `"sha512"`)), fault.ErrUntrusted, "for another image"},
		"statement, thousands of subjects": {alice, statement(swap(`"subject":[`, `"subject":[`+strings.Repeat(`{},`, 2000))), fault.ErrUntrusted, "subjects"},

		"envelope of another type": {alice, bundle(func(b *bundlepb.Bundle) { b.GetDsseEnvelope().PayloadType = "text/plain" }), fault.ErrUntrusted, "no statement"},
		"envelope with two signatures": {alice, bundle(func(b *bundlepb.Bundle) {
			e := b.GetDsseEnvelope()
			e.Signatures = append(e.Signatures, e.Signatures[0])
		}), fault.ErrUntrusted, "one signature"},
		"envelope without a signature": {alice, bundle(func(b *bundlepb.Bundle) { b.GetDsseEnvelope().Signatures = nil }), fault.ErrUntrusted, "one signature"},
		"bundle of another version":    {alice, bundle(func(b *bundlepb.Bundle) { b.MediaType = "application/vnd.dev.sigstore.bundle.v0.4+json" }), fault.ErrUntrusted, "another version"},
		"bundle without material":      {alice, bundle(func(b *bundlepb.Bundle) { b.VerificationMaterial = nil }), fault.ErrUntrusted, "which key"},
		"bundle by a certificate": {alice, bundle(func(b *bundlepb.Bundle) {
			b.VerificationMaterial = &bundlepb.VerificationMaterial{Content: &bundlepb.VerificationMaterial_Certificate{Certificate: &commonpb.X509Certificate{RawBytes: []byte("x")}}}
		}), fault.ErrUntrusted, "by a certificate"},
		"bundle without content": {alice, bundle(func(b *bundlepb.Bundle) { b.Content = nil }), fault.ErrUntrusted, "no signature in it"},
		"bundle, empty envelope": {alice, bundle(func(b *bundlepb.Bundle) { b.Content = &bundlepb.Bundle_DsseEnvelope{DsseEnvelope: &dssepb.Envelope{}} }), fault.ErrUntrusted, "no statement"},
		"bundle with an unknown field": {alice, func(w *world) {
			l := good(w)
			l.content = append([]byte(`{"x":1,`), l.content[1:]...)
			w.refer(w.index, l)
		}, fault.ErrUntrusted, "not a Sigstore bundle"},
		"bundle under another media type": {alice, func(w *world) { l := good(w); l.mediaType = "application/json"; w.refer(w.index, l) }, fault.ErrUntrusted, "is not signed"},
		"bundle, huge": {alice, func(w *world) {
			w.refer(w.index, layer{sign.MediaType, make([]byte, image.MaxEnvelope+1), nil})
		}, fault.ErrUntrusted, "too large"},

		"old envelope, two signatures": {attested, envelope(swap(`"signatures":[`, `"signatures":[{},`)), fault.ErrUntrusted, "2 signatures"},
		"old envelope, no signature":   {attested, envelope(swap(`"signatures"`, `"Signatures"`)), fault.ErrUntrusted, "0 signatures"},
		"old envelope, two payloads":   {attested, envelope(swap(`"payload":`, `"payload":"","payload":`)), fault.ErrUntrusted, "twice"},
		"old envelope, other type":     {attested, envelope(swap(statementType, "text/plain")), fault.ErrUntrusted, "no statement"},
		"old envelope, empty":          {attested, envelope(func(string) string { return "" }), fault.ErrUntrusted, "not a JSON object"},

		"manifest with two lists of layers": {alice, func(w *world) {
			w.refer(w.index, good(w))
			a := &w.attached[w.index][0]
			a.Digest = w.put(bytes.Replace(w.blobs[a.Digest], []byte(`"layers"`), []byte(`"layers":[],"layers"`), 1))
		}, fault.ErrUntrusted, "twice"},
		"referrer of another image": {alice, func(w *world) {
			w.refer(w.amd, good(w))
			w.attached[w.index], w.attached[w.amd] = w.attached[w.amd], nil
		}, fault.ErrUntrusted, "attached to another image"},

		"signature not there":               {alice, func(w *world) { l := good(w); w.refer(w.index, l); w.gone[digest.FromBytes(l.content)] = true }, fault.ErrMissing, "is not there"},
		"manifest of a signature not there": {alice, func(w *world) { w.refer(w.index, good(w)); w.gone[w.attached[w.index][0].Digest] = true }, fault.ErrMissing, "is not there"},
		"signature damaged":                 {alice, func(w *world) { l := good(w); w.refer(w.index, l); w.blobs[digest.FromBytes(l.content)] = []byte("x") }, fault.ErrDamaged, "another digest"},
		"thousands of layers":               {alice, func(w *world) { w.refer(w.index, make([]layer, image.MaxFindings+1)...) }, fault.ErrUntrusted, "more than"},
		"thousands of signatures": {alice, func(w *world) {
			for i := range 5 {
				var list []layer
				for j := range 1000 {
					list = append(list, layer{simpleSigning, fmt.Appendf(nil, "%d %d", i, j), nil})
				}
				w.refer(w.index, list...)
			}
		}, fault.ErrDamaged, "more than"},
		"index in index in index": {alice, func(w *world) {
			at := w.index
			for i := range 20 {
				next := w.put(fmt.Appendf(nil, "index %d", i))
				w.children[at] = []digest.Digest{next}
				at = next
			}
		}, fault.ErrDamaged, "deep"},
		"indexes that share what they list": {alice, func(w *world) {
			level := []digest.Digest{w.index}
			for i := range image.MaxDepth {
				var next []digest.Digest
				for j := range 40 {
					next = append(next, w.put(fmt.Appendf(nil, "index %d %d", i, j)))
				}
				for _, d := range level {
					w.children[d] = next
				}
				level = next
			}
			for _, d := range level {
				w.refer(d, newer(t, k.alice, signature(d)))
			}
		}, fault.ErrUntrusted, "is not signed"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.build(w)
			r, err := w.check(c.req, image.Options{})
			if !errors.Is(err, c.kind) || r != nil {
				t.Fatalf("%v, %v; want %v", r, err, c.kind)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("says %q, want %q in it", err, c.says)
			}
			if !strings.Contains(err.Error(), "image app:1") {
				t.Errorf("%q does not name the image", err)
			}
			for _, worse := range []error{fault.ErrUsage, fault.ErrUntrusted, fault.ErrDamaged, fault.ErrMissing} {
				if worse == c.kind {
					break // as exit codes are chosen
				}
				if errors.Is(err, worse) {
					t.Errorf("%v is %v too", err, worse)
				}
			}
		})
	}
}

func TestRequirementsNobodyMeant(t *testing.T) {
	k := newKeys(t)
	for name, req := range map[string]image.Requirement{
		"zero":                    {},
		"rule of nobody":          {Signed: []verify.Rule{{}}},
		"threshold":               {Signed: []verify.Rule{{Of: verify.Keys(k.alice.Public()), Threshold: 2}}},
		"empty key":               {Signed: []verify.Rule{{Of: []verify.Authority{nil}}}},
		"who cannot sign images":  {Signed: []verify.Rule{{Of: []verify.Authority{other{}}}}},
		"attestation of no type":  {Attestations: []image.Attestation{{Rules: by(k.alice)}}},
		"attestation by nobody":   {Attestations: []image.Attestation{{Type: provenance}}},
		"a signature as its type": {Attestations: []image.Attestation{{Type: image.SignaturePredicate, Rules: by(k.alice)}}},
	} {
		w := newWorld(t)
		w.refer(w.index, newer(t, k.alice, statementFor(w.index, image.SignaturePredicate)))
		if r, err := w.check(req, image.Options{}); !errors.Is(err, fault.ErrUsage) || r != nil {
			t.Errorf("%s: %v, %v; want usage", name, r, err)
		}
	}
}

// other is an authority that knows nothing of images.
type other struct{}

func (other) String() string                                          { return "other" }
func (other) Form() sign.Form                                         { return sign.SSH }
func (other) Check(*verify.Evidence, []byte) ([]verify.Signer, error) { return nil, verify.Other("x") }

// A threshold counts those who can sign images; one who cannot may be among them.
func TestThreshold(t *testing.T) {
	k := newKeys(t)
	rule := verify.Rule{Name: "release", Of: append(verify.Keys(k.alice.Public(), k.bob.Public()), other{}), Threshold: 2}
	w := newWorld(t)
	w.refer(w.index, newer(t, k.alice, statementFor(w.index, image.SignaturePredicate)))
	_, err := w.check(image.Requirement{Signed: []verify.Rule{rule}}, image.Options{})
	if !errors.Is(err, fault.ErrUntrusted) || !strings.Contains(err.Error(), "role release needs 2 of") {
		t.Fatal(err)
	}
	w.tag(w.index, "sig", older(t, k.bob, payloadFor(w.index, "x")))
	if _, err := w.check(image.Requirement{Signed: []verify.Rule{rule}}, image.Options{}); err != nil {
		t.Fatal(err)
	}
}

// The name that an older signature was made for counts if somebody asks for it.
func TestNamed(t *testing.T) {
	k := newKeys(t)
	w := newWorld(t)
	w.tag(w.index, "sig", older(t, k.alice, payloadFor(w.index, "registry.example/app")))
	for name, good := range map[string]bool{"registry.example/app": true, "registry.example/other": false} {
		r, err := w.check(image.Requirement{Signed: by(k.alice)}, image.Options{Named: func(s string) bool { return s == name }})
		switch {
		case good && (err != nil || r.Findings[0].Reference != name):
			t.Errorf("%s: %v, %v", name, r, err)
		case !good && !errors.Is(err, fault.ErrUntrusted):
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A payload that says no name is for none.
func TestNamedNothing(t *testing.T) {
	k := newKeys(t)
	anything := image.Options{Named: func(string) bool { return true }}
	for name, payload := range map[string]string{
		"empty name":  string(payloadFor(newWorld(t).index, "")),
		"no identity": `{"critical":{"image":{"docker-manifest-digest":"` + newWorld(t).index.String() + `"},"type":"cosign container image signature"}}`,
	} {
		w := newWorld(t)
		w.tag(w.index, "sig", older(t, k.alice, []byte(payload)))
		req := image.Requirement{Signed: by(k.alice)}
		if _, err := w.check(req, image.Options{}); err != nil {
			t.Errorf("%s: nobody asked: %v", name, err)
		}
		if _, err := w.check(req, anything); !errors.Is(err, fault.ErrUntrusted) || !strings.Contains(err.Error(), `made for the name ""`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What strangers attach is ignored, and listed.
func TestStrangersAreListed(t *testing.T) {
	k := newKeys(t)
	w := newWorld(t)
	signature := statementFor(w.index, image.SignaturePredicate)
	w.refer(w.index, newer(t, k.alice, signature))
	w.refer(w.index, newer(t, k.stranger, signature))
	w.refer(w.index, layer{"application/spdx+json", []byte("{}"), nil})
	var steps []verify.Step
	r, err := w.check(image.Requirement{Signed: by(k.alice)}, image.Options{Explain: func(s verify.Step) { steps = append(steps, s) }})
	if err != nil {
		t.Fatal(err)
	}
	want := []verify.Verdict{verify.Passed, verify.Ignored, verify.Noted}
	if len(r.Findings) != len(want) || len(steps) != len(want)+1 {
		t.Fatalf("%+v\n%+v", r.Findings, steps)
	}
	for i, f := range r.Findings {
		if f.Verdict != want[i] || steps[i].Verdict != want[i] || f.Of != w.index || f.In == "" {
			t.Errorf("%d: %+v", i, f)
		}
		if (f.Reason == "") != (f.Verdict == verify.Passed) || (len(f.Signers) == 0) == (f.Verdict == verify.Passed) {
			t.Errorf("%d: %+v", i, f)
		}
	}
}

func TestEndsWithItsContext(t *testing.T) {
	k := newKeys(t)
	ctx, cancel := context.WithCancel(t.Context())
	w := newWorld(t)
	w.refer(w.index, newer(t, k.alice, statementFor(w.index, image.SignaturePredicate)))
	cancel()
	_, err := image.Check(ctx, w, image.Image{Name: "app:1", Digest: w.index}, image.Requirement{Signed: by(k.alice)}, image.Options{})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// pemCertificate is PEM, but no certificate.
const pemCertificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
