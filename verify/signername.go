package verify

import "strings"

// maxSigners is how many signers of a bundle are remembered. They are only for
// messages, so the first will do.
const maxSigners = 32

// signerName returns what a state calls a signer: the fingerprint or, where keys
// change from one signature to the next, whom they belong to and who says so.
func signerName(s Signer) string {
	name := s.Fingerprint
	if name == "" {
		name = s.Subject
		if s.Issuer != "" {
			name += " (" + s.Issuer + ")"
		}
	}
	if name == "" {
		name = string(s.Kind)
	}
	name = strings.Map(func(r rune) rune {
		if !inSignerName(r) {
			return '?'
		}
		return r
	}, name)
	name = strings.TrimSpace(name)
	if name == "" {
		return "?"
	}
	return strings.TrimSpace(name[:min(len(name), maxSigner)])
}

// isSignerName tells whether a state may call a signer so: printable ASCII
// that needs no escaping, and no space at the ends.
func isSignerName(s string) bool {
	return s != "" && len(s) <= maxSigner && strings.TrimSpace(s) == s &&
		!strings.ContainsFunc(s, func(r rune) bool { return !inSignerName(r) })
}

func inSignerName(r rune) bool {
	return r >= ' ' && r <= '~' && r != '"' && r != '\\' && r != '\'' && r != '`'
}
