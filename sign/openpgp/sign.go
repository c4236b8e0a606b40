package openpgp

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"bale/sign"
)

// making is how signatures are made. The random notation that the library would
// add guards against faults of the machine; here the signature is checked instead.
var making = &packet.Config{NonDeterministicSignaturesViaNotation: packet.BoolPointer(false)}

// Sign implements [sign.Signer]: it makes an armored detached signature over the
// bytes of message and SHA-512, dated now.
func (k *PrivateKey) Sign(_ context.Context, message []byte) (*sign.Signature, error) {
	if k.signer == nil {
		return nil, errors.New("sign: no private key")
	}
	pk := &k.signer.PublicKey
	sig := &packet.Signature{
		Version:      pk.Version,
		SigType:      packet.SigTypeBinary,
		PubKeyAlgo:   pk.PubKeyAlgo,
		Hash:         crypto.SHA512,
		CreationTime: time.Now(),
		IssuerKeyId:  &pk.KeyId, // Sign adds the fingerprint
	}
	h, err := sig.PrepareSign(making)
	if err != nil {
		return nil, k.failed(err)
	}
	h.Write(message) // a hash never fails
	if err := sig.Sign(h, k.signer, making); err != nil {
		return nil, k.failed(err)
	}
	var buf bytes.Buffer
	if err := sig.Serialize(&buf); err != nil {
		return nil, k.failed(err)
	}
	return k.key.Seal(message, buf.Bytes())
}

func (k *PrivateKey) failed(err error) error { return fmt.Errorf("sign with %s: %w", k.key, err) }

// Seal returns the signature of the key over message that is in a signature
// packet, after a check: a fault in the machine, or in gpg, must not leave here as
// a signature.
func (k *Key) Seal(message, packet []byte) (*sign.Signature, error) {
	data, err := enarmor(block{signatureType, packet}, len(k.Fingerprint()) == 2*versionFour)
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", k, err)
	}
	if _, err := k.Verify(message, data, time.Now()); err != nil {
		// Without its kind, which would speak of a bundle.
		return nil, fmt.Errorf("sign with %s: own check: %v", k, err)
	}
	return &sign.Signature{Form: sign.OpenPGP, Data: data, By: k.identity}, nil
}

// versionFour is the length of a fingerprint of version 4, in bytes.
const versionFour = 20
