package openpgp

import (
	"bytes"
	"cmp"
	"fmt"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"bale/bundle/fault"
)

// PrivateKey is a key to sign with. The zero value signs nothing; call
// [ParsePrivateKey].
type PrivateKey struct {
	key    *Key
	signer *packet.PrivateKey
}

// ParsePrivateKey reads a private key as gpg --export-secret-keys or
// --export-secret-subkeys writes it, armored or not: one certificate, with or
// without the secret of its primary key. The newest subkey that may sign now is
// used, or else the primary key. The password function is asked once, and only
// if the key is encrypted; nil means that there is none to ask.
//
// No error holds any part of key or password.
func ParsePrivateKey(data []byte, password func() ([]byte, error)) (*PrivateKey, error) {
	packets, err := read(data, privateType)
	if err != nil {
		return nil, err
	}
	own, err := readPrivate(packets)
	if err != nil {
		return nil, err
	}
	key, signer, err := own.choose(time.Now())
	if err != nil {
		return nil, err
	}
	if signer.Encrypted {
		if err := decrypt(signer, password); err != nil {
			return nil, err
		}
	}
	return &PrivateKey{key, signer}, nil
}

// Public returns the public half.
func (k *PrivateKey) Public() *Key { return k.key }

// String names the key by its public half.
func (k *PrivateKey) String() string {
	if k.key == nil {
		return "no private key"
	}
	return "private key of " + k.key.String()
}

// pair is both halves of a certificate.
type pair struct {
	public  *Key
	private map[string]*packet.PrivateKey // by fingerprint; only those whose secret is there
}

// readPrivate reads one certificate with secrets.
func readPrivate(packets []raw) (_ *pair, err error) {
	defer func() {
		if recover() != nil {
			err = damagedKey()
		}
	}()
	own := &pair{private: make(map[string]*packet.PrivateKey)}
	var halves []raw
	for i, p := range packets {
		switch p.tag {
		case tagPublicKey:
			return nil, public()
		case tagPrivateKey, tagPrivateSubkey:
			if p.tag == tagPrivateKey && i > 0 {
				return nil, fault.WithHint(fault.Usage("holds more than one private key"), "keep one key in a file")
			}
			half, priv, err := p.publicHalf()
			if err != nil {
				return nil, err
			}
			halves = append(halves, half)
			if priv != nil {
				own.private[string(priv.Fingerprint)] = priv
			}
		default:
			halves = append(halves, p)
		}
	}
	if len(halves) == 0 || halves[0].tag != tagPublicKey {
		return nil, damagedKey()
	}
	own.public, err = newKey(halves)
	return own, err
}

// publicHalf turns the packet of a private key into that of its public key, and
// returns its secret too if it is there. Where the library cannot read a secret,
// as that of a key on a card, it has the public half all the same.
func (p raw) publicHalf() (raw, *packet.PrivateKey, error) {
	parsed, err := p.parse()
	priv, ok := parsed.(*packet.PrivateKey)
	if !ok || priv.PublicKey.PublicKey == nil {
		return raw{}, nil, damagedKey()
	}
	missing := err != nil || priv.Dummy()
	var buf bytes.Buffer
	if err := priv.PublicKey.Serialize(&buf); err != nil {
		return raw{}, nil, damagedKey()
	}
	half, err := split(buf.Bytes(), 1)
	if err != nil {
		return raw{}, nil, damagedKey()
	}
	if missing {
		priv = nil
	} else if err := p.checkCost(len(half[0].body)); err != nil {
		return raw{}, nil, err
	}
	return half[0], priv, nil
}

// The most that turning a password into a key may cost. RFC 9106 recommends 2
// GiB and one pass at most.
const (
	maxArgon2Memory = 21 // as a power of 2, in KiB
	maxArgon2Passes = 16
)

// checkCost bounds Argon2, which can be told to take terabytes. The private
// part begins behind public bytes (RFC 9580, section 5.5.3).
func (p raw) checkCost(public int) error {
	const aead, argon2, salt = 253, 4, 16
	rest := p.body[min(public, len(p.body)):]
	if len(rest) == 0 || rest[0] != aead {
		return nil
	}
	rest = rest[1:]
	cipherAndMode := 2
	if p.body[0] == 6 {
		cipherAndMode += 2 // and two counts
	}
	if len(rest) < cipherAndMode+1+salt+3 || rest[cipherAndMode] != argon2 {
		return nil
	}
	parameters := rest[cipherAndMode+1+salt:] // passes, parallelism, memory
	if parameters[0] > maxArgon2Passes || parameters[2] > maxArgon2Memory {
		return fault.Unsupported("has a password that takes more than 2 GiB, or too long, to be tried")
	}
	return nil
}

// choose returns the private key to sign with.
func (p *pair) choose(now time.Time) (*Key, *packet.PrivateKey, error) {
	c, err := p.public.certificate()
	if err != nil {
		return nil, nil, err
	}
	var best *packet.PrivateKey
	var reason error
	for _, pk := range c.keys() {
		priv := p.private[string(pk.Fingerprint)]
		if priv == nil || !pk.CanSign() {
			continue
		}
		if err := c.maySign(pk, now, now); err != nil {
			reason = cmp.Or(reason, err)
			continue
		}
		// Any subkey comes before the primary key, which is the first.
		if best == nil || !best.IsSubkey || !pk.CreationTime.Before(best.CreationTime) {
			best = priv
		}
	}
	switch {
	case best != nil:
		return p.public, best, nil
	case len(p.private) == 0:
		return nil, nil, fault.WithHint(fault.Usage("holds no secret: it is on a card, or elsewhere"), "let gpg sign: --key gpg:%s", p.public.Fingerprint())
	case reason != nil:
		return nil, nil, fault.WithHint(fault.Usage("holds no secret that may sign: %v", reason), "extend the key, or add a subkey for signing: gpg --quick-add-key")
	}
	return nil, nil, fault.WithHint(fault.Usage("holds no secret that can sign"),
		"export the subkey that signs (gpg --export-secret-subkeys), or let gpg sign: --key gpg:%s", p.public.Fingerprint())
}

// decrypt opens a private key. It does not pass on the errors of parsers: they
// may quote what they stumbled over.
func decrypt(k *packet.PrivateKey, password func() ([]byte, error)) (err error) {
	if password == nil {
		return fault.WithHint(fault.Usage("is encrypted, and there is no password"), "set COSIGN_PASSWORD")
	}
	pw, err := password()
	if err != nil {
		return fmt.Errorf("ask for its password: %w", err)
	}
	wrong := fault.WithHint(fault.Usage("cannot be decrypted: wrong password, or the file is damaged"),
		"check COSIGN_PASSWORD, or what you typed")
	defer func() {
		if recover() != nil {
			err = wrong
		}
	}()
	if k.Decrypt(pw) != nil {
		return wrong
	}
	return nil
}

func damagedKey() error {
	return fault.WithHint(fault.Usage("cannot be read: the private key of OpenPGP is damaged, too old or too new"),
		"export it anew: gpg --export-secret-subkeys --armor FINGERPRINT")
}
