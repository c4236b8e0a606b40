package ssh

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"bale/bundle/fault"
)

const (
	// MaxKeys bounds how many keys a file may list.
	MaxKeys = 1024
	// maxLine bounds one line. That of the largest RSA key has 1,500 bytes.
	maxLine = 16 << 10
	// maxPrincipals bounds the principals of a line.
	maxPrincipals = 1 << 10
)

const privateLabel = "OPENSSH PRIVATE KEY"

// ssh2Line begins a public key in the form of RFC 4716.
const ssh2Line = "---- BEGIN SSH2 PUBLIC KEY ----"

// keyStart begins the base64 of every public key of SSH: the length of a name
// that is shorter than 64 KiB.
const keyStart = "AAAA"

// IsPrivateKey tells by its content whether a file is meant as a private key in
// OpenSSH's own form.
func IsPrivateKey(data []byte) bool {
	return bytes.Contains(data, []byte("-----BEGIN "+privateLabel+"-----"))
}

// IsPublicKey tells by its content whether a file is meant to list public keys as
// OpenSSH does: a .pub file, authorized_keys or allowed_signers. Whether they can
// be used is for [ParsePublicKeys] to say.
func IsPublicKey(data []byte) bool {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte(ssh2Line)) {
		return true
	}
	if block, _ := pem.Decode(data); block != nil {
		return false
	}
	for line := range bytes.Lines(data) {
		words := strings.Fields(string(line))
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		for i, w := range words[1:] {
			if isKeyName(words[i]) && strings.HasPrefix(w, keyStart) {
				return true
			}
		}
	}
	return false
}

// ParsePublicKeys reads the keys, of which there is at least one, in a .pub file,
// an authorized_keys without options, or an allowed_signers: a line for each,
//
//	[principals [options]] type base64 [comment]
//
// Its errors are [fault.ErrUsage] for what is malformed and [fault.ErrUnsupported]
// for keys, CAs and options that bale does not use: one such line refuses the file,
// since the user would believe that it counts.
func ParsePublicKeys(data []byte) ([]*PublicKey, error) {
	switch {
	case IsPrivateKey(data):
		return nil, fault.WithHint(fault.Usage("is a private key, and verifying takes a public one"), "give the .pub file")
	case bytes.HasPrefix(bytes.TrimSpace(data), []byte(ssh2Line)):
		return nil, fault.WithHint(fault.Unsupported("is a key in the form of RFC 4716, not of OpenSSH"), "change it: ssh-keygen -i -f FILE")
	}
	var keys []*PublicKey
	n := 0
	for raw := range bytes.Lines(data) {
		n++
		k, err := parseLine(raw)
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d %w", n, err)
		case k == nil:
			continue
		case len(keys) == MaxKeys:
			return nil, fault.Usage("lists more than %d keys", MaxKeys)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, fault.Usage("lists no SSH key")
	}
	return keys, nil
}

const space = " \t"

// parseLine reads one line; nil is one without a key.
func parseLine(raw []byte) (*PublicKey, error) {
	if len(raw) > maxLine {
		return nil, fault.Usage("has more than %d bytes", maxLine)
	}
	line := strings.Trim(strings.TrimRight(string(raw), "\r\n"), space)
	if line == "" || line[0] == '#' {
		return nil, nil
	}
	first, rest := word(line)
	if isKeyName(first) {
		return parseKey(first, rest)
	}
	if err := checkPrincipals(first); err != nil {
		return nil, err
	}
	name, after := word(rest)
	var o options
	if !isKeyName(name) {
		i := indexUnquoted(rest, space)
		if i < 0 {
			return nil, fault.Usage("has no key")
		}
		var err error
		if o, err = parseOptions(rest[:i]); err != nil {
			return nil, err
		}
		name, after = word(strings.TrimLeft(rest[i:], space))
	}
	k, err := parseKey(name, after)
	if err != nil {
		return nil, err
	}
	k.subject, k.options = first, o
	return k, nil
}

// word splits off the first word of a line.
func word(line string) (first, rest string) {
	if i := strings.IndexAny(line, space); i >= 0 {
		return line[:i], strings.TrimLeft(line[i:], space)
	}
	return line, ""
}

// checkPrincipals refuses what is no list of names. They are only shown, so their
// patterns may be as they like.
func checkPrincipals(s string) error {
	for part := range strings.SplitSeq(s, ",") {
		name, _, _ := strings.Cut(part, "=")
		if loginOptions[strings.ToLower(name)] {
			return fault.WithHint(fault.Unsupported("has the option %s of authorized_keys, which is about logging in", strings.ToLower(name)),
				"give the key by itself, or after a name as in allowed_signers")
		}
	}
	switch {
	case len(s) > maxPrincipals:
		return fault.Usage("has more than %d bytes of principals", maxPrincipals)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == '"' || r == '\\' }):
		return fault.Usage("has principals with quotes or control characters")
	}
	return nil
}

// parseKey reads what follows the type of a key: base64, then a comment that
// nobody has signed.
func parseKey(name, rest string) (*PublicKey, error) {
	switch text, _ := word(rest); {
	case strings.HasSuffix(name, certSuffix):
		return nil, fault.WithHint(fault.Unsupported("is an SSH certificate, which bale does not check"), "give the .pub file of the key itself")
	case !isKeyName(name):
		return nil, fault.Usage("has no key of a kind that SSH knows")
	case kindOf(name) == nil:
		return nil, unsupported("%s", quote(name))
	default:
		blob, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil {
			return nil, fault.Usage("has a key that is not in base64")
		}
		var of struct {
			Kind string
			Rest []byte `ssh:"rest"`
		}
		if err := ssh.Unmarshal(blob, &of); err != nil || of.Kind != name {
			return nil, fault.Usage("says %s, and its key is another", quote(name))
		}
		return newPublicKey(blob)
	}
}
