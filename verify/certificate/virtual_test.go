package certificate_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"testing"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	dssepb "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"

	"bale/bundle/fault"
	"bale/sign"
	"bale/verify"
	"bale/verify/certificate"
)

// The Sigstore that sigstore-go tests itself with, Rekor 2. (Of Rekor 1 it makes
// proofs whose sizes are not those of their checkpoints.)
func TestVirtualSigstore(t *testing.T) {
	v := must(ca.NewVirtualSigstore())
	logs := make(map[string]*root.TransparencyLog)
	for id, l := range v.RekorLogs() {
		l.ID = must(hex.DecodeString(id)) // there it is the text of it
		logs[id] = l
	}
	tr := must(root.NewTrustedRoot(root.TrustedRootMediaType01, v.FulcioCertificateAuthorities(), nil, v.TimestampingAuthorities(), logs))
	r, err := certificate.ParseTrustedRoot(must(tr.MarshalJSON()))
	if err != nil {
		t.Fatal(err)
	}
	a := must(certificate.New(r, whoAlice, certificate.Options{}))
	for name, c := range map[string]struct {
		who    string
		change func(*rekorpb.TransparencyLogEntry)
		kind   error
	}{
		"good":          {who: alice},
		"bob":           {who: "bob@example.com", kind: verify.ErrOther},
		"claims a time": {who: alice, change: func(e *rekorpb.TransparencyLogEntry) { e.IntegratedTime = 1 }, kind: fault.ErrDamaged},
		"no proof":      {who: alice, change: func(e *rekorpb.TransparencyLogEntry) { e.InclusionProof = nil }, kind: fault.ErrUntrusted},
	} {
		entity := must(v.AttestHashedRekordV2(c.who, idp, []byte(`{"_type":"https://in-toto.io/Statement/v1"}`)))
		leaf := must(entity.VerificationContent()).Certificate()
		env := must(entity.SignatureContent()).EnvelopeContent().RawEnvelope()
		e := must(entity.TlogEntries())[0].TransparencyLogEntry()
		e.IntegratedTime = 0 // Rekor 2 gives none
		if c.change != nil {
			c.change(e)
		}
		pb := &bundlepb.Bundle{
			MediaType: sign.MediaType,
			VerificationMaterial: &bundlepb.VerificationMaterial{
				Content:     &bundlepb.VerificationMaterial_Certificate{Certificate: &commonpb.X509Certificate{RawBytes: leaf.Raw}},
				TlogEntries: []*rekorpb.TransparencyLogEntry{e},
				TimestampVerificationData: &bundlepb.TimestampVerificationData{Rfc3161Timestamps: []*commonpb.RFC3161SignedTimestamp{
					{SignedTimestamp: must(entity.Timestamps())[0]},
				}},
			},
			Content: &bundlepb.Bundle_DsseEnvelope{DsseEnvelope: &dssepb.Envelope{
				PayloadType: env.PayloadType, Payload: must(base64.StdEncoding.DecodeString(env.Payload)),
				Signatures: []*dssepb.Signature{{Sig: must(base64.StdEncoding.DecodeString(env.Signatures[0].Sig))}},
			}},
		}
		if _, err := a.CheckEnvelope(verify.EvidenceOf(pb)); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v, want %v", name, err, c.kind)
		}
	}
}
