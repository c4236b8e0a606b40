package container

import (
	"regexp"
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
	SSHName      = SumsName + ".sig"
)

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
	}
	if form, n := SignatureForm(name); form != NoForm {
		return 5 + int(form)*MaxSignatures + n
	}
	if IsSignature(name) {
		return unknownForm
	}
	return 0
}

// unknownForm is the rank of signatures whose form this version does not know.
// They stand last, by name.
const unknownForm = 5 + int(lastForm)*MaxSignatures + MaxSignatures

// IsSignature reports whether an entry is a signature over SHA256SUMS, and so
// stands after it and not in it. Its form may be one that this version does not
// know.
func IsSignature(name string) bool {
	return strings.HasPrefix(name, SumsName+".") && safeName.MatchString(name) && !strings.Contains(name, "/")
}

// IsKnown reports whether version 1 of the format has such an entry.
func IsKnown(name string) bool { return rank(name) > 0 }
