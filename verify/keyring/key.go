package keyring

import (
	"bytes"

	"bale/bundle/fault"
	"bale/sign"
	"bale/sign/openpgp"
	"bale/sign/ssh"
	"bale/verify"
)

// Key is one public key of a file, in whichever form it is kept.
type Key struct {
	verify.Authority
	Identity sign.Identity
	IDs      []string // see [verify.Signer]
}

// Keys reads the content of a file with public keys, of which there is at least
// one.
func Keys(data []byte) ([]Key, error) {
	if ssh.IsPublicKey(data) {
		list, err := ssh.ParsePublicKeys(data)
		if err != nil {
			return nil, err
		}
		var out []Key
		for _, k := range list {
			out = append(out, Key{verify.SSH(k), k.Identity(), k.IDs()})
		}
		return out, nil
	}
	if openpgp.IsKey(data) || openpgp.IsPrivateKey(data) { // which is refused with words
		list, err := openpgp.ParseKeyring(data)
		if err != nil {
			return nil, err
		}
		var out []Key
		for _, k := range list {
			out = append(out, Key{verify.OpenPGP(k), k.Identity(), k.IDs()})
		}
		return out, nil
	}
	k, err := sign.ParsePublicKey(data)
	if err != nil {
		return nil, err
	}
	// What stands around a PEM block is passed over, and a key must not be.
	for line := range bytes.Lines(data) {
		if ssh.IsPublicKey(line) {
			return nil, fault.WithHint(fault.Usage("holds a key in PEM form and an SSH key"), "keep one form of key in a file")
		}
	}
	return []Key{{verify.Key(k), k.Identity(), []string{k.ID()}}}, nil
}
