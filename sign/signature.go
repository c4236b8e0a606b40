package sign

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
)

// MediaType is what a signature made by [PrivateKey.Sign] says it is: a
// Sigstore bundle of version 0.3.
const MediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// Sign implements [Signer]: it makes a Sigstore bundle, see [Wrap]. Only ECDSA
// signatures differ from one call to the next.
func (k *PrivateKey) Sign(_ context.Context, message []byte) (*Signature, error) {
	if k.signer == nil {
		return nil, errors.New("sign: no private key")
	}
	sig, err := k.signer.SignMessage(bytes.NewReader(message))
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", k.public, err)
	}
	s, err := Wrap(k.public, message, sig)
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", k.public, err)
	}
	return s, nil
}

// Wrap puts the bare signature of pub over message in a Sigstore bundle, as
// [Encode] writes it. It verifies it first: a fault in the machine, or in a KMS,
// must not leave here as a signature.
func Wrap(pub *PublicKey, message, sig []byte) (*Signature, error) {
	hash, err := pub.hashUnder(message, sig)
	if err != nil {
		return nil, fmt.Errorf("own check: %w", err)
	}
	data, err := Encode(&bundlepb.Bundle{
		MediaType: MediaType,
		VerificationMaterial: &bundlepb.VerificationMaterial{
			Content: &bundlepb.VerificationMaterial_PublicKey{
				PublicKey: &commonpb.PublicKeyIdentifier{Hint: pub.Hint()},
			},
		},
		Content: &bundlepb.Bundle_MessageSignature{
			MessageSignature: &commonpb.MessageSignature{
				MessageDigest: messageDigest(hash, message),
				Signature:     sig,
			},
		},
	})
	if err != nil {
		return nil, err
	}
	return &Signature{Form: Sigstore, Data: data, By: pub.Identity()}, nil
}
