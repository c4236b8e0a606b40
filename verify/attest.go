package verify

import (
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"

	"bale/bundle/fault"
	"bale/sign"
)

// Attesting is an [Authority] that also checks what is attached to images. All
// authorities of Sigstore's form are.
type Attesting interface {
	Authority
	// CheckEnvelope verifies the one signature of the DSSE envelope in e, over
	// its payload and payload type; errors are as for Check.
	CheckEnvelope(e *Evidence) ([]Signer, error)
}

// EvidenceOf returns the evidence in a Sigstore bundle that does not come from
// an entry of a bale bundle. If it names a key with an empty hint, each key is
// tried: cosign's older signatures name none.
func EvidenceOf(pb *bundlepb.Bundle) *Evidence {
	key := pb.GetVerificationMaterial().GetPublicKey()
	return &Evidence{Form: sign.Sigstore, bundle: pb, anonymous: key != nil && key.GetHint() == ""}
}

// CheckEnvelope implements [Attesting].
func (a keyAuthority) CheckEnvelope(e *Evidence) ([]Signer, error) {
	if err := a.named(e); err != nil {
		return nil, err
	}
	env := e.bundle.GetDsseEnvelope()
	if env == nil || len(env.GetSignatures()) != 1 {
		return nil, fault.Damaged("has no envelope with one signature")
	}
	return a.signers(e, dsse.PAE(env.GetPayloadType(), env.GetPayload()), env.GetSignatures()[0].GetSig())
}
