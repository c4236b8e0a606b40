package verify

import "bale/bundle/container"

// maxSignatures is how many signature entries a bundle may have: those in
// Sigstore's form, and one in OpenPGP's.
const maxSignatures = container.MaxSignatures + 1

// isSigstore tells whether an entry of this name is a Sigstore bundle.
func isSigstore(entry string) bool {
	for n := range container.MaxSignatures {
		if entry == container.SignatureName(n) {
			return true
		}
	}
	return false
}
