package openpgp

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"bale/bundle/fault"
)

const (
	// MaxKeyring is the largest keyring that is read, in bytes.
	MaxKeyring = 4 << 20
	// MaxKeys is how many keys a keyring may hold.
	MaxKeys = 256
)

// IsKey reports whether data looks like public keys of OpenPGP, armored or not,
// or like a keyring of gpg, which [ParseKeyring] refuses with a hint.
func IsKey(data []byte) bool {
	return hasArmor(data, publicType) || isPacket(data, tagPublicKey) || isKeybox(data)
}

// IsPrivateKey reports whether data looks like a private key of OpenPGP, armored
// or not.
func IsPrivateKey(data []byte) bool {
	return hasArmor(data, privateType) || isPacket(data, tagPrivateKey)
}

// isPacket reports whether data begins with a packet of a key.
func isPacket(data []byte, want byte) bool {
	const oldest, newest = 2, 6 // versions
	tag, version, ok := first(data)
	return ok && tag == want && version >= oldest && version <= newest
}

// isKeybox reports whether data is gpg's pubring.kbx.
func isKeybox(data []byte) bool {
	const magic, at = "KBXf", 8
	return len(data) >= at+len(magic) && string(data[at:at+len(magic)]) == magic
}

// ParseKeyring reads public keys as gpg --export writes them: one or many, armored
// (in one block or several) or not. A revocation may stand behind its key or in a
// block of its own. Private keys are refused: who verifies should not hold them.
func ParseKeyring(data []byte) ([]*Key, error) {
	packets, err := read(data, publicType)
	if err != nil {
		return nil, err
	}
	var groups [][]raw     // one for each key
	var loose []revocation // of whole keys
	for _, p := range packets {
		switch {
		case p.tag == tagPrivateKey || p.tag == tagPrivateSubkey:
			return nil, private()
		case p.tag == tagPublicKey:
			if len(groups) == MaxKeys {
				return nil, fault.Usage("has more than %d keys", MaxKeys)
			}
			groups = append(groups, []raw{p})
		case p.tag == tagSignature:
			h, err := parseHead(p.body)
			if err != nil {
				return nil, malformed()
			}
			if h.kind == kindKeyRevocation {
				loose = append(loose, revocation{p, h, len(groups) - 1})
				break
			}
			fallthrough
		default:
			if len(groups) == 0 {
				return nil, malformed()
			}
			groups[len(groups)-1] = append(groups[len(groups)-1], p)
		}
	}
	if len(groups) == 0 {
		return nil, fault.WithHint(fault.Usage("holds no public key"), "export the key: gpg --export --armor FINGERPRINT")
	}
	if err := attach(groups, loose); err != nil {
		return nil, err
	}
	return keys(groups)
}

// revocation is a packet that revokes a whole key.
type revocation struct {
	raw
	*head
	group int // in which it stands, -1 if before all of them
}

// attach adds each revocation to the key that it stands with, and to the one
// that it says it is by.
func attach(groups [][]raw, loose []revocation) error {
	if len(loose) > maxRevocations {
		return fault.Usage("has more than %d revocations", maxRevocations)
	}
	for _, r := range loose {
		attached := false
		for i, g := range groups {
			primary, err := g[0].parse()
			pk, ok := primary.(*packet.PublicKey)
			if err != nil || !ok {
				return nth(i, len(groups), malformed())
			}
			if i == r.group || r.isBy(pk.Fingerprint, pk.KeyId) {
				groups[i] = append(groups[i], r.raw)
				attached = true
			}
		}
		if !attached {
			return fault.WithHint(fault.Usage("holds a revocation of a key that is not in it: %s", r.by()), "put the key before it")
		}
	}
	return nil
}

// keys reads certificates.
func keys(groups [][]raw) ([]*Key, error) {
	var list []*Key
	for i, g := range groups {
		k, err := newKey(g)
		if err != nil {
			return nil, nth(i, len(groups), err)
		}
		if slices.ContainsFunc(list, func(o *Key) bool { return o.Fingerprint() == k.Fingerprint() }) {
			return nil, fault.WithHint(fault.Usage("holds the OpenPGP key %s twice", k.Fingerprint()), "keep the newer one")
		}
		list = append(list, k)
	}
	return list, nil
}

// nth says which key of several is meant.
func nth(i, of int, err error) error {
	if of == 1 {
		return err
	}
	return fmt.Errorf("its key %d of %d %w", i+1, of, err)
}

func private() error {
	return fault.WithHint(fault.Usage("is a private key of OpenPGP, and verifying takes a public one"),
		"export the public half: gpg --export --armor FINGERPRINT")
}

// read returns the packets in data, which is armored or not.
func read(data []byte, want string) ([]raw, error) {
	switch {
	case len(data) > MaxKeyring:
		return nil, fault.WithHint(fault.Usage("has more than %d bytes, too many for keys", MaxKeyring),
			"export only the keys you need: gpg --export --export-options export-minimal FINGERPRINT")
	case isKeybox(data):
		return nil, fault.WithHint(fault.Usage("is a keyring in gpg's own form"),
			"export the keys from it: gpg --no-default-keyring --keyring FILE --export --armor FINGERPRINT")
	case !bytes.Contains(data, []byte(armorBegin)):
		list, err := split(data, maxPackets)
		if err != nil {
			return nil, malformed()
		}
		return list, nil
	}
	blocks, err := dearmor(data, false)
	if err != nil {
		return nil, fault.WithHint(fault.Usage("cannot be read as an OpenPGP key: it %v", err), "export it anew: gpg --export --armor FINGERPRINT")
	}
	var list []raw
	for _, b := range blocks {
		switch {
		case b.label == want:
		case b.label == privateType:
			return nil, private()
		case b.label == publicType:
			return nil, public()
		default:
			return nil, fault.Usage("holds %q, which is no key", clean(b.label))
		}
		part, err := split(b.data, maxPackets-len(list))
		if err != nil {
			return nil, malformed()
		}
		list = append(list, part...)
	}
	return list, nil
}

func public() error {
	return fault.WithHint(fault.Usage("is a public key of OpenPGP, and signing takes a private one"),
		"export the private half (gpg --export-secret-subkeys), or let gpg sign: --key gpg:FINGERPRINT")
}
