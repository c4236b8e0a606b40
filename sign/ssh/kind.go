package ssh

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"bale/bundle/fault"
	"bale/sign"
)

// kind is a kind of key that bale uses.
type kind struct {
	name    string   // of a key on the wire
	formats []string // of its signatures; the first is the one that bale makes
	fido    bool     // kept in a FIDO token
}

// kinds are in the order of the manual of ssh-keygen. What is missing is weak
// (DSA), or not in x/crypto (webauthn signatures, post-quantum keys).
var kinds = []kind{
	{name: ssh.KeyAlgoED25519, formats: []string{ssh.KeyAlgoED25519}},
	{name: ssh.KeyAlgoECDSA256, formats: []string{ssh.KeyAlgoECDSA256}},
	{name: ssh.KeyAlgoECDSA384, formats: []string{ssh.KeyAlgoECDSA384}},
	{name: ssh.KeyAlgoECDSA521, formats: []string{ssh.KeyAlgoECDSA521}},
	{name: ssh.KeyAlgoRSA, formats: []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}},
	{name: ssh.KeyAlgoSKED25519, formats: []string{ssh.KeyAlgoSKED25519}, fido: true},
	{name: ssh.KeyAlgoSKECDSA256, formats: []string{ssh.KeyAlgoSKECDSA256}, fido: true},
}

// foreign are the kinds of key that OpenSSH has or had and bale does not use.
// They are known so that a file with one is told apart from no key file at all.
var foreign = []string{"ssh-dss", ssh.KeyAlgoMLDSA44, ssh.KeyAlgoMLDSA65, ssh.KeyAlgoMLDSA87}

// certSuffix ends the names of certificates of any kind of key.
const certSuffix = "-cert-v01@openssh.com"

const kindsHint = "use ED25519, ECDSA, or RSA with 2048 bits or more: ssh-keygen -t ed25519"

// kindOf returns the kind of a name on the wire; nil if bale does not use it.
func kindOf(name string) *kind {
	if i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name }); i >= 0 {
		return &kinds[i]
	}
	return nil
}

// isKeyName tells whether a word names a kind of key, used or not.
func isKeyName(word string) bool {
	return kindOf(word) != nil || slices.Contains(foreign, word) || strings.HasSuffix(word, certSuffix)
}

// algorithmOf names the algorithm of a key as package sign does, and refuses keys
// of the wrong size.
func algorithmOf(k ssh.PublicKey) (string, error) {
	fido := ""
	if kd := kindOf(k.Type()); kd == nil {
		return "", unsupported("%s", quote(k.Type()))
	} else if kd.fido {
		fido = " (FIDO)"
	}
	c, ok := k.(ssh.CryptoPublicKey)
	if !ok {
		return "", unsupported("%T", k)
	}
	switch pub := c.CryptoPublicKey().(type) {
	case *rsa.PublicKey:
		if n := pub.N.BitLen(); n < sign.MinRSABits || n > sign.MaxRSABits {
			return "", unsupported("RSA with %d bits", n)
		}
		return fmt.Sprintf("RSA %d", pub.N.BitLen()), nil
	case *ecdsa.PublicKey:
		return "ECDSA " + pub.Curve.Params().Name + fido, nil
	}
	return "ED25519" + fido, nil
}

func unsupported(format string, args ...any) error {
	return fault.WithHint(fault.Unsupported("is a key of a kind that bale does not use: "+format, args...), kindsHint)
}

// maxQuoted is how much foreign text goes into a message, in bytes.
const maxQuoted = 60

// quote makes foreign text fit to be shown: short, and without anything that a
// terminal acts on.
func quote(s string) string {
	if len(s) > maxQuoted {
		return fmt.Sprintf("%+q...", s[:maxQuoted])
	}
	return fmt.Sprintf("%+q", s)
}
