package sign

import (
	"regexp"
	"strings"

	"bale/bundle/fault"
)

// uriForm is NAME://KEY, the name of a key in a service. The name becomes part
// of a program's, so it has nothing that could lead out of PATH.
var uriForm = regexp.MustCompile(`^([a-z][a-z0-9+-]{0,63})://`)

// pkcs11Form begins a URI of RFC 7512, a key in a device.
const pkcs11Form = "pkcs11:"

// IsURI reports whether s names a key in a service or a device, and no file.
func IsURI(s string) bool { return URIScheme(s) != "" || strings.HasPrefix(s, pkcs11Form) }

// URIScheme returns the name of the service in NAME://KEY; "" if s is none.
func URIScheme(s string) string {
	if m := uriForm.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return ""
}

// notFile refuses a key in a service where a file is wanted: that is when
// verifying, which never asks the network. Who signs asks package kms first.
func notFile() error {
	return fault.WithHint(fault.Usage("names a key in a service, and verifying asks no service"),
		"take its public half out once, where it can be reached: bale public-key --key URI -o FILE, and give --key FILE")
}
