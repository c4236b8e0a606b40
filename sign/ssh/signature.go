package ssh

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"math/big"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"bale/bundle/fault"
)

// Namespace is what a signature over a file is for. One that was made for another
// purpose, such as a commit of Git or a mail, never counts.
const Namespace = "file"

// magic begins both a signature and what is signed, so that neither can be taken
// for anything else in SSH's protocol.
const magic = "SSHSIG"

const version = 1

// Signature is a well-formed signature that is not verified yet.
type Signature struct {
	key       []byte // the wire form of the key that it says it is by
	kind      string // of that key
	namespace string
	reserved  []byte
	hash      string
	blob      []byte // the signature proper
}

// head and fields are a signature on the wire (PROTOCOL.sshsig, section 2).
type head struct {
	Magic   [len(magic)]byte
	Version uint32
	Fields  []byte `ssh:"rest"`
}

type fields struct {
	PublicKey []byte
	Namespace string
	Reserved  []byte
	Hash      string
	Signature []byte
}

// signed is what the key signs, after the magic (section 3).
type signed struct {
	Namespace string
	Reserved  string
	Hash      string
	Digest    []byte
}

// The hashes of the message. OpenSSH takes no others.
const (
	sha256Name = "sha256"
	sha512Name = "sha512"
)

// ParseSignature reads an armored signature. Its errors are [fault.ErrDamaged],
// or [fault.ErrUnsupported] for a newer version of the format.
func ParseSignature(data []byte) (*Signature, error) {
	blob, err := unarmor(data)
	if err != nil {
		return nil, err
	}
	var h head
	if err := ssh.Unmarshal(blob, &h); err != nil || string(h.Magic[:]) != magic {
		return nil, fault.Damaged("has no SSH signature in its armor")
	}
	if h.Version != version {
		return nil, fault.Unsupported("is an SSH signature of version %d, and bale knows version %d", h.Version, version)
	}
	var f fields
	if err := ssh.Unmarshal(h.Fields, &f); err != nil {
		return nil, fault.Damaged("has an SSH signature that is cut short or has something added")
	}
	var of struct {
		Kind string
		Rest []byte `ssh:"rest"`
	}
	if err := ssh.Unmarshal(f.PublicKey, &of); err != nil || of.Kind == "" {
		return nil, fault.Damaged("has an SSH signature that names no key")
	}
	return &Signature{key: f.PublicKey, kind: of.Kind, namespace: f.Namespace, reserved: f.Reserved, hash: f.Hash, blob: f.Signature}, nil
}

// By tells whether the signature says that it is by k. It proves nothing.
func (s *Signature) By(k *PublicKey) bool { return k.key != nil && bytes.Equal(s.key, k.blob) }

// Signer names whose it says it is, for a message.
func (s *Signature) Signer() string {
	if strings.HasSuffix(s.kind, certSuffix) {
		return "an SSH certificate, which bale does not check"
	}
	sum := fingerprint(s.key)
	if kindOf(s.kind) == nil {
		return "SSH key " + sum + " of the kind " + quote(s.kind)
	}
	return "SSH key " + sum
}

// Touched says in words what a FIDO token saw of a person; "" for other keys. It
// is true only of a signature that was verified.
func (s *Signature) Touched() string {
	var sig ssh.Signature
	kd := kindOf(s.kind)
	if kd == nil || !kd.fido || ssh.Unmarshal(s.blob, &sig) != nil || len(sig.Rest) == 0 || sig.Rest[0]&flagTouched == 0 {
		return ""
	}
	if sig.Rest[0]&flagVerified != 0 {
		return "a FIDO token, touched and unlocked by its PIN or the like"
	}
	return "a FIDO token, touched"
}

// CheckNamespace fails with [fault.ErrUntrusted] if the signature says itself that
// it was made for another purpose than to sign a file.
func (s *Signature) CheckNamespace() error {
	if s.namespace == Namespace {
		return nil
	}
	return fault.WithHint(fault.Untrusted("is a signature for the namespace %s, not %q", quote(s.namespace), Namespace),
		"sign it as a file: ssh-keygen -Y sign -n file -f KEY SHA256SUMS")
}

