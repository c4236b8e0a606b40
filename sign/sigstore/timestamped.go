package sigstore

import (
	"context"

	"bale/bundle/fault"
	"bale/sign"
)

type timestamped struct {
	sign.Signer
	stamps []string
}

// Timestamped returns a signer that adds to another one's signatures, which must
// be in Sigstore's form, the timestamps of some authorities, by their addresses.
func Timestamped(s sign.Signer, timestampServers ...string) (sign.Signer, error) {
	if err := checkServers(timestampServers); err != nil {
		return nil, err
	}
	return &timestamped{s, timestampServers}, nil
}

// checkServers refuses what is no address of a timestamp authority.
func checkServers(list []string) error {
	if len(list) > maxServices {
		return fault.Usage("%d timestamp servers are more than %d", len(list), maxServices)
	}
	for _, a := range list {
		if err := checkURL("timestamp server", a, false); err != nil {
			return err
		}
	}
	return nil
}

// Sign implements [sign.Signer].
func (t *timestamped) Sign(ctx context.Context, message []byte) (*sign.Signature, error) {
	s, err := t.Signer.Sign(ctx, message)
	if err != nil {
		return nil, err
	}
	pb, err := parse(s)
	if err != nil {
		return nil, err
	}
	if err := addTimestamps(ctx, pb, t.stamps); err != nil {
		return nil, err
	}
	return finish(pb, s.By)
}
