package openpgp

import (
	"bytes"
	"errors"
	"math/bits"
	"slices"
	"strings"
	"time"

	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"bale/bundle/fault"
)

const (
	// MaxEntry is the greatest size of a signature entry, in bytes.
	MaxEntry = 64 << 10
	// MaxSignatures is how many signatures an entry may hold.
	MaxSignatures = 32
	// MaxSkew is how far the clock of a signer may be ahead.
	MaxSkew = 5 * time.Minute
)

// ErrMismatch marks a signature that is said to be by a key and does not fit
// what it is over.
var ErrMismatch = errors.New("signature does not fit")

// ErrExpired is for a signature that fits, by a key that has expired, or that has
// expired itself.
var ErrExpired = errors.New("has expired")

// OtherError says that an entry has no signature by a key.
type OtherError struct {
	By []string // fingerprints, or key ids, of those who did sign
}

func (e *OtherError) Error() string { return "by OpenPGP key " + strings.Join(e.By, ", ") }

// Verify returns when the signatures by the key in an entry were made, as their
// signer says: at least one. All of them must be good. Errors are
//
//   - an [*OtherError]: there is none
//   - [fault.ErrDamaged]: the entry is malformed
//   - [fault.ErrUntrusted], [fault.ErrUnsupported]: one does not verify, or is
//     of a kind that is not taken; [ErrMismatch] if it is not over message,
//     [ErrExpired] if it is and counts no more
func (k *Key) Verify(message, entry []byte, now time.Time) ([]time.Time, error) {
	list, err := parseEntry(entry)
	if err != nil {
		return nil, err
	}
	var times []time.Time
	other := new(OtherError)
	for _, s := range list {
		if !k.isIssuer(s.head) {
			if !slices.Contains(other.By, s.by()) {
				other.By = append(other.By, s.by())
			}
			continue
		}
		at, err := k.check(s, message, now)
		if err != nil {
			return nil, err
		}
		times = append(times, at)
	}
	if len(times) == 0 {
		return nil, other
	}
	return times, nil
}

// signature is a signature packet.
type signature struct {
	raw
	*head
}

// parseEntry reads the signatures in an entry. Errors are of kind
// [fault.ErrDamaged], or [fault.ErrUnsupported] for what is well-formed and no
// detached signature.
func parseEntry(data []byte) ([]signature, error) {
	if len(data) > MaxEntry {
		return nil, fault.Damaged("has %d bytes, more than the %d of a signature", len(data), MaxEntry)
	}
	blocks, err := dearmor(data, true)
	switch {
	case err != nil:
		return nil, err
	case len(blocks) != 1:
		return nil, fault.WithHint(fault.Damaged("holds %d armor blocks, not one", len(blocks)), "make it with gpg --armor --detach-sign")
	case blocks[0].label == messageType:
		return nil, notDetached()
	case blocks[0].label != signatureType:
		return nil, fault.Damaged("holds %q, not a signature", clean(blocks[0].label))
	}
	packets, err := split(blocks[0].data, MaxSignatures)
	if err != nil {
		return nil, err
	}
	var list []signature
	for _, p := range packets {
		switch p.tag {
		case tagSignature:
		case tagOnePass, tagLiteral, tagCompressed:
			return nil, notDetached()
		default:
			return nil, fault.Damaged("has a packet with tag %d, which is no signature", p.tag)
		}
		h, err := parseHead(p.body)
		if err != nil {
			return nil, err
		}
		list = append(list, signature{p, h})
	}
	return list, nil
}

func notDetached() error {
	return fault.WithHint(fault.Unsupported("is a signed message, not a detached signature"), "make it with gpg --armor --detach-sign")
}

// check verifies a signature that names the key, and returns its time.
func (k *Key) check(s signature, message []byte, now time.Time) (time.Time, error) {
	none := time.Time{}
	if err := s.acceptable(); err != nil {
		return none, err
	}
	sig, err := s.signature()
	if err != nil {
		return none, err
	}
	c, err := k.certificate()
	if err != nil {
		return none, err
	}
	pk, err := c.signerOf(s.head, sig, message)
	if err != nil {
		return none, err
	}
	at := sig.CreationTime
	switch ahead := at.Sub(now); {
	case ahead > MaxSkew:
		return none, fault.WithHint(fault.Untrusted("is a signature of %s, which is yet to come", at.UTC().Format(time.RFC3339)), "check the clock of this machine")
	case ahead > 0:
		now = at
	}
	if sig.SigExpired(now) {
		return none, fault.Untrusted("signature %w", ErrExpired)
	}
	return at, c.maySign(pk, at, now)
}

