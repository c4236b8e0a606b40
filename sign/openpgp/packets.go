package openpgp

import (
	"bytes"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"bale/bundle/fault"
)

// The tags of packets that are looked at here, RFC 9580 section 5.
const (
	tagSignature     = 2
	tagOnePass       = 4
	tagPrivateKey    = 5
	tagPublicKey     = 6
	tagPrivateSubkey = 7
	tagCompressed    = 8
	tagMarker        = 10
	tagLiteral       = 11
	tagTrust         = 12
	tagUserID        = 13
	tagPublicSubkey  = 14
	tagUserAttribute = 17
	tagPadding       = 21

	firstUncritical = 40
)

// maxPackets bounds a keyring: certifications by others are most of it.
const maxPackets = 16 << 10

// raw is a packet that is not parsed.
type raw struct {
	tag   uint8
	body  []byte
	whole []byte // with its header
}

// split takes data apart. Only packets that say how long they are are taken;
// the others are for streams (RFC 9580, section 4.2.1.4).
func split(data []byte, most int) ([]raw, error) {
	r := bytes.NewReader(data)
	opaque := packet.NewOpaqueReader(r)
	var list []raw
	for r.Len() > 0 {
		if len(list) == most {
			return nil, fault.Damaged("has more than %d packets", most)
		}
		whole := data[len(data)-r.Len():]
		if !sized(whole) {
			return nil, fault.Damaged("has a packet that does not say how long it is")
		}
		p, err := opaque.Next()
		if err != nil {
			return nil, fault.Damaged("has a malformed packet: %w", err)
		}
		list = append(list, raw{p.Tag, p.Contents, whole[:len(whole)-r.Len()]})
	}
	return list, nil
}

// sized reports whether the packet at the head of data has a definite length.
func sized(data []byte) bool {
	const marker, newForm = 0x80, 0x40
	switch {
	case data[0]&marker == 0:
		return false
	case data[0]&newForm == 0:
		return data[0]&3 != 3
	}
	return len(data) > 1 && (data[1] < 224 || data[1] == 255)
}

// first returns tag and first byte of the body of the packet at the head of
// data, without reading it all.
func first(data []byte) (tag, version byte, ok bool) {
	if len(data) == 0 || !sized(data) {
		return 0, 0, false
	}
	at := 2
	if data[0]&0x40 == 0 {
		tag = data[0] & 0x3f >> 2
		at = 1 + 1<<(data[0]&3)
	} else {
		tag = data[0] & 0x3f
		switch {
		case data[1] == 255:
			at = 6
		case data[1] >= 192:
			at = 3
		}
	}
	if len(data) <= at {
		return 0, 0, false
	}
	return tag, data[at], true
}

// parse has the library parse one packet. No hostile packet is known to make it
// panic, but it decides about trust, so a panic is an error here.
func (p raw) parse() (parsed packet.Packet, err error) {
	defer func() {
		if recover() != nil {
			parsed, err = nil, fault.Damaged("has a malformed packet")
		}
	}()
	return packet.Read(bytes.NewReader(p.whole))
}
