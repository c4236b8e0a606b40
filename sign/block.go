package sign

import (
	"bytes"
	"encoding/pem"
	"strings"

	"bale/bundle/fault"
)

// What a PEM block holds, as far as its label tells.
type content int

const (
	unknown content = iota
	publicKey
	privateKey
	certificate
)

// paramsLabel is the block that OpenSSL puts before an EC private key. It
// repeats what the key itself says.
const paramsLabel = "EC PARAMETERS"

// Labels of private keys that are encrypted as a whole. Old OpenSSL keys say
// it in a header of the block instead.
const (
	cosignLabel   = "ENCRYPTED COSIGN PRIVATE KEY"
	sigstoreLabel = "ENCRYPTED SIGSTORE PRIVATE KEY"
	pkcs8Label    = "ENCRYPTED PRIVATE KEY"
)

// parseBlock finds the one PEM block in data that counts. More than one is
// refused: the user would believe that all of them are used.
func parseBlock(data []byte) (*pem.Block, error) {
	var found *pem.Block
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		if b.Type == paramsLabel {
			continue
		}
		if found != nil {
			return nil, fault.WithHint(fault.Usage("holds more than one PEM block"), "keep one key in a file")
		}
		found = b
	}
	if found == nil {
		return nil, fault.WithHint(fault.Usage("is not a key in PEM form"),
			`a key file begins with a line such as "-----BEGIN PUBLIC KEY-----"; bale keygen and cosign generate-key-pair make keys`)
	}
	return found, nil
}

func contentOf(b *pem.Block) content {
	switch {
	case strings.HasSuffix(b.Type, "PRIVATE KEY"):
		return privateKey
	case strings.HasSuffix(b.Type, "PUBLIC KEY"):
		return publicKey
	case b.Type == "CERTIFICATE":
		return certificate
	}
	return unknown
}

// isEncrypted tells whether a password is needed to read the private key b.
func isEncrypted(b *pem.Block) bool {
	switch b.Type {
	case cosignLabel, sigstoreLabel, pkcs8Label:
		return true
	}
	return b.Headers["DEK-Info"] != ""
}

// label returns b's label for a message: it comes from a file, so it is cut
// and has no control characters.
func label(b *pem.Block) string {
	const most = 40
	l := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, b.Type)
	if len(l) > most {
		l = l[:most] + "..."
	}
	return l
}

// encodeBlock gives b back in PEM form, alone.
func encodeBlock(b *pem.Block) []byte {
	var buf bytes.Buffer
	if err := pem.Encode(&buf, b); err != nil {
		return nil // headers that PEM cannot hold; what is empty is refused
	}
	return buf.Bytes()
}
