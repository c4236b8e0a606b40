package verify

import (
	"fmt"

	"bale/bundle"
)

// Claim is what one signature entry says of itself. Nothing of it is verified:
// it is for showing to people, who may learn from it which key to ask for.
type Claim struct {
	Entry string
	Hint  string // of the key; "" if the entry names none
}

// Claims lists the signatures of a bundle without deciding about them. A
// malformed one is a [fault.ErrDamaged].
func Claims(env *bundle.Envelope) ([]Claim, error) {
	var out []Claim
	for _, sig := range env.Signatures() {
		c := Claim{Entry: sig.Entry}
		if isSigstore(sig.Entry) {
			ev, err := parseEvidence(sig.Data)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", sig.Entry, err)
			}
			c.Hint = ev.hint
		}
		out = append(out, c)
	}
	return out, nil
}
