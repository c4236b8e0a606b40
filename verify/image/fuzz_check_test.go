package image_test

import (
	"testing"

	"bale/sign"
	"bale/verify/image"
)

// Whatever is attached to an image, nobody gets in without the key.
func FuzzCheck(f *testing.F) {
	k := newKeys(f)
	seed := newWorld(f)
	for _, predicate := range []string{image.SignaturePredicate, provenance} {
		f.Add(sign.MediaType, newer(f, k.stranger, statementFor(seed.index, predicate)).content, "", "")
		f.Add(sign.MediaType, newer(f, k.alice, statementFor(seed.amd, predicate)).content, "", "")
		f.Add(envelopeType, olderEnvelope(f, k.stranger, statementFor(seed.index, predicate)).content, "", pemCertificate)
	}
	l := older(f, k.stranger, payloadFor(seed.index, "r"))
	f.Add(simpleSigning, l.content, l.annotations[signatureKey], pemCertificate)
	l = older(f, k.alice, payloadFor(seed.amd, "r"))
	f.Add(simpleSigning, l.content, l.annotations[signatureKey], "")
	req := image.Requirement{Signed: by(k.alice), Attestations: []image.Attestation{{Type: provenance, Rules: by(k.alice)}}}
	f.Fuzz(func(t *testing.T, mediaType string, content []byte, signature, certificate string) {
		w := newWorld(t)
		l := layer{mediaType, content, map[string]string{signatureKey: signature, certificateKey: certificate, chainKey: certificate, logKey: certificate}}
		w.tag(w.index, "sig", l)
		w.tag(w.index, "att", l)
		w.refer(w.index, l)
		if r, err := w.check(req, image.Options{AllowPromise: true}); err == nil || r != nil {
			t.Fatalf("accepted: %+v", r)
		}
	})
}
