package gnupg

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"bale/bundle/fault"
	"bale/sign"
	"bale/sign/openpgp"
)

// maxID is the longest name of a key that is taken, in bytes.
const maxID = 256

// Signer has gpg sign with one key. [Open] makes it.
type Signer struct {
	key  *openpgp.Key
	user string // as gpg's --local-user takes it
}

// Open returns the signer for a private key that gpg knows by id: a fingerprint,
// a key id, or what of a user id only one key has. With "!" behind the fingerprint
// of a subkey gpg signs with just that one. Nothing is asked of a card or for a
// password yet.
func Open(ctx context.Context, id string) (*Signer, error) {
	if err := checkID(id); err != nil {
		return nil, fmt.Errorf("gpg key %q: %w", id, err)
	}
	name, exact := strings.CutSuffix(id, "!")
	// A private key first: of strangers who share a name there are only public ones.
	secret, err := run(ctx, nil, "--with-colons", "--list-secret-keys", "--", name)
	if err != nil {
		return nil, fmt.Errorf("gpg key %q: %w", id, err)
	}
	list := primaries(secret)
	if len(list) != 1 {
		return nil, fault.WithHint(fault.Usage("gpg key %q: is %d private keys: %s", id, len(list), strings.Join(list, ", ")), "give the fingerprint of one")
	}
	public, err := run(ctx, nil, "--export", "--export-options", "export-minimal", "--", list[0])
	if err != nil {
		return nil, fmt.Errorf("gpg key %q: %w", id, err)
	}
	keys, err := openpgp.ParseKeyring(public)
	if err != nil {
		return nil, fmt.Errorf("gpg key %q: %w", id, err)
	}
	if len(keys) != 1 || keys[0].Fingerprint() != list[0] {
		return nil, fault.Unsupported("gpg key %q: gpg exported another key than %s", id, list[0])
	}
	s := &Signer{keys[0], list[0]}
	if exact {
		s.user = id
	}
	return s, nil
}

// checkID refuses what gpg could take for something else.
func checkID(id string) error {
	odd := func(r rune) bool { return !unicode.IsPrint(r) }
	switch {
	case id == "" || id == "!":
		return fault.WithHint(fault.Usage("is empty"), "give a fingerprint: gpg:FINGERPRINT")
	case len(id) > maxID || strings.ContainsFunc(id, odd) || strings.HasPrefix(id, "-"):
		return fault.WithHint(fault.Usage("is no name of a key"), "give a fingerprint: gpg:FINGERPRINT")
	}
	return nil
}

// primaries returns the fingerprints of the primary keys in a listing with
// colons (doc/DETAILS of GnuPG).
func primaries(listing []byte) []string {
	const kind, fingerprint = 0, 9
	var list []string
	primary := false
	for line := range strings.Lines(string(listing)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		switch {
		case f[kind] == "sec":
			primary = true
		case f[kind] == "fpr" && primary && len(f) > fingerprint:
			list = append(list, f[fingerprint])
			primary = false
		}
	}
	return list
}

// Key returns the public key, all of it.
func (s *Signer) Key() *openpgp.Key { return s.key }

// Sign implements [sign.Signer]. gpg-agent may ask for a password or a card.
func (s *Signer) Sign(ctx context.Context, message []byte) (*sign.Signature, error) {
	packet, err := run(ctx, message,
		"--no-armor", "--no-textmode", "--no-emit-version", "--no-comments", "--digest-algo", "SHA512",
		"--local-user", s.user, "--output", "-", "--detach-sign")
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", s.key, err)
	}
	return s.key.Seal(message, packet)
}

var _ sign.Signer = (*Signer)(nil)
