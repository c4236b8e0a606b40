package container

import (
	"strconv"
	"strings"
)

// Form is the form of a signature over SHA256SUMS. Which it is stands in the
// name of the entry, and nowhere else.
type Form int

// The forms, in the order that their entries stand in.
const (
	NoForm   Form = iota // not a signature, or of a form that this version does not know
	Sigstore             // a Sigstore bundle in JSON
	OpenPGP              // an armored detached signature, as gpg --armor --detach-sign makes it
	SSH                  // an armored signature of namespace "file", as ssh-keygen -Y sign makes it

	lastForm = SSH
)

const (
	// MaxSignatures bounds how many signatures of one form a bundle may carry.
	MaxSignatures = 32
	// MaxSignatureEntries bounds the signatures of all forms, known and unknown.
	MaxSignatureEntries = 4 * MaxSignatures
)

// formNames are the entries of the first signature of each form.
var formNames = map[Form]string{Sigstore: SigstoreName, OpenPGP: OpenPGPName, SSH: SSHName}

// String names the form for a message.
func (f Form) String() string {
	switch f {
	case Sigstore:
		return "Sigstore"
	case OpenPGP:
		return "OpenPGP"
	case SSH:
		return "SSH"
	}
	return "unknown"
}

// SignatureName returns the entry of the n-th signature of a form, from 0.
func SignatureName(f Form, n int) string {
	if n == 0 {
		return formNames[f]
	}
	return formNames[f] + "." + strconv.Itoa(n)
}

// SignatureForm returns the form of the signature in an entry, and which of
// that form it is, from 0.
func SignatureForm(entry string) (Form, int) {
	for f, first := range formNames {
		if entry == first {
			return f, 0
		}
		number, ok := strings.CutPrefix(entry, first+".")
		if !ok {
			continue
		}
		n, err := strconv.Atoi(number)
		if err == nil && n > 0 && n < MaxSignatures && entry == SignatureName(f, n) {
			return f, n
		}
	}
	return NoForm, 0
}
