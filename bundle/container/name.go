package container

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Names of the entries of a bundle.
const (
	HeaderName   = "bale.json"
	IndexName    = "index.zst"
	SumsName     = "SHA256SUMS"
	SigstoreName = SumsName + ".sigstore.json"
	OpenPGPName  = SumsName + ".asc"
)

// MaxSignatures bounds how many Sigstore signatures a bundle may carry.
const MaxSignatures = 32

// PackName returns the entry of the pack with a digest.
func PackName(d digest.Digest) string { return "packs/" + d.Encoded() + ".pack" }

// PackDigest returns the digest in a pack's name, and whether it is one.
func PackDigest(name string) (digest.Digest, bool) {
	hex, ok := strings.CutPrefix(name, "packs/")
	if !ok {
		return "", false
	}
	if hex, ok = strings.CutSuffix(hex, ".pack"); !ok {
		return "", false
	}
	d := digest.NewDigestFromEncoded(digest.SHA256, hex)
	return d, d.Validate() == nil
}

// SignatureName returns the entry of the n-th Sigstore signature, from 0.
func SignatureName(n int) string {
	if n == 0 {
		return SigstoreName
	}
	return SigstoreName + "." + strconv.Itoa(n)
}

// safeName is what any version's entries may be called. It is checked before
// anything else, so that a name can be printed and never leads out of a folder.
var safeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*(/[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*)?$`)

// rank orders the kinds of entry; 0 is a kind that this version does not know.
func rank(name string) int {
	switch {
	case name == HeaderName:
		return 1
	case strings.HasPrefix(name, "packs/"):
		if _, ok := PackDigest(name); ok {
			return 2
		}
		return 0
	case name == IndexName:
		return 4
	case name == SumsName:
		return 5
	case name == OpenPGPName:
		return 6 + MaxSignatures
	}
	if number, ok := strings.CutPrefix(name, SigstoreName+"."); ok || name == SigstoreName {
		n, _ := strconv.Atoi(number) // compared with the name below
		if n >= 0 && n < MaxSignatures && name == SignatureName(n) {
			return 6 + n
		}
	}
	return 0
}

// IsSignature reports whether an entry is a signature over SHA256SUMS, and so
// stands after it and not in it.
func IsSignature(name string) bool { return rank(name) >= 6 }

// IsKnown reports whether version 1 of the format has such an entry.
func IsKnown(name string) bool { return rank(name) > 0 }
