package image_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	dssepb "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"

	"bale/bundle/fault"
	"bale/sign"
	"bale/verify"
	"bale/verify/certificate"
	"bale/verify/image"
)

const (
	who    = "alice@example.com"
	issuer = "https://issuer.example.com"
)

// keyless is sigstore-go's virtual Sigstore instance.
type keyless struct {
	t testing.TB
	*ca.VirtualSigstore
}

func newKeyless(t testing.TB) *keyless {
	t.Helper()
	vs, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	return &keyless{t, vs}
}

// by asks for a signature by an identity.
func (k *keyless) by(subject string) []verify.Rule {
	k.t.Helper()
	logs := k.RekorLogs()
	for id, log := range logs { // where its name is in hexadecimal
		raw, err := hex.DecodeString(id)
		if err != nil {
			k.t.Fatal(err)
		}
		log.ID = raw
	}
	// Its certificates have no timestamps of a log, so the root has none.
	tr, err := root.NewTrustedRoot(root.TrustedRootMediaType01, k.FulcioCertificateAuthorities(), nil, k.TimestampingAuthorities(), logs)
	if err != nil {
		k.t.Fatal(err)
	}
	data, err := tr.MarshalJSON()
	if err != nil {
		k.t.Fatal(err)
	}
	r, err := certificate.ParseTrustedRoot(data)
	if err != nil {
		k.t.Fatal(err)
	}
	a, err := certificate.New(r, certificate.Identity{Subject: subject, Issuer: issuer}, certificate.Options{})
	if err != nil {
		k.t.Fatal(err)
	}
	return []verify.Rule{{Of: []verify.Authority{a}}}
}

// made is what one signing gave.
type made struct {
	certificate, signature, timestamp []byte
	entry                             *rekorpb.TransparencyLogEntry
}

func (k *keyless) parts(e *ca.TestEntity, err error) made {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
	vc, err := e.VerificationContent()
	if err != nil {
		k.t.Fatal(err)
	}
	sc, err := e.SignatureContent()
	if err != nil {
		k.t.Fatal(err)
	}
	stamps, err := e.Timestamps()
	if err != nil {
		k.t.Fatal(err)
	}
	entries, err := e.TlogEntries()
	if err != nil {
		k.t.Fatal(err)
	}
	entry := entries[0].TransparencyLogEntry()
	if entry.GetIntegratedTime() == 0 {
		return made{vc.Certificate().Raw, sc.Signature(), stamps[0], entry}
	}
	// The promise is kept beside it, where nobody gets at it.
	set, err := k.RekorSignPayload(tlog.RekorPayload{
		Body: base64.StdEncoding.EncodeToString(entry.GetCanonicalizedBody()), IntegratedTime: entry.GetIntegratedTime(),
		LogIndex: entry.GetLogIndex(), LogID: hex.EncodeToString(entry.GetLogId().GetKeyId()),
	})
	if err != nil {
		k.t.Fatal(err)
	}
	var body struct{ Kind, APIVersion string }
	if err := json.Unmarshal(entry.GetCanonicalizedBody(), &body); err != nil {
		k.t.Fatal(err)
	}
	entry.KindVersion = &rekorpb.KindVersion{Kind: body.Kind, Version: body.APIVersion}
	entry.InclusionPromise = &rekorpb.InclusionPromise{SignedEntryTimestamp: set}
	return made{vc.Certificate().Raw, sc.Signature(), stamps[0], entry}
}

// newer is a Sigstore bundle over a statement.
func (k *keyless) newer(subject string, statement []byte, change ...func(*bundlepb.Bundle)) layer {
	m := k.parts(k.AttestAtTimeHashedRekordV2(subject, issuer, statement, time.Unix(0, 0))) // of Rekor 2, which gives no time
	return sigstore(k.t, &bundlepb.Bundle{
		MediaType: sign.MediaType,
		VerificationMaterial: &bundlepb.VerificationMaterial{
			Content:                   &bundlepb.VerificationMaterial_Certificate{Certificate: &commonpb.X509Certificate{RawBytes: m.certificate}},
			TlogEntries:               []*rekorpb.TransparencyLogEntry{m.entry},
			TimestampVerificationData: &bundlepb.TimestampVerificationData{Rfc3161Timestamps: []*commonpb.RFC3161SignedTimestamp{{SignedTimestamp: m.timestamp}}},
		},
		Content: &bundlepb.Bundle_DsseEnvelope{DsseEnvelope: &dssepb.Envelope{
			Payload: statement, PayloadType: statementType, Signatures: []*dssepb.Signature{{Sig: m.signature}},
		}},
	}, change...)
}

// annotations keeps all of a signing as cosign 2 does.
func (m made) annotations(t testing.TB) map[string]string {
	t.Helper()
	logged, err := json.Marshal(map[string]any{
		"SignedEntryTimestamp": m.entry.GetInclusionPromise().GetSignedEntryTimestamp(),
		"Payload": map[string]any{
			"body": m.entry.GetCanonicalizedBody(), "integratedTime": m.entry.GetIntegratedTime(),
			"logIndex": m.entry.GetLogIndex(), "logID": hex.EncodeToString(m.entry.GetLogId().GetKeyId()),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	stamp, err := json.Marshal(map[string]any{"SignedRFC3161Timestamp": m.timestamp})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		signatureKey:   base64.StdEncoding.EncodeToString(m.signature),
		certificateKey: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.certificate})),
		logKey:         string(logged),
		timestampKey:   string(stamp),
	}
}

// older is a signature as cosign 2 keeps it.
func (k *keyless) older(subject string, payload []byte) layer {
	return layer{simpleSigning, payload, k.parts(k.Sign(subject, issuer, payload)).annotations(k.t)}
}

