package verify

import "bale/bundle"

// SignersOf returns who of some authorities signed a bundle, in the order of
// the entries and each once, whether or not that is enough for anything. Like
// [Verify] it refuses a malformed signature, and one that claims to be by one of
// them and does not verify.
func SignersOf(env *bundle.Envelope, list ...Authority) ([]Signer, error) {
	x, err := TrustAny(list...).examine(env)
	if err != nil {
		return nil, err
	}
	all := &Result{}
	all.add(Alternative{Rules: []Rule{{Of: list}}}, x)
	return all.signers, nil
}
