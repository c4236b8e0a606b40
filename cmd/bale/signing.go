package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"bale/bundle/container"
	"bale/bundle/fault"
	"bale/sign"
	"bale/sign/kms"
	"bale/sign/openpgp"
	"bale/sign/openpgp/gnupg"
	"bale/sign/sigstore"
	"bale/sign/ssh"
	"bale/verify"
)

// gnupgPrefix is in front of a key that the program gpg holds.
const gnupgPrefix = "gpg:"

// signingHelp is part of the help of what signs.
const signingHelp = `
KEY to sign with is told by its content: a key pair of bale keygen or cosign, another
private key in PEM form, an OpenSSH private key, an OpenPGP secret key; an SSH public key
stands for the key in ssh-agent, gpg:ID for the key that gpg holds, and a URI such as
hashivault://release for one in a service. An SSH key signs as ssh-keygen -Y sign does, an
OpenPGP key as gpg --detach-sign. With --certificate the far side needs the CA and not
the key, with --keyless neither (Sigstore: an identity token in place of a key).`

// signingFlags say who signs.
type signingFlags struct {
	keys    []string
	keyless keylessFlags
}

func (f *signingFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.keys, "key", nil, "private `KEY` to sign with: a file, gpg:ID, or the URI of one in a service; may be given several times")
	f.keyless.add(c)
}

// none reports whether nobody is to sign.
func (f *signingFlags) none() bool { return len(f.keys) == 0 && !f.keyless.keyless }

func (f *signingFlags) check() error {
	if len(f.keys) > container.MaxSignatures {
		return fault.Usage("%d keys are more than the %d that a bundle can be signed with", len(f.keys), container.MaxSignatures)
	}
	return f.keyless.check(len(f.keys))
}

// signing is who signs what is written, and what came of it.
type signing struct {
	signers []sign.Signer
	known   []verify.Authority // those who can be verified by a key, as such
	made    []*sign.Signature
}

// loadSigners reads private keys, and finds other signers. Keys that are
// encrypted are asked for one password.
func (a *app) loadSigners(ctx context.Context, f signingFlags) (*signing, error) {
	s := new(signing)
	seen := make(map[string]bool)
	for _, name := range f.keys {
		k, err := a.loadSigner(ctx, name)
		if err != nil {
			return nil, err
		}
		if seen[k.id] { // one signature by each key
			continue
		}
		seen[k.id] = true
		if pair, ok := k.Signer.(sigstore.Key); ok {
			signer, err := f.keyless.around(pair)
			if err != nil {
				return nil, err
			}
			k.Signer = signer
		} else if f.keyless.certificate != "" || len(f.keyless.stamps) > 0 {
			return nil, fault.WithHint(fault.Usage("%s signs in a form that has no room for a certificate or timestamp", name),
				"--certificate and --timestamp-server are for PEM keys and keys in services")
		}
		s.signers = append(s.signers, k.Signer)
		if f.keyless.certificate == "" {
			s.known = append(s.known, k.Authority)
		}
	}
	keyless, err := a.keylessSigner(ctx, &f.keyless)
	if err != nil {
		return nil, err
	}
	if keyless != nil {
		s.signers = append(s.signers, keyless)
	}
	return s, nil
}

// pair is a signer and who verifies what it signs.
type pair struct {
	sign.Signer
	verify.Authority
	id string // the same for the same key
	by sign.Identity
}

// Identity is who signs.
func (p pair) Identity() sign.Identity { return p.by }

func (p pair) String() string { return p.Authority.String() }

// loadSigner finds the signer that one --key names.
func (a *app) loadSigner(ctx context.Context, name string) (*pair, error) {
	if id, ok := strings.CutPrefix(name, gnupgPrefix); ok {
		k, err := gnupg.Open(ctx, id)
		if err != nil {
			return nil, err
		}
		return &pair{k, verify.OpenPGP(k.Key()), k.Key().IDs()[0], k.Key().Identity()}, nil
	}
	if kms.IsURI(name) {
		k, err := kms.Load(ctx, name)
		if err != nil {
			return nil, err
		}
		return &pair{k, verify.Key(k.Public()), k.Public().ID(), k.Public().Identity()}, nil
	}
	data, err := sign.ReadKeyFile(name)
	if err != nil {
		return nil, fmt.Errorf("private key %s: %w", sign.KeyName(name), err)
	}
	p, err := a.parseSigner(ctx, data)
	if err != nil {
		return nil, fmt.Errorf("private key %s: %w", sign.KeyName(name), err)
	}
	if text := sign.Exposed(name); text != "" && !ssh.IsPublicKey(data) {
		a.warn(fmt.Sprintf("private key %s %s", name, text))
	}
	return p, nil
}

// parseSigner reads a key file by its content.
func (a *app) parseSigner(ctx context.Context, data []byte) (*pair, error) {
	password := func() ([]byte, error) { return a.password(ctx) }
	switch {
	case ssh.IsPrivateKey(data):
		k, err := ssh.ParsePrivateKey(data, password)
		if err != nil {
			return nil, err
		}
		return &pair{k, verify.SSH(k.Public()), k.Public().Fingerprint(), k.Public().Identity()}, nil
	case ssh.IsPublicKey(data):
		list, err := ssh.ParsePublicKeys(data)
		if err != nil {
			return nil, err
		}
		if len(list) != 1 {
			return nil, fault.WithHint(fault.Usage("holds %d SSH keys", len(list)), "give a file with the one that is to sign")
		}
		k, err := ssh.Agent(ctx, list[0])
		if err != nil {
			return nil, err
		}
		return &pair{k, verify.SSH(list[0]), list[0].Fingerprint(), list[0].Identity()}, nil
	case openpgp.IsKey(data):
		return nil, fault.WithHint(fault.Usage("is a public key of OpenPGP, and signing takes a private one"),
			"for a key that gpg holds give --key gpg:FINGERPRINT")
	case openpgp.IsPrivateKey(data):
		k, err := openpgp.ParsePrivateKey(data, password)
		if err != nil {
			return nil, err
		}
		return &pair{k, verify.OpenPGP(k.Public()), k.Public().Fingerprint(), k.Public().Identity()}, nil
	}
	k, err := sign.ParsePrivateKey(data, password)
	if err != nil {
		return nil, err
	}
	return &pair{k, verify.Key(k.Public()), k.Public().ID(), k.Public().Identity()}, nil
}

// sign is a [bale.Sign].
func (s *signing) sign(ctx context.Context, sums []byte, add func(sign.Form, []byte) error) (err error) {
	if s.made, err = sign.All(ctx, s.signers, sums); err != nil {
		return err
	}
	for _, m := range s.made {
		if err := add(m.Form, m.Data); err != nil {
			return err
		}
	}
	return nil
}

// who is who signed.
func (s *signing) who() []signer {
	out := []signer{}
	for _, m := range s.made {
		out = append(out, newSigner(m.By))
	}
	return out
}
