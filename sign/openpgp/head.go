package openpgp

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"bale/bundle/fault"
)

// The subpackets of signatures that are looked at here, RFC 9580 section 5.2.3.
const (
	subCreated     = 2
	subExpires     = 3
	subRevoker     = 12
	subIssuer      = 16
	subFingerprint = 33

	critical = 0x80
)

// head is what a signature says of itself, whether or not the library knows
// its version and algorithms.
type head struct {
	version, kind, hash byte
	signed, unsigned    []*packet.OpaqueSubpacket
	fingerprint         []byte // of the issuer, nil if it is not there
	keyID               uint64 // of the issuer, 0 if it is not there
}

// parseHead reads the body of a signature packet. Of versions that nobody
// knows yet only the version is read. Errors are [fault.ErrDamaged].
func parseHead(body []byte) (*head, error) {
	cut := fault.Damaged("has a signature packet that is cut short")
	if len(body) == 0 {
		return nil, cut
	}
	h := &head{version: body[0]}
	width := 2 // of the lengths of the subpackets
	switch h.version {
	case 2, 3: // 5, kind, time, key id, algorithm, hash
		if len(body) < 17 {
			return nil, cut
		}
		h.kind, h.keyID, h.hash = body[2], binary.BigEndian.Uint64(body[7:]), body[16]
		return h, nil
	case 4, 5:
	case 6:
		width = 4
	default:
		return h, nil
	}
	if len(body) < 4 {
		return nil, cut
	}
	h.kind, h.hash = body[1], body[3]
	rest := body[4:]
	for _, area := range []*[]*packet.OpaqueSubpacket{&h.signed, &h.unsigned} {
		if len(rest) < width {
			return nil, cut
		}
		var n uint64
		for _, b := range rest[:width] {
			n = n<<8 | uint64(b)
		}
		rest = rest[width:]
		if n > uint64(len(rest)) {
			return nil, cut
		}
		var err error
		if *area, err = packet.OpaqueSubpackets(rest[:n]); err != nil {
			return nil, fault.Damaged("has a malformed subpacket: %w", err)
		}
		rest = rest[n:]
	}
	return h, h.issuer()
}

// issuer finds out who made the signature. What contradicts itself is refused,
// since others may pick the other answer.
func (h *head) issuer() error {
	for _, s := range append(h.signed[:len(h.signed):len(h.signed)], h.unsigned...) {
		var id uint64
		switch s.SubType &^ critical {
		case subIssuer:
			if len(s.Contents) != 8 {
				return fault.Damaged("has a key id of %d bytes", len(s.Contents))
			}
			id = binary.BigEndian.Uint64(s.Contents)
		case subFingerprint:
			var f []byte
			if len(s.Contents) > 0 {
				f = s.Contents[1:]
			}
			switch len(f) {
			case 20:
				id = binary.BigEndian.Uint64(f[12:])
			case 32:
				id = binary.BigEndian.Uint64(f)
			default:
				return fault.Damaged("has a fingerprint of %d bytes", len(f))
			}
			if h.fingerprint != nil && !bytes.Equal(h.fingerprint, f) {
				return fault.Damaged("names two keys that made one signature")
			}
			h.fingerprint = f
		default:
			continue
		}
		if h.keyID != 0 && h.keyID != id {
			return fault.Damaged("names two keys that made one signature")
		}
		h.keyID = id
	}
	return nil
}

// by names the issuer for a message.
func (h *head) by() string {
	switch {
	case h.fingerprint != nil:
		return fmt.Sprintf("%X", h.fingerprint)
	case h.keyID != 0:
		return fmt.Sprintf("%016X", h.keyID)
	case h.version < 2 || h.version > 6:
		return fmt.Sprintf("unknown, in version %d", h.version)
	}
	return "unknown"
}

// revokers returns the fingerprints of those whom a self-signature appoints to
// revoke the key.
func (h *head) revokers() [][]byte {
	var list [][]byte
	for _, s := range h.signed {
		// Class, algorithm, fingerprint.
		if s.SubType&^critical == subRevoker && len(s.Contents) == 22 {
			list = append(list, s.Contents[2:])
		}
	}
	return list
}

// isBy reports whether h names the key with a fingerprint and an id.
func (h *head) isBy(fingerprint []byte, id uint64) bool {
	if h.fingerprint != nil {
		return bytes.Equal(h.fingerprint, fingerprint)
	}
	return h.keyID != 0 && h.keyID == id
}
