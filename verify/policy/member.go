package policy

import (
	"bale/verify"
)

// member is one key or certificate of a signer, as an authority that knows the
// signer's name. All members of a signer count as one.
type member struct {
	verify.Authority
	signer string
	one    bool // of several
}

// attesting is a member that also checks what is attached to images.
type attesting struct {
	member
	attests verify.Attesting
}

var (
	_ verify.Authority = (*member)(nil)
	_ verify.Attesting = (*attesting)(nil)
)

func newMember(signer string, a verify.Authority, one bool) verify.Authority {
	m := member{a, signer, one}
	if at, ok := a.(verify.Attesting); ok {
		return &attesting{m, at}
	}
	return &m
}

// String names the signer for people.
func (m *member) String() string {
	if m.one {
		return m.signer + " (" + m.Authority.String() + ")"
	}
	return m.signer
}

// Check implements [verify.Authority].
func (m *member) Check(e *verify.Evidence, message []byte) ([]verify.Signer, error) {
	list, err := m.Authority.Check(e, message)
	return m.own(list), err
}

// CheckEnvelope implements [verify.Attesting].
func (a *attesting) CheckEnvelope(e *verify.Evidence) ([]verify.Signer, error) {
	list, err := a.attests.CheckEnvelope(e)
	return a.own(list), err
}

// own makes one of all that a signer signs with.
func (m *member) own(list []verify.Signer) []verify.Signer {
	out := make([]verify.Signer, 0, len(list))
	for _, s := range list {
		s.Name = m.signer
		s.IDs = append([]string{"signer:" + m.signer}, s.IDs...)
		out = append(out, s)
	}
	return out
}
