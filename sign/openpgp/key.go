package openpgp

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"

	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"bale/bundle/fault"
	"bale/sign"
)

// Key is a certificate of OpenPGP: a primary key, its subkeys, and what it says
// of itself. It can be used by several goroutines; [ParseKeyring] makes it.
type Key struct {
	// packets is the certificate. It is parsed anew for each decision: the
	// library notes its findings in what it parsed, and they depend on the time.
	packets   []byte
	identity  sign.Identity
	ids       []string
	issuers   []issuer
	appointed bool // somebody whom the key appointed for it has revoked it
}

// issuer is how signatures name a key.
type issuer struct {
	fingerprint []byte
	id          uint64
}

// Identity returns the key as a signer: the fingerprint of the primary key as
// gpg prints it, and its primary user id.
func (k *Key) Identity() sign.Identity { return k.identity }

// Fingerprint returns the fingerprint of the primary key: 40 hexadecimal
// digits, or 64 for a key of version 6.
func (k *Key) Fingerprint() string { return k.identity.Fingerprint }

// IDs tell whether two signers have a key in common, in whichever form it is
// kept: see [sign.PublicKey.ID]. All keys of the certificate that can sign count,
// those for logging in too, which may be an SSH key elsewhere.
func (k *Key) IDs() []string { return slices.Clone(k.ids) }

// String names the key for a message.
func (k *Key) String() string { return k.identity.String() }

// Armored returns the public key as gpg --export --armor does.
func (k *Key) Armored() ([]byte, error) {
	return enarmor(block{publicType, k.packets}, len(k.Fingerprint()) == 2*versionFour)
}

// newKey reads one certificate.
func newKey(packets []raw) (*Key, error) {
	packets, appointed, err := arrange(packets)
	if err != nil {
		return nil, err
	}
	k := &Key{appointed: appointed}
	for _, p := range packets {
		k.packets = append(k.packets, p.whole...)
	}
	c, err := k.certificate()
	if err != nil {
		return nil, err
	}
	k.identity = sign.Identity{Kind: sign.KindOpenPGP, Fingerprint: fmt.Sprintf("%X", c.PrimaryKey.Fingerprint)}
	if _, uid := c.self(forever); uid != nil {
		k.identity.Subject = clean(uid.Name)
	}
	if k.identity.Algorithm, err = algorithmOf(c.PrimaryKey); err != nil {
		return nil, err
	}
	k.ids = []string{"openpgp:" + k.identity.Fingerprint}
	signs := 0
	for _, pk := range c.keys() {
		// Not each of them may sign, but the key claims all of them.
		k.issuers = append(k.issuers, issuer{pk.Fingerprint, pk.KeyId})
		binding := c.binding(pk, forever)
		if binding == nil {
			continue
		}
		if _, err := algorithmOf(pk); err != nil {
			continue
		}
		if id := keyID(pk); id != "" {
			k.ids = append(k.ids, id)
		}
		if binding.FlagsValid && binding.FlagSign {
			signs++
		}
	}
	if signs == 0 {
		return nil, c.signless()
	}
	return k, nil
}

// certificate parses the key.
func (k *Key) certificate() (c *certificate, err error) {
	defer func() {
		if recover() != nil {
			c, err = nil, malformed()
		}
	}()
	e, err := pgp.ReadEntity(packet.NewReader(bytes.NewReader(k.packets)))
	if err != nil {
		return nil, malformed()
	}
	return &certificate{e, k.appointed}, nil
}

func malformed() error {
	return fault.WithHint(fault.Usage("cannot be read: the OpenPGP key is damaged, too old or too new"),
		"export it anew: gpg --export --armor --export-options export-minimal FINGERPRINT")
}

// isIssuer reports whether a signature names the key or one of its subkeys.
func (k *Key) isIssuer(h *head) bool {
	return slices.ContainsFunc(k.issuers, func(i issuer) bool { return h.isBy(i.fingerprint, i.id) })
}

// maxSubject is how much of a user id is shown, in runes.
const maxSubject = 120

// clean makes a user id fit to be shown: short, and nothing in it that a
// terminal acts on.
func clean(s string) string {
	r := []rune(strings.ToValidUTF8(s, "?"))
	if len(r) > maxSubject {
		r = append(r[:maxSubject:maxSubject], []rune("...")...)
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, string(r))
}
