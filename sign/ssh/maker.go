package ssh

import (
	"fmt"

	"golang.org/x/crypto/ssh"

	"bale/sign"
)

// made asks for a signature over message, as ssh-keygen -Y sign makes it, and
// checks it: neither a fault in the machine nor an agent's answer to another
// question may leave here as a signature.
func (k *PublicKey) made(message []byte, ask func(data []byte) (*ssh.Signature, error)) (*sign.Signature, error) {
	data, err := toSign(sha512Name, message)
	if err != nil {
		return nil, err
	}
	sig, err := ask(data)
	if err != nil {
		return nil, err
	}
	blob := ssh.Marshal(head{Magic: [len(magic)]byte([]byte(magic)), Version: version, Fields: ssh.Marshal(fields{
		PublicKey: k.blob, Namespace: Namespace, Hash: sha512Name, Signature: ssh.Marshal(sig),
	})})
	out := armor(blob, armorWidth)
	parsed, err := ParseSignature(out)
	if err == nil {
		err = k.Verify(message, parsed)
	}
	if err != nil {
		// Without its kind: this is no fault of a bundle.
		return nil, fmt.Errorf("own check: %v", err)
	}
	return &sign.Signature{Form: sign.SSH, Data: out, By: k.Identity()}, nil
}
