package sigstore

import (
	"bytes"
	"fmt"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"bale/bundle/fault"
)

// check verifies a signature as the far side will, whoever it is by: what came
// from the servers may be wrong, and the trusted root too old or of another
// instance.
func (i *Instance) check(pb *bundlepb.Bundle, message []byte) error {
	var demands []verify.VerifierOption
	if len(i.trust.CTLogs()) > 0 {
		demands = append(demands, verify.WithSignedCertificateTimestamps(1))
	}
	if len(i.logs) > 0 {
		demands = append(demands, verify.WithTransparencyLog(len(i.logs)))
	}
	if len(i.stamps) > 0 {
		demands = append(demands, verify.WithSignedTimestamps(len(i.stamps)))
	} else {
		demands = append(demands, verify.WithIntegratedTimestamps(len(i.logs)))
	}
	v, err := verify.NewVerifier(i.trust, demands...)
	if err != nil {
		return fmt.Errorf("own check: %w", err)
	}
	b, err := bundle.NewBundle(pb)
	if err != nil {
		return i.refuse(err)
	}
	// Nobody's identity is asked for: it is the signer's own.
	_, err = v.Verify(b, verify.NewPolicy(verify.WithArtifact(bytes.NewReader(message)), verify.WithoutIdentitiesUnsafe()))
	if err != nil {
		return i.refuse(err)
	}
	return nil
}

func (i *Instance) refuse(err error) error {
	return fault.WithHint(fmt.Errorf("own check: the signature that Fulcio at %s and its like made does not verify: %s", show(i.fulcio), clean(err.Error(), "")),
		"the trusted root is too old or of another instance (bale trusted-root fetches that of the public one), or a server does not tell the truth")
}
