package verify

import (
	"errors"
	"time"

	"bale/bundle/fault"
	"bale/sign"
	"bale/sign/openpgp"
)

// OpenPGP returns the authority of a key of OpenPGP: it accepts what the key or
// a subkey of it signed, as package openpgp lays down. The key must not have
// expired by now. A nil key accepts nothing.
func OpenPGP(k *openpgp.Key) Authority { return openpgpAuthority{k} }

type openpgpAuthority struct{ key *openpgp.Key }

func (a openpgpAuthority) Form() sign.Form { return sign.OpenPGP }

func (a openpgpAuthority) String() string {
	if a.key == nil {
		return "no key"
	}
	return a.key.String()
}

// Check implements [Authority].
func (a openpgpAuthority) Check(e *Evidence, message []byte) ([]Signer, error) {
	if a.key == nil {
		return nil, fault.Usage("an empty key given to verify with")
	}
	made, err := a.key.Verify(message, e.Data, time.Now())
	var other *openpgp.OtherError
	switch {
	case errors.As(err, &other):
		return nil, Other("%s", other.Error())
	case errors.Is(err, openpgp.ErrExpired):
		return nil, Stale(err)
	case errors.Is(err, openpgp.ErrMismatch):
		return nil, Altered(err)
	case err != nil:
		return nil, err
	}
	s := Signer{Identity: a.key.Identity(), IDs: a.key.IDs()}
	for _, at := range made {
		s.Times = append(s.Times, Time{At: at, Source: "the signer"})
	}
	return []Signer{s}, nil
}
