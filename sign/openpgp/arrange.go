package openpgp

import (
	"encoding/binary"
	"slices"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"bale/bundle/fault"
)

// The kinds of signatures that are looked at here, RFC 9580 section 5.2.1.
const (
	kindBinary           = 0x00
	kindText             = 0x01
	firstCertification   = 0x10
	lastCertification    = 0x13
	kindDirect           = 0x1f
	kindKeyRevocation    = 0x20
	kindSubkeyRevocation = 0x28
	kindUserIDRevocation = 0x30
)

const (
	maxSubkeys     = 128
	maxRevocations = 64
)

// arrange puts the packets of a certificate in an order in which the library
// finds every revocation, and tells whether somebody appointed revoked the key.
//
// The library passes over revocations that stand elsewhere than gpg puts them
// (as when a revocation is appended to a file) and those it cannot read. That
// must not make a revoked key good.
func arrange(packets []raw) (list []raw, appointed bool, err error) {
	primary, err := packets[0].parse()
	pk, ok := primary.(*packet.PublicKey)
	if err != nil || !ok {
		return nil, false, malformed()
	}
	a := &arrangement{primary: pk}
	for _, p := range packets[1:] {
		if err := a.add(p); err != nil {
			return nil, false, err
		}
	}
	switch {
	case a.subkeys > maxSubkeys:
		return nil, false, fault.Usage("has more than %d subkeys", maxSubkeys)
	case len(a.revocations)+len(a.subkeyRevocations) > maxRevocations:
		return nil, false, fault.Usage("has more than %d revocations", maxRevocations)
	}
	list = append([]raw{packets[0]}, a.revocations...)
	for _, p := range a.rest {
		list = append(list, p)
		if p.tag == tagPublicSubkey {
			// Which subkey each one is for is what its signature says.
			list = append(list, a.subkeyRevocations...)
		}
	}
	return list, slices.ContainsFunc(a.foreign, func(h *head) bool { return h.isByAny(a.revokers) }), nil
}

// arrangement is a certificate in parts.
type arrangement struct {
	primary                              *packet.PublicKey
	revocations, subkeyRevocations, rest []raw
	subkeys                              int
	revokers                             [][]byte // fingerprints of those appointed
	foreign                              []*head  // revocations by others
}

func (a *arrangement) add(p raw) error {
	switch p.tag {
	case tagSignature:
		return a.addSignature(p)
	case tagPublicSubkey:
		a.subkeys++
		a.rest = append(a.rest, p)
	case tagUserID, tagUserAttribute:
		a.rest = append(a.rest, p)
	case tagTrust, tagMarker, tagPadding: // mean nothing here
	default:
		if p.tag < firstUncritical {
			return malformed()
		}
	}
	return nil
}

func (a *arrangement) addSignature(p raw) error {
	h, err := parseHead(p.body)
	if err != nil {
		return malformed()
	}
	own := h.isBy(a.primary.Fingerprint, a.primary.KeyId)
	others := !own && (h.fingerprint != nil || h.keyID != 0)
	switch {
	case h.kind == kindDirect || h.kind >= firstCertification && h.kind <= lastCertification:
		if others {
			return nil // what others say of it
		}
		if own {
			a.revokers = append(a.revokers, h.revokers()...)
		}
	case h.kind == kindKeyRevocation || h.kind == kindSubkeyRevocation || h.kind == kindUserIDRevocation:
		if others {
			a.foreign = append(a.foreign, h)
		} else if _, err := p.parse(); err != nil {
			return fault.WithHint(fault.Unsupported("has a revocation that bale cannot read"),
				"take it for revoked, or have its owner export it anew")
		}
	}
	switch h.kind {
	case kindKeyRevocation:
		a.revocations = append(a.revocations, p)
	case kindSubkeyRevocation:
		a.subkeyRevocations = append(a.subkeyRevocations, p)
	default:
		a.rest = append(a.rest, p)
	}
	return nil
}

// isByAny reports whether h names one of the keys of version 4 with some
// fingerprints.
func (h *head) isByAny(fingerprints [][]byte) bool {
	return slices.ContainsFunc(fingerprints, func(f []byte) bool {
		return h.isBy(f, binary.BigEndian.Uint64(f[len(f)-8:]))
	})
}
