package verify

import (
	"errors"
	"time"

	"bale/bundle/fault"
	"bale/sign"
	"bale/sign/ssh"
)

// SSH returns the authority of an SSH key: it accepts what the key signed as
// ssh-keygen -Y sign -n file does. A nil or empty key accepts nothing.
//
// Outside of the times and namespaces that the key's line of allowed_signers
// gives it, at the time of verifying, what it signed is checked and passed over.
func SSH(k *ssh.PublicKey) Authority { return sshAuthority{k} }

type sshAuthority struct{ key *ssh.PublicKey }

func (a sshAuthority) Form() sign.Form { return sign.SSH }

func (a sshAuthority) empty() bool { return a.key == nil || a.key.Fingerprint() == "" }

func (a sshAuthority) String() string {
	if a.empty() {
		return "no key"
	}
	return a.key.String()
}

// Check implements [Authority].
func (a sshAuthority) Check(e *Evidence, message []byte) ([]Signer, error) {
	if a.empty() {
		return nil, fault.Usage("an empty key given to verify with")
	}
	sig, err := ssh.ParseSignature(e.Data)
	if err != nil {
		return nil, err
	}
	if !sig.By(a.key) {
		return nil, Other("by %s", sig.Signer())
	}
	if err := a.key.Verify(message, sig); err != nil {
		if errors.Is(err, fault.ErrUntrusted) {
			err = Altered(err)
		}
		return nil, err
	}
	if err := a.key.Permits(time.Now()); err != nil {
		return nil, Stale(err)
	}
	s := Signer{Identity: a.key.Identity(), IDs: a.key.IDs()}
	if touched := sig.Touched(); touched != "" {
		s.Evidence = append(s.Evidence, touched)
	}
	return []Signer{s}, nil
}
