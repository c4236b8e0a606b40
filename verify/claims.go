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
	By    string    // whose it says it is, in words; "" if it does not say or cannot be read
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
			c.By = claimedBy(e.Sigstore())
		}
		if e != nil && e.Form != sign.Sigstore {
			// One that is malformed in a form that nobody may look at is no error.
			said, _ := Recognize(sig.Data, env.Sums())
			c.By = said.By
		}
		out = append(out, c)
	}
	return out, nil
}
