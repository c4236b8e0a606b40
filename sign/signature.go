package sign

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// MediaType is what a signature made by [PrivateKey.Sign] says it is: a
// Sigstore bundle of version 0.3.
const MediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// Sign implements [Signer]: it makes a Sigstore bundle as compact JSON without a
// trailing newline, as cosign writes it. The same signature always gives the
// same bytes; only ECDSA signatures differ from one call to the next.
//
// The digest is there for ED25519 too, where cosign leaves it out when it
// signs without a log but asks for it when it verifies.
func (k *PrivateKey) Sign(_ context.Context, message []byte) (*Signature, error) {
	if k.signer == nil {
		return nil, errors.New("sign: no private key")
	}
	sig, err := k.signer.SignMessage(bytes.NewReader(message))
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", k.public, err)
	}
	// A fault in the machine must not leave here as a signature.
	if err := k.public.Verify(message, sig); err != nil {
		return nil, fmt.Errorf("sign with %s: own check: %w", k.public, err)
	}
	sum := sha256.Sum256(message)
	data, err := protojson.Marshal(&bundlepb.Bundle{
		MediaType: MediaType,
		VerificationMaterial: &bundlepb.VerificationMaterial{
			Content: &bundlepb.VerificationMaterial_PublicKey{
				PublicKey: &commonpb.PublicKeyIdentifier{Hint: k.public.Hint()},
			},
		},
		Content: &bundlepb.Bundle_MessageSignature{
			MessageSignature: &commonpb.MessageSignature{
				MessageDigest: &commonpb.HashOutput{Algorithm: commonpb.HashAlgorithm_SHA2_256, Digest: sum[:]},
				Signature:     sig,
			},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("encode signature: %w", err)
	}
	var out bytes.Buffer // protojson puts spaces in at random
	if err := json.Compact(&out, data); err != nil {
		return nil, fmt.Errorf("encode signature: %w", err)
	}
	return &Signature{Form: Sigstore, Data: out.Bytes(), By: k.public.Identity()}, nil
}
