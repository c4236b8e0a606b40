package sign

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// The fingerprint has 80 bits: no one makes a second key for a given one, and
// a person can still read it out over the telephone.
const (
	fingerprintBytes = 10
	fingerprintGroup = 4 // hex digits between hyphens
)

// maxQuoted is how much of a hint that is no digest is shown.
const maxQuoted = 44

// Fingerprint shortens the hint of a key for people: the first 20 hex digits
// of the SHA-256 of its PKIX DER form, such as "3f2a-9c01-77de-4b10-88aa".
// The same digits come from
//
//	openssl pkey -pubin -in cosign.pub -outform DER | sha256sum
//
// A hint that is no base64 of a SHA-256, as other signers may write, is
// quoted, and cut if long.
func Fingerprint(hint string) string {
	sum, err := base64.StdEncoding.Strict().DecodeString(hint)
	if err != nil || len(sum) != sha256.Size {
		if len(hint) > maxQuoted {
			return fmt.Sprintf("%q...", hint[:maxQuoted])
		}
		return fmt.Sprintf("%q", hint)
	}
	digits := hex.EncodeToString(sum[:fingerprintBytes])
	var groups []string
	for ; digits != ""; digits = digits[fingerprintGroup:] {
		groups = append(groups, digits[:fingerprintGroup])
	}
	return strings.Join(groups, "-")
}
