package verify

import (
	"bale/bundle/fault"
	"bale/sign"
)

// Trust says whose signature counts. The zero value trusts nobody, and
// [Verify] refuses it.
type Trust struct {
	// Keys are the public keys of which at least one must have signed.
	Keys []*sign.PublicKey
}

// byHint returns the keys by [sign.PublicKey.Hint].
func (t Trust) byHint() (map[string]*sign.PublicKey, error) {
	if len(t.Keys) == 0 {
		return nil, fault.WithHint(fault.Usage("no key given to verify with"), "give the sender's public key with --key")
	}
	keys := make(map[string]*sign.PublicKey, len(t.Keys))
	for _, k := range t.Keys {
		if k == nil || k.Hint() == "" {
			return nil, fault.Usage("an empty key given to verify with")
		}
		keys[k.Hint()] = k
	}
	return keys, nil
}
