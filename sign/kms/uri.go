package kms

import (
	"slices"
	"strings"

	sigkms "github.com/sigstore/sigstore/pkg/signature/kms"

	"bale/bundle/fault"
	"bale/sign"
)

// maxURI bounds the URI of a key; the longest of a service has less than 300.
const maxURI = 2 << 10

// tagged are the services that a build tag of the same name adds.
var tagged = []string{"awskms", "gcpkms", "azurekms"}

// IsURI reports whether s names a key in a service and no file; see [sign.IsURI].
func IsURI(s string) bool { return sign.IsURI(s) }

// Providers returns the names of the services that this build speaks to
// without another program, in order.
func Providers() []string {
	list := []string{}
	for _, scheme := range sigkms.SupportedProviders() {
		list = append(list, strings.TrimSuffix(scheme, "://"))
	}
	slices.Sort(list)
	return list
}

// check refuses what is no URI of a service.
func check(uri string) error {
	switch {
	case len(uri) > maxURI:
		return fault.Usage("key has a URI of %d bytes, more than %d", len(uri), maxURI)
	case sign.IsURI(uri) && sign.URIScheme(uri) == "":
		return fault.WithHint(fault.Unsupported("a PKCS#11 module is a shared library, which bale cannot load"),
			"put a program sigstore-kms-pkcs11 that speaks Sigstore's KMS plugin protocol into PATH, and name the key pkcs11://KEY")
	case !sign.IsURI(uri):
		return fault.WithHint(fault.Usage("%q is no URI of a key", clean(uri)), "name it as NAME://KEY, such as hashivault://release")
	}
	return nil
}

// missing is the refusal of a service that nothing here speaks to.
func missing(uri string) error {
	name := sign.URIScheme(uri)
	err := fault.Usage("this bale does not speak to %s://, and there is no program sigstore-kms-%s in PATH", name, name)
	if slices.Contains(tagged, name) {
		return fault.WithHint(err, "take a bale that was built with the tag %s or kms, or put that KMS plugin of Sigstore's into PATH", name)
	}
	return fault.WithHint(err, "put that KMS plugin of Sigstore's into PATH; without one bale speaks to %s, and to %s if built with the tag kms",
		strings.Join(Providers(), ", "), strings.Join(tagged, ", "))
}
