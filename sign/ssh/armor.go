package ssh

import (
	"bytes"
	"encoding/base64"

	"bale/bundle/fault"
)

const (
	beginLine = "-----BEGIN SSH SIGNATURE-----"
	endLine   = "-----END SSH SIGNATURE-----"

	// armorWidth is the length of a line as ssh-keygen writes it.
	armorWidth = 70
	// MaxSignature bounds an armored signature, in bytes. One with the largest
	// RSA key has less than 4 KiB, but one with a certificate may have more.
	MaxSignature = 64 << 10
)

// armor writes a signature in lines of some length.
func armor(blob []byte, width int) []byte {
	text := base64.StdEncoding.EncodeToString(blob)
	var b bytes.Buffer
	b.WriteString(beginLine + "\n")
	for len(text) > 0 {
		n := min(width, len(text))
		b.WriteString(text[:n])
		b.WriteByte('\n')
		text = text[n:]
	}
	b.WriteString(endLine + "\n")
	return b.Bytes()
}

// unarmor is the other way. Only two things may vary: how long the lines are, all
// of them but the last, since OpenSSH writes 70 characters, its document says 76
// and others write 64; and whether the last one ends. What ssh-keygen refuses,
// such as CRLF, is refused too.
func unarmor(data []byte) ([]byte, error) {
	if len(data) > MaxSignature {
		return nil, fault.Damaged("has more than %d bytes, too many for an SSH signature", MaxSignature)
	}
	body, ok := bytes.CutPrefix(data, []byte(beginLine+"\n"))
	if !ok {
		return nil, fault.Damaged("is not an SSH signature: it does not begin with the line %q", beginLine)
	}
	body, _ = bytes.CutSuffix(body, []byte("\n"))
	body, ok = bytes.CutSuffix(body, []byte("\n"+endLine))
	if !ok {
		return nil, fault.Damaged("is cut short or has something added: it does not end with the line %q", endLine)
	}
	first, _, _ := bytes.Cut(body, []byte("\n"))
	blob := make([]byte, base64.StdEncoding.DecodedLen(len(body)))
	n, err := base64.StdEncoding.Strict().Decode(blob, body)
	if err != nil || len(first) == 0 {
		return nil, fault.Damaged("has an SSH signature that is not in base64")
	}
	blob = blob[:n]
	again, _ := bytes.CutSuffix(armor(blob, len(first)), []byte("\n"))
	if given, _ := bytes.CutSuffix(data, []byte("\n")); !bytes.Equal(again, given) {
		return nil, fault.Damaged("has an SSH signature in lines of no one length, or with space in them")
	}
	return blob, nil
}
