package sign

import (
	"context"
	"slices"

	"bale/bundle/container"
)

// Form is the form of a signature, which decides where it stands in a bundle.
type Form = container.Form

// The forms of signatures.
const (
	Sigstore = container.Sigstore // a Sigstore bundle in JSON
	OpenPGP  = container.OpenPGP  // armored, detached (RFC 9580, section 10.4)
	SSH      = container.SSH      // armored, as ssh-keygen -Y sign writes it
)

// Signature is a signature that was made.
type Signature struct {
	Form Form
	Data []byte   // the content of its entry
	By   Identity // whose it is
}

// Signer makes signatures. Some ask the network (a KMS, Fulcio, a timestamp
// authority) or a person (for a password or a touch).
type Signer interface {
	// Sign signs message and checks what came out of it. Its errors hold no
	// part of a key, password or token.
	Sign(ctx context.Context, message []byte) (*Signature, error)
}

// All has each signer sign message, and returns the signatures in the order
// that a bundle takes them in.
func All(ctx context.Context, signers []Signer, message []byte) ([]*Signature, error) {
	var list []*Signature
	for _, s := range signers {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		sig, err := s.Sign(ctx, message)
		if err != nil {
			return nil, err
		}
		list = append(list, sig)
	}
	slices.SortStableFunc(list, func(a, b *Signature) int { return int(a.Form) - int(b.Form) })
	return list, nil
}