// olderEnvelope is an attestation as cosign 2 keeps it.
func (k *keyless) olderEnvelope(subject string, statement []byte) layer {
	m := k.parts(k.Attest(subject, issuer, statement))
	b, err := json.Marshal(map[string]any{
		"payload": statement, "payloadType": statementType, "signatures": []any{map[string]any{"sig": m.signature}},
	})
	if err != nil {
		k.t.Fatal(err)
	}
	a := m.annotations(k.t)
	a[signatureKey] = ""
	return layer{envelopeType, b, a}
}

func TestKeyless(t *testing.T) {
	k := newKeyless(t)
	signature := func(d digest.Digest) []byte { return statementFor(d, image.SignaturePredicate) }
	alice := image.Requirement{Signed: k.by(who)}
	attested := image.Requirement{Attestations: []image.Attestation{{Type: provenance, Rules: k.by(who)}}}
	promises := image.Options{AllowPromise: true}
	for name, c := range map[string]struct {
		req     image.Requirement
		options image.Options
		build   func(w *world)
		says    string // of the refusal; "" if accepted
	}{
		"newer":       {alice, image.Options{}, func(w *world) { w.refer(w.index, k.newer(who, signature(w.index))) }, ""},
		"attestation": {attested, image.Options{}, func(w *world) { w.refer(w.index, k.newer(who, statementFor(w.index, provenance))) }, ""},
		"older":       {alice, promises, func(w *world) { w.tag(w.index, "sig", k.older(who, payloadFor(w.index, "r"))) }, ""},
		"older attestation": {attested, promises, func(w *world) {
			w.tag(w.index, "att", k.olderEnvelope(who, statementFor(w.index, provenance)))
		}, ""},
		"older, a promise only": {alice, image.Options{}, func(w *world) {
			w.tag(w.index, "sig", k.older(who, payloadFor(w.index, "r")))
		}, "a promise only"},
		"older attestation, a promise only": {attested, image.Options{}, func(w *world) {
			w.tag(w.index, "att", k.olderEnvelope(who, statementFor(w.index, provenance)))
		}, "a promise only"},
		"newer, its proof taken away": {alice, promises, func(w *world) {
			w.refer(w.index, k.newer(who, signature(w.index), func(b *bundlepb.Bundle) { b.VerificationMaterial.TlogEntries[0].InclusionProof = nil }))
		}, "does not verify"},
		"newer, not logged": {alice, image.Options{}, func(w *world) {
			w.refer(w.index, k.newer(who, signature(w.index), func(b *bundlepb.Bundle) { b.VerificationMaterial.TlogEntries = nil }))
		}, "does not verify"},
		"by somebody else": {alice, promises, func(w *world) {
			w.refer(w.index, k.newer("bob@example.com", signature(w.index)))
		}, "bob@example.com"},
		"older, by somebody else": {alice, promises, func(w *world) {
			w.tag(w.index, "sig", k.older("bob@example.com", payloadFor(w.index, "r")))
		}, "bob@example.com"},
		"of another instance": {alice, promises, func(w *world) {
			w.refer(w.index, newKeyless(t).newer(who, signature(w.index)))
		}, "does not verify"},
		"for another image": {alice, promises, func(w *world) { w.refer(w.index, k.newer(who, signature(w.amd))) }, "another image"},
		"older, payload altered": {alice, promises, func(w *world) {
			l := k.older(who, payloadFor(w.index, "r"))
			l.content = payloadFor(w.index, "evil")
			w.tag(w.index, "sig", l)
		}, "does not verify"},
		"older, the promise for another": {alice, promises, func(w *world) {
			l := k.older(who, payloadFor(w.index, "r"))
			l.annotations[logKey] = k.older(who, payloadFor(w.amd, "r")).annotations[logKey]
			w.tag(w.index, "sig", l)
		}, "does not verify"},
		"older, without a promise": {alice, promises, func(w *world) {
			l := k.older(who, payloadFor(w.index, "r"))
			delete(l.annotations, logKey)
			w.tag(w.index, "sig", l)
		}, "does not verify"},
		"older, another's certificate": {alice, promises, func(w *world) {
			l := k.older("bob@example.com", payloadFor(w.index, "r"))
			l.annotations[certificateKey] = k.older(who, payloadFor(w.index, "r")).annotations[certificateKey]
			w.tag(w.index, "sig", l)
		}, "does not verify"},
		"older, certificate taken away": {alice, promises, func(w *world) {
			l := k.older(who, payloadFor(w.index, "r"))
			delete(l.annotations, certificateKey)
			w.tag(w.index, "sig", l)
		}, "ignored"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.build(w)
			r, err := w.check(c.req, c.options)
			switch {
			case c.says == "" && err != nil:
				t.Fatal(err)
			case c.says == "" && len(r.Findings[0].Signers) == 1:
				s := r.Findings[0].Signers[0]
				if s.Kind != sign.KindCertificate || s.Subject != who || s.Issuer != issuer || len(s.Times) == 0 || !s.Times[0].Proven {
					t.Errorf("signed by %+v", s)
				}
			case c.says == "":
				t.Errorf("findings %+v", r.Findings)
			case !errors.Is(err, fault.ErrUntrusted) || r != nil:
				t.Fatalf("%v, %v; want untrusted", r, err)
			case strings.Contains(c.says, "promise") != strings.Contains(fault.Hint(err), "--image-allow-promise"):
				t.Errorf("hint %q", fault.Hint(err))
			case !strings.Contains(err.Error(), c.says):
				t.Errorf("says %q, want %q in it", err, c.says)
			}
		})
	}
}