// Verify fails unless s is this key's signature over message, for the namespace
// "file". Its errors are
//
//   - [fault.ErrUntrusted]: it is by another key, does not fit the message, is for
//     another namespace, over SHA-1, or made without a touch of the FIDO token
//   - [fault.ErrDamaged]: the signature proper is malformed
//   - [fault.ErrUnsupported]: it says something that bale does not know
//   - [fault.ErrUsage]: k is the zero value
func (k *PublicKey) Verify(message []byte, s *Signature) error {
	switch {
	case k == nil || k.key == nil:
		return fault.Usage("an empty SSH key given to verify with")
	case !s.By(k):
		return fault.Untrusted("is by %s", s.Signer())
	case s.namespace != Namespace:
		return s.CheckNamespace()
	case len(s.reserved) != 0:
		return fault.Unsupported("has a reserved field that is not empty")
	}
	data, err := toSign(s.hash, message)
	if err != nil {
		return err
	}
	sig, err := k.proper(s.blob)
	if err != nil {
		return err
	}
	if err := k.key.Verify(data, sig); err != nil {
		return fault.Untrusted("signature does not fit")
	}
	return nil
}

// toSign returns the bytes under a signature over message.
func toSign(hash string, message []byte) ([]byte, error) {
	var digest []byte
	switch hash {
	case sha256Name:
		sum := sha256.Sum256(message)
		digest = sum[:]
	case sha512Name:
		sum := sha512.Sum512(message)
		digest = sum[:]
	default:
		return nil, fault.Unsupported("is over the hash %s, not sha512 or sha256", quote(hash))
	}
	return append([]byte(magic), ssh.Marshal(signed{Namespace: Namespace, Hash: hash, Digest: digest})...), nil
}

// The flags of a FIDO token: a person was there, and it knew which (PROTOCOL.u2f).
const (
	flagTouched  = 1 << 0
	flagVerified = 1 << 2
)

// fidoRest is the length of what follows the signature by a FIDO token: its flags
// and the counter of signatures.
const fidoRest = 1 + 4

// proper reads the signature inside, which has one form for each kind of key.
// x/crypto is not strict in this: it passes over what follows a signature, adds
// leading zeros to an RSA number and takes several encodings of an ECDSA one.
func (k *PublicKey) proper(blob []byte) (*ssh.Signature, error) {
	var sig ssh.Signature
	if err := ssh.Unmarshal(blob, &sig); err != nil {
		return nil, malformed()
	}
	switch {
	case sig.Format == ssh.KeyAlgoRSA && k.kind.name == ssh.KeyAlgoRSA:
		return nil, fault.WithHint(fault.Untrusted("is made with SHA-1, which is broken"),
			"sign with ssh-keygen of OpenSSH 8.2 or newer, or with bale")
	case !slices.Contains(k.kind.formats, sig.Format):
		return nil, fault.Unsupported("has the format %s, not %s", quote(sig.Format), strings.Join(k.kind.formats, " or "))
	}
	rest := 0
	if k.kind.fido {
		rest = fidoRest
	}
	if len(sig.Rest) != rest || !k.fits(sig.Blob) {
		return nil, malformed()
	}
	if k.kind.fido && sig.Rest[0]&flagTouched == 0 {
		return nil, fault.WithHint(fault.Untrusted("is made without a touch of the FIDO token"),
			"sign with a key that was not made with no-touch-required")
	}
	return &sig, nil
}

func malformed() error {
	return fault.Damaged("has an SSH signature of another length or form than its key makes")
}

// fits tells whether the bytes of a signature have the form that the key makes.
func (k *PublicKey) fits(blob []byte) bool {
	switch pub := k.key.(ssh.CryptoPublicKey).CryptoPublicKey().(type) {
	case ed25519.PublicKey:
		return len(blob) == ed25519.SignatureSize
	case *rsa.PublicKey:
		return len(blob) == pub.Size()
	}
	var ecdsa struct{ R, S *big.Int }
	return ssh.Unmarshal(blob, &ecdsa) == nil && ecdsa.R.Sign() > 0 && ecdsa.S.Sign() > 0 &&
		bytes.Equal(ssh.Marshal(ecdsa), blob)
}
