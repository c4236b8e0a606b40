package verify

import (
	"fmt"

	"bale/bundle"
	"bale/sign"
)

// Claim is what one signature entry says of itself. Nothing of it is verified:
// it is for showing to people, who may learn from it which key to ask for.
type Claim struct {
	Entry string
	Form  sign.Form // container.NoForm if it is not known
	Hint  string    // of the key; "" if the entry names none
}

// Claims lists the signatures of a bundle without deciding about them. A
// malformed one is a [fault.ErrDamaged].
func Claims(env *bundle.Envelope) ([]Claim, error) {
	var out []Claim
	for _, sig := range env.Signatures() {
		c := Claim{Entry: sig.Entry}
		e, err := newEvidence(sig.Entry, sig.Data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", sig.Entry, err)
		}
		if e != nil {
			c.Form = e.Form
			c.Hint = e.Sigstore().GetVerificationMaterial().GetPublicKey().GetHint()
		}
		out = append(out, c)
	}
	return out, nil
}
