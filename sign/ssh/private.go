package ssh

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"

	"bale/bundle/fault"
	"bale/sign"
)

// PrivateKey is a key to sign with. The zero value signs nothing; call
// [ParsePrivateKey].
type PrivateKey struct {
	public *PublicKey
	signer ssh.AlgorithmSigner
}

// envelope is OpenSSH's own form of a private key, as far as it is not encrypted
// (PROTOCOL.key).
type envelope struct {
	Cipher  string
	KDF     string
	Options string
	Number  uint32
	Public  []byte
	Private []byte
	Rest    []byte `ssh:"rest"`
}

const envelopeMagic = "openssh-key-v1\x00"

// The ciphers that x/crypto reads. OpenSSH has more, and writes the first.
const cipherHint = "change it: ssh-keygen -p -Z aes256-ctr -f FILE"

var ciphers = map[string]bool{"none": true, "aes256-ctr": true, "aes256-cbc": true}

// ParsePrivateKey reads a private key in OpenSSH's own form; those in PEM forms
// are for package sign. The password function is asked once, and only if the key
// is encrypted; nil means that there is none to ask.
//
// No error holds any part of key or password.
func ParsePrivateKey(data []byte, password func() ([]byte, error)) (*PrivateKey, error) {
	block, rest := pem.Decode(data)
	switch {
	case block == nil || block.Type != privateLabel:
		return nil, fault.Usage("is not a private key in OpenSSH's form")
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, fault.WithHint(fault.Usage("holds more than one key"), "keep one key in a file")
	}
	public, err := publicHalf(block)
	if err != nil {
		return nil, err
	}
	// The library takes the block by itself only, without what stands before it.
	alone := pem.EncodeToMemory(&pem.Block{Type: privateLabel, Bytes: block.Bytes})
	priv, err := guard(func() (any, error) { return ssh.ParseRawPrivateKey(alone) })
	var encrypted *ssh.PassphraseMissingError
	if errors.As(err, &encrypted) {
		if priv, err = decrypt(alone, password); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, damaged()
	}
	return newPrivateKey(public, priv)
}

// publicHalf returns the public half, which is never encrypted, and refuses with
// words what the library refuses without.
func publicHalf(block *pem.Block) (*PublicKey, error) {
	body, ok := bytes.CutPrefix(block.Bytes, []byte(envelopeMagic))
	var e envelope
	if !ok || ssh.Unmarshal(body, &e) != nil || e.Number != 1 {
		return nil, damaged()
	}
	public, err := newPublicKey(e.Public)
	switch {
	case errors.Is(err, fault.ErrUnsupported):
		return nil, err
	case err != nil:
		return nil, damaged()
	case public.kind.fido:
		return nil, fault.WithHint(fault.Unsupported("is the handle of a key in a FIDO token, which bale reaches through ssh-agent only"),
			"add it there with ssh-add, and give the .pub file")
	case !ciphers[e.Cipher]:
		return nil, fault.WithHint(fault.Unsupported("is encrypted with %s, which bale does not read", quote(e.Cipher)), cipherHint)
	case len(e.Rest) != 0: // other ciphers put a tag there
		return nil, damaged()
	}
	return public, nil
}

func decrypt(alone []byte, password func() ([]byte, error)) (any, error) {
	if password == nil {
		return nil, fault.WithHint(fault.Usage("is encrypted, and there is no password"),
			"set COSIGN_PASSWORD, or give the .pub file to sign through ssh-agent")
	}
	pw, err := password()
	if err != nil {
		return nil, fmt.Errorf("ask for its password: %w", err)
	}
	priv, err := guard(func() (any, error) { return ssh.ParseRawPrivateKeyWithPassphrase(alone, pw) })
	if err != nil {
		return nil, fault.WithHint(fault.Usage("cannot be decrypted: wrong password, or the file is damaged"),
			"check COSIGN_PASSWORD, or what you typed")
	}
	return priv, nil
}

// guard calls into the library, which may panic on the numbers of a key that do
// not fit each other.
func guard[T any](call func() (T, error)) (got T, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("malformed key")
		}
	}()
	return call()
}

// newPrivateKey puts the halves together, if they are of one key.
func newPrivateKey(public *PublicKey, priv any) (*PrivateKey, error) {
	if k, ok := priv.(*ed25519.PrivateKey); ok {
		// The library does not compare the halves in it. Two signatures under
		// different public halves would give the private one away.
		if !k.Equal(ed25519.NewKeyFromSeed(k.Seed())) {
			return nil, damaged()
		}
		priv = *k
	}
	c, ok := priv.(crypto.Signer)
	if !ok {
		return nil, damaged()
	}
	s, err := ssh.NewSignerFromSigner(c)
	if err != nil || !bytes.Equal(s.PublicKey().Marshal(), public.blob) {
		return nil, damaged()
	}
	signer, ok := s.(ssh.AlgorithmSigner)
	if !ok {
		return nil, damaged()
	}
	return &PrivateKey{public: public, signer: signer}, nil
}

func damaged() error {
	return fault.WithHint(fault.Usage("cannot be read: the SSH key is damaged"), "try it with: ssh-keygen -y -f FILE")
}

// Public returns the public half.
func (k *PrivateKey) Public() *PublicKey { return k.public }

// String names the key by its public half.
func (k *PrivateKey) String() string {
	if k.public == nil {
		return "no private key"
	}
	return "private half of " + k.public.String()
}

// Sign implements [sign.Signer].
func (k *PrivateKey) Sign(ctx context.Context, message []byte) (*sign.Signature, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if k.signer == nil {
		return nil, errors.New("sign: no private key")
	}
	sig, err := k.public.made(message, func(data []byte) (*ssh.Signature, error) {
		return guard(func() (*ssh.Signature, error) {
			return k.signer.SignWithAlgorithm(rand.Reader, data, k.public.kind.formats[0])
		})
	})
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", k.public, err)
	}
	return sig, nil
}

var _ sign.Signer = (*PrivateKey)(nil)
