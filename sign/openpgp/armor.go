package openpgp

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp/armor"

	"bale/bundle/fault"
)

// What armor blocks hold.
const (
	signatureType = "PGP SIGNATURE"
	publicType    = "PGP PUBLIC KEY BLOCK"
	privateType   = "PGP PRIVATE KEY BLOCK"
	messageType   = "PGP MESSAGE"
	cleartextType = "PGP SIGNED MESSAGE"
)

const (
	armorBegin = "-----BEGIN PGP "
	armorStart = "-----BEGIN "
	armorEnd   = "-----END "
	armorDash  = "-----"

	maxArmorLine    = 76 // of base64, RFC 4880 section 6.3
	maxArmorHeaders = 16
	maxBlocks       = 256
)

// block is an armor block without its armor.
type block struct {
	label string
	data  []byte
}

// dearmor reads all armor blocks in data. Text around them is refused if they
// must stand alone.
//
// The library's reader is made for streams and for mail: it takes any text
// around the block, any last line, loose bits in base64, and no note of the
// checksum. RFC 9580 wants a wrong checksum passed over; here it means damage.
func dearmor(data []byte, alone bool) ([]block, error) {
	l := &lines{rest: data}
	var list []block
	for l.next() {
		if !bytes.HasPrefix(l.line, []byte(armorStart)) {
			if alone && !blank(l.line) {
				return nil, fault.Damaged("has text around its armor")
			}
			continue
		}
		if len(list) == maxBlocks {
			return nil, fault.Damaged("has more than %d armor blocks", maxBlocks)
		}
		b, err := l.block()
		if err != nil {
			return nil, err
		}
		list = append(list, b)
	}
	return list, nil
}

// lines walks through lines, which end in LF or CRLF.
type lines struct{ line, rest []byte }

func (l *lines) next() bool {
	if len(l.rest) == 0 {
		return false
	}
	l.line, l.rest, _ = bytes.Cut(l.rest, []byte("\n"))
	l.line = bytes.TrimSuffix(l.line, []byte("\r"))
	return true
}

func blank(line []byte) bool { return len(bytes.Trim(line, " \t")) == 0 }

// block reads the block whose first line is l.line.
func (l *lines) block() (block, error) {
	label, ok := strings.CutSuffix(strings.TrimPrefix(string(l.line), armorStart), armorDash)
	if !ok || label == "" || strings.Contains(label, armorDash) {
		return block{}, fault.Damaged("has a broken first line of armor")
	}
	if label == cleartextType {
		return block{}, fault.WithHint(fault.Unsupported("is a cleartext-signed message, not a detached signature"),
			"make it with gpg --armor --detach-sign")
	}
	if err := l.headers(); err != nil {
		return block{}, err
	}
	var text, sum []byte
	for {
		if !l.next() {
			return block{}, fault.Damaged("ends within its armor")
		}
		if bytes.HasPrefix(l.line, []byte(armorDash)) {
			break
		}
		switch {
		case sum != nil:
			return block{}, fault.Damaged("has data behind the checksum of its armor")
		case len(l.line) == 5 && l.line[0] == '=':
			sum = l.line[1:]
		case len(l.line) == 0 || len(l.line) > maxArmorLine:
			return block{}, fault.Damaged("has a line of %d characters in its armor", len(l.line))
		default:
			text = append(text, l.line...)
		}
	}
	if string(l.line) != armorEnd+label+armorDash {
		return block{}, fault.Damaged("has an armor that does not end as it begins")
	}
	data, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil || len(data) == 0 || bytes.ContainsRune(text, '\r') {
		return block{}, fault.Damaged("has an armor that is not base64")
	}
	if sum != nil && string(sum) != checksum(data) {
		return block{}, fault.Damaged("has an armor whose checksum does not fit")
	}
	return block{label, data}, nil
}

// headers skips the headers and the empty line behind them. They are for
// people, and mean nothing.
func (l *lines) headers() error {
	for n := 0; l.next(); n++ {
		if blank(l.line) {
			return nil
		}
		if n == maxArmorHeaders || bytes.IndexByte(l.line, ':') < 1 {
			return fault.Damaged("has no empty line behind the headers of its armor")
		}
	}
	return fault.Damaged("ends within the headers of its armor")
}

// checksum is the CRC-24 of RFC 4880, section 6.1, as armor writes it.
func checksum(data []byte) string {
	const start, polynomial = 0xb704ce, 0x1864cfb
	crc := uint32(start)
	for _, b := range data {
		crc ^= uint32(b) << 16
		for range 8 {
			crc <<= 1
			if crc&0x1000000 != 0 {
				crc ^= polynomial
			}
		}
	}
	return base64.StdEncoding.EncodeToString([]byte{byte(crc >> 16), byte(crc >> 8), byte(crc)})
}

// enarmor writes a block without headers. Tools older than RFC 9580 may want
// the checksum.
func enarmor(b block, sum bool) ([]byte, error) {
	var buf bytes.Buffer
	w, err := armor.EncodeWithChecksumOption(&buf, b.label, nil, sum)
	if err == nil {
		_, err = w.Write(b.data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("write armor: %w", err)
	}
	buf.WriteByte('\n')
	return buf.Bytes(), nil
}

// hasArmor reports whether a line begins a block with some label.
func hasArmor(data []byte, label string) bool {
	begin := []byte(armorStart + label + armorDash)
	return bytes.HasPrefix(data, begin) || bytes.Contains(data, append([]byte("\n"), begin...))
}
