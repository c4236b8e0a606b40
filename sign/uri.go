package sign

import (
	"regexp"
	"slices"
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

// KeyName returns what a message calls the key at path: a URI without what may be
// secret in it, such as a password or a PIN; other paths as they are.
func KeyName(path string) string {
	name := URIScheme(path)
	switch {
	case name != "":
		rest, _, _ := strings.Cut(strings.TrimPrefix(path, name+"://"), "?")
		return name + "://" + rest[strings.LastIndexByte(rest, '@')+1:]
	case IsURI(path):
		return pkcs11Form + "..."
	}
	return path
}

// gnupgForm begins the name of a key that gpg holds.
const gnupgForm = "gpg:"

// addresses are the schemes of what is fetched and never is a key in a service.
var addresses = []string{"http", "https", "ftp", "file", "oci", "docker"}

// notFile refuses what names no file, where a file is wanted: that is when
// verifying, which never asks the network or another program. Who signs asks
// package kms first. It is nil for what can be the name of a file.
func notFile(path string) error {
	switch {
	case slices.Contains(addresses, URIScheme(path)):
		return fault.WithHint(fault.Usage("is an address, and only files are read here"),
			"fetch it by a way that you trust, and give the file")
	case IsURI(path):
		return fault.WithHint(fault.Usage("names a key in a service, and verifying asks nobody over the network"),
			"take its public half along, as a file: bale public-key --key URI -o FILE, where the service can be reached")
	case strings.HasPrefix(path, gnupgForm):
		return fault.WithHint(fault.Usage("names a key that gpg holds, and verifying takes public keys from files only"),
			"export its public half: bale public-key --key gpg:ID -o FILE, or gpg --export --armor ID, and give the file")
	}
	return nil
}
