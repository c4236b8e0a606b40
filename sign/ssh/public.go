package ssh

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"bale/bundle/fault"
	"bale/sign"
)

// PublicKey is a key to verify with. The zero value verifies nothing; call
// [ParsePublicKeys].
type PublicKey struct {
	key       ssh.PublicKey
	blob      []byte // its one form on the wire
	kind      *kind
	algorithm string
	ids       []string
	subject   string  // the principals of its line of allowed_signers
	options   options // of that line
}

// newPublicKey reads the wire form of a key of a kind that bale uses.
func newPublicKey(blob []byte) (*PublicKey, error) {
	key, err := ssh.ParsePublicKey(blob)
	if err != nil {
		return nil, fault.WithHint(fault.Usage("cannot be read as an SSH key"), "the file is damaged: get it again")
	}
	algorithm, err := algorithmOf(key)
	if err != nil {
		return nil, err
	}
	// A key is compared by its bytes, so it has one form.
	if !bytes.Equal(key.Marshal(), blob) {
		return nil, fault.Usage("has numbers that are not in their one form")
	}
	k := &PublicKey{key: key, blob: blob, kind: kindOf(key.Type()), algorithm: algorithm}
	if k.kind.fido && !strings.HasPrefix(application(blob), "ssh:") {
		return nil, fault.Unsupported("is a FIDO key for %s, not for SSH", quote(application(blob)))
	}
	k.ids = []string{"ssh:" + k.Fingerprint()}
	// Not all kinds of SSH keys are also used as PEM.
	if pub, err := sign.NewPublicKey(key.(ssh.CryptoPublicKey).CryptoPublicKey()); err == nil {
		k.ids = append(k.ids, pub.ID())
	}
	return k, nil
}

// application returns the last field of a FIDO key (PROTOCOL.u2f): what the
// token was asked to make it for.
func application(blob []byte) string {
	var last struct {
		Text string
		Rest []byte `ssh:"rest"`
	}
	for last.Rest = blob; len(last.Rest) > 0; {
		if err := ssh.Unmarshal(last.Rest, &last); err != nil {
			return ""
		}
	}
	return last.Text
}

// Identity returns the key as a signer.
func (k *PublicKey) Identity() sign.Identity {
	return sign.Identity{Kind: sign.KindSSH, Algorithm: k.algorithm, Fingerprint: k.Fingerprint(), Subject: k.subject}
}

// Line returns the key as a line of authorized_keys, without a comment, as in a
// .pub file.
func (k *PublicKey) Line() []byte { return ssh.MarshalAuthorizedKey(k.key) }

// IDs tell whether two signers have the same key: that of OpenSSH, and that which
// the same key has in PEM form, if bale uses its kind there; see
// [sign.PublicKey.ID].
func (k *PublicKey) IDs() []string { return slices.Clone(k.ids) }

// Fingerprint returns what ssh-keygen -l shows, such as "SHA256:…". It is "" for
// the zero value only.
func (k *PublicKey) Fingerprint() string {
	if k.key == nil {
		return ""
	}
	return fingerprint(k.blob)
}

// fingerprint is that of the wire form of a key.
func fingerprint(blob []byte) string {
	sum := sha256.Sum256(blob)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// String names the key for a message.
func (k *PublicKey) String() string {
	if k.key == nil {
		return "no SSH key"
	}
	return k.Identity().String()
}

// NeedsTouch tells whether the key is in a FIDO token, which signs only when
// somebody touches it: who waits for it should be told.
func (k *PublicKey) NeedsTouch() bool { return k.kind != nil && k.kind.fido }

// Permits fails, with no kind, unless the key's line of allowed_signers lets it
// sign files at a time. The text goes on a sentence about the key.
func (k *PublicKey) Permits(at time.Time) error { return k.options.permit(at) }