// signerOf returns the key whose signature over message sig is, which s names.
func (c *certificate) signerOf(h *head, sig *packet.Signature, message []byte) (*packet.PublicKey, error) {
	for _, pk := range c.keys() {
		if h.isBy(pk.Fingerprint, pk.KeyId) && pk.Version == sig.Version && checkedBy(pk, sig, message) == nil {
			return pk, nil
		}
	}
	return nil, fault.Untrusted("%w", ErrMismatch)
}

// acceptable refuses what no key may sign with.
func (h *head) acceptable() error {
	switch {
	case h.version != 4 && h.version != 6:
		return fault.WithHint(fault.Unsupported("is a signature of version %d", h.version), "sign with a newer gpg, or with bale")
	case h.kind == kindText:
		return fault.WithHint(fault.Unsupported("is a signature over text, which leaves line ends open"), "sign without gpg --textmode")
	case h.kind != kindBinary:
		return fault.Unsupported("is a signature of kind %#02x, not over a file", h.kind)
	case !hashes[h.hash]:
		return fault.WithHint(fault.Untrusted("is a signature over the weak digest %s", hashName(h.hash)), "sign with gpg --digest-algo SHA512, or with bale")
	}
	seen := make(map[byte]bool)
	for _, p := range h.signed {
		switch t := p.SubType &^ critical; t {
		case subCreated, subExpires, subIssuer, subFingerprint:
			if seen[t] {
				return fault.Damaged("has two subpackets of type %d", t)
			}
			seen[t] = true
		}
	}
	for _, p := range h.unsigned {
		if t := p.SubType; t != subIssuer && t != subFingerprint {
			return fault.WithHint(fault.Unsupported("has a subpacket of type %d that is not signed", t&^critical), "sign with plain gpg, or with bale")
		}
	}
	return nil
}

// signature has the library parse the packet, and refuses every other spelling
// of the same signature.
func (s signature) signature() (*packet.Signature, error) {
	p, err := s.parse()
	var unsupported pgperrors.UnsupportedError
	switch {
	case errors.As(err, &unsupported):
		return nil, fault.Unsupported("is a signature of a kind that bale does not know: %s", clean(unsupported.Error()))
	case err != nil:
		return nil, fault.Damaged("has a malformed signature packet: %s", clean(err.Error()))
	}
	sig, ok := p.(*packet.Signature)
	if !ok {
		return nil, fault.Damaged("has a malformed signature packet")
	}
	if unknownNotation(sig) {
		return nil, fault.Unsupported("is a signature with a critical notation that bale does not know")
	}
	var again bytes.Buffer
	if err := sig.Serialize(&again); err != nil {
		return nil, fault.Damaged("has a malformed signature packet: %s", clean(err.Error()))
	}
	packets, err := split(again.Bytes(), 1)
	if err != nil || !bytes.Equal(packets[0].body, s.body) || !minimal(sig) {
		return nil, fault.Damaged("has a signature packet in other words than its own")
	}
	return sig, nil
}

// minimal reports whether the numbers of sig say how long they are.
func minimal(sig *packet.Signature) bool {
	type number interface {
		Bytes() []byte
		BitLength() uint16
	}
	fits := func(n number) bool {
		b := n.Bytes()
		return len(b) > 0 && b[0] != 0 && int(n.BitLength()) == 8*(len(b)-1)+bits.Len8(b[0])
	}
	switch sig.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly:
		return fits(sig.RSASignature)
	case packet.PubKeyAlgoECDSA:
		return fits(sig.ECDSASigR) && fits(sig.ECDSASigS)
	case packet.PubKeyAlgoEdDSA:
		return fits(sig.EdDSASigR) && fits(sig.EdDSASigS)
	}
	return true // of a fixed size
}
