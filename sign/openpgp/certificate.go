package openpgp

import (
	"errors"
	"slices"
	"strings"
	"time"

	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"bale/bundle/fault"
)

// forever stands for no particular time: nothing has expired then.
var forever time.Time

// certificate is a [Key] that is parsed, for one decision.
type certificate struct {
	*pgp.Entity
	appointed bool // as in [Key]
}

// keys returns the primary key and the subkeys.
func (c *certificate) keys() []*packet.PublicKey {
	list := []*packet.PublicKey{c.PrimaryKey}
	for _, s := range c.Subkeys {
		list = append(list, s.PublicKey)
	}
	return list
}

// self returns the self-signature that says what the primary key is for: the
// newest one of the primary user id, or, for version 6, of the key itself. It is
// nil if there is none at the time.
//
// The library goes through the user ids at random where two are equally good.
func (c *certificate) self(at time.Time) (best *packet.Signature, uid *pgp.Identity) {
	var ids []*pgp.Identity
	for _, id := range c.Identities {
		// What is revoked with a weak digest is revoked; this is kept.
		id.Revoked(nil, at, lenient)
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b *pgp.Identity) int { return strings.Compare(a.Name, b.Name) })
	for _, id := range ids {
		sig, err := id.Verify(at, strict)
		if err == nil && (best == nil || better(sig, best)) {
			best, uid = sig, id
		}
	}
	if c.PrimaryKey.Version == 6 {
		best, _ = c.LatestValidDirectSignature(at, strict)
	}
	return best, uid
}

func better(a, b *packet.Signature) bool {
	pa, pb := a.IsPrimaryId != nil && *a.IsPrimaryId, b.IsPrimaryId != nil && *b.IsPrimaryId
	if pa != pb {
		return pa
	}
	return a.CreationTime.After(b.CreationTime)
}

// binding returns the self-signature that says what pk is for: that of the
// primary key, or the one that binds a subkey and holds its signature back. It
// is nil if there is none at the time.
func (c *certificate) binding(pk *packet.PublicKey, at time.Time) *packet.Signature {
	s := c.subkey(pk)
	if s == nil {
		self, _ := c.self(at)
		return self
	}
	sig, err := s.LatestValidBindingSignature(at, strict)
	if err != nil {
		return nil
	}
	if back := sig.EmbeddedSignature; sig.FlagSign && (back == nil || strict.RejectHashAlgorithm(back.Hash) || unknownNotation(back)) {
		return nil
	}
	return sig
}

// subkey returns the subkey with pk, or nil if it is the primary key.
func (c *certificate) subkey(pk *packet.PublicKey) *pgp.Subkey {
	for i := range c.Subkeys {
		if c.Subkeys[i].PublicKey == pk {
			return &c.Subkeys[i]
		}
	}
	return nil
}

// maySign fails unless pk may sign at a time and is still good now.
func (c *certificate) maySign(pk *packet.PublicKey, at, now time.Time) error {
	self, _ := c.self(now)
	if self == nil {
		return untrustedKey(hintRenew, "has no valid self-signature")
	}
	if c.appointed || c.Revoked(at) {
		return untrustedKey(hintOther, "is revoked")
	}
	if _, err := algorithmOf(c.PrimaryKey); err != nil {
		return err
	}
	if err := lives(c.PrimaryKey, self, at, now); err != nil {
		return err
	}
	if direct, err := c.LatestValidDirectSignature(now, strict); err == nil {
		if err := lives(c.PrimaryKey, direct, at, now); err != nil {
			return err
		}
	}
	binding := self
	if s := c.subkey(pk); s != nil {
		if binding = c.binding(pk, now); binding == nil {
			return untrustedKey(hintBack, "has no valid binding of the subkey %X, with a signature back", pk.Fingerprint)
		}
		if s.Revoked(binding, at) {
			return untrustedKey(hintOther, "has revoked the subkey %X", pk.Fingerprint)
		}
		if _, err := algorithmOf(pk); err != nil {
			return err
		}
		if err := lives(pk, binding, at, now); err != nil {
			return err
		}
	}
	if !binding.FlagsValid || !binding.FlagSign {
		return untrustedKey(hintRenew, "may not sign with %X", pk.Fingerprint)
	}
	return nil
}

// lives fails if pk was not there yet at a time, or has expired now.
func lives(pk *packet.PublicKey, self *packet.Signature, at, now time.Time) error {
	if at.Before(pk.CreationTime) {
		return untrustedKey(hintAgain, "is younger than its signature")
	}
	if pk.KeyExpired(self, now) {
		return untrustedKey(hintExtend, "%w", ErrExpired)
	}
	return nil
}

func untrustedKey(hint, format string, args ...any) error {
	return fault.WithHint(fault.Untrusted("the key "+format, args...), "%s", hint)
}

// What to do about a key that does not count.
const (
	hintRenew  = "have its owner look after it (gpg --edit-key) and send the public key again"
	hintOther  = "have it signed with a key that is not revoked, and give that one's public key"
	hintAgain  = "one of the signer's clocks was wrong: have it signed again"
	hintExtend = "have its owner extend it (gpg --quick-set-expire) and send the public key again"
	hintBack   = "have its owner make the missing signature (gpg --edit-key, cross-certify) and send the public key again"
)

// signless says why no key of the certificate can sign.
func (c *certificate) signless() error {
	if self, _ := c.self(forever); self == nil {
		return fault.WithHint(fault.Unsupported("has no valid self-signature over SHA-256 or better"),
			"have its owner renew it: gpg --cert-digest-algo SHA512 --quick-set-expire FINGERPRINT")
	}
	return fault.WithHint(fault.Unsupported("has no key that may sign"),
		"add a subkey for signing: gpg --quick-add-key FINGERPRINT ed25519 sign")
}

// unknownNotation reports whether sig says something critical that nobody here
// knows.
func unknownNotation(sig *packet.Signature) bool {
	return slices.ContainsFunc(sig.Notations, func(n *packet.Notation) bool { return n.IsCritical })
}

// checkedBy verifies sig over a message with pk.
func checkedBy(pk *packet.PublicKey, sig *packet.Signature, message []byte) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("malformed numbers")
		}
	}()
	h, err := sig.PrepareVerify()
	if err != nil {
		return err
	}
	h.Write(message) // a hash never fails
	// What the library leaves out for version 4.
	if err := packet.VerifyHashTag(h, sig); err != nil {
		return err
	}
	if h, err = sig.PrepareVerify(); err != nil {
		return err
	}
	h.Write(message)
	return pk.VerifySignature(h, sig)
}
