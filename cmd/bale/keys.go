package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/sign"
	"bale/transport/bale"
	"bale/transport/tarfile"
	"bale/verify"
)

// stdinName is what errors call what comes through a pipe.
const stdinName = "standard input"

// trustFlags say whom to believe.
type trustFlags struct {
	keys     []string
	insecure bool
}

func (f *trustFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.keys, "key", nil, "public key `FILE` to verify with; may be given several times, one must have signed")
}

func (f *trustFlags) addInsecure(c *cobra.Command) {
	c.Flags().BoolVar(&f.insecure, "insecure-skip-verify", false, "take the bundle whoever made it; it is only checked against accidents")
}

// check refuses what would be ignored, and doing without trust by accident.
func (f *trustFlags) check() error {
	switch {
	case f.insecure && len(f.keys) > 0:
		return fault.Usage("--key and --insecure-skip-verify exclude each other")
	case !f.insecure && len(f.keys) == 0:
		return fault.WithHint(fault.Usage("no key was given to verify the bundle with"),
			"give the sender's public key: --key bale.pub")
	}
	return nil
}

// keyring loads the keys.
func (f *trustFlags) keyring() (list []verify.Authority, err error) {
	for _, k := range f.keys {
		pub, err := sign.LoadPublicKey(k)
		if err != nil {
			return nil, err
		}
		list = append(list, verify.Key(pub))
	}
	return list, nil
}

// open opens a bundle, decides about it, and only then parses it. The caller
// closes the file.
func (a *app) open(c *cobra.Command, path string, f trustFlags) (*bale.File, *bundle.Reader, *verify.Result, error) {
	return a.openAs(c, path, f, (*bale.File).Trust)
}

// openAs is open, for bundles with content or for receipts and inventories too.
func (a *app) openAs(c *cobra.Command, path string, f trustFlags, open trusting) (*bale.File, *bundle.Reader, *verify.Result, error) {
	if err := f.check(); err != nil {
		return nil, nil, nil, err
	}
	file, err := a.openFile(c.Context(), path)
	if err != nil {
		return nil, nil, nil, err
	}
	r, res, err := a.trust(c, file, f, open)
	if err != nil {
		return nil, nil, nil, err
	}
	return file, r, res, nil
}

// trust decides about a bundle that is open, and only then parses it. It closes
// the file if it fails.
func (a *app) trust(c *cobra.Command, file *bale.File, f trustFlags, open trusting) (_ *bundle.Reader, _ *verify.Result, err error) {
	defer func() {
		if err != nil {
			_ = file.Close() // only read from
		}
	}()
	keys, err := f.keyring()
	if err != nil {
		return nil, nil, err
	}
	res, err := a.decide(file.Envelope(), verify.TrustAny(keys...), f.insecure)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file.Path(), err)
	}
	r, err := open(file, c.Context(), res)
	if err != nil {
		return nil, nil, err
	}
	if err := bale.Complete(c.Context(), r); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file.Path(), err)
	}
	return r, res, nil
}

// openFile opens a bundle file, of which nothing is believed yet. The path - is
// standard input, which is kept in a file without a name.
func (a *app) openFile(ctx context.Context, path string) (*bale.File, error) {
	if path == tarfile.Stdin {
		in, err := a.takeStdin("a bundle")
		if err != nil {
			return nil, err
		}
		f, _, err := tarfile.Spool(ctx, in, stdinName)
		if err != nil {
			return nil, err
		}
		return bale.FromFile(ctx, f, stdinName)
	}
	return openBundle(ctx, path)
}

// openBundle opens a bundle by its path.
func openBundle(ctx context.Context, path string) (*bale.File, error) {
	f, err := bale.Open(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.WithHint(fault.Missing("bundle %s: %w", path, fs.ErrNotExist), "check the path of the bundle")
	}
	return f, err
}

func (a *app) decide(e *bundle.Envelope, t verify.Trust, insecure bool) (*verify.Result, error) {
	if insecure {
		a.warn("the bundle's signature is not verified")
		return verify.WithoutSignatureUnsafe(e), nil
	}
	return decideFor(e, t)
}

func decideFor(e *bundle.Envelope, t verify.Trust) (*verify.Result, error) {
	r, err := verify.Verify(e, t)
	if errors.Is(err, fault.ErrUnsupported) {
		// Whatever form the signature has, nobody that is known vouches for the bundle.
		err = fault.Untrusted("%w", err)
	}
	return r, err
}

// signer is one line of who signed.
type signer struct {
	Fingerprint string `json:"fingerprint"`
	Algorithm   string `json:"algorithm"`
}

func newSigner(i sign.Identity) signer { return signer{i.Fingerprint, i.Algorithm} }

func signersOf(r *verify.Result) []signer {
	out := []signer{}
	for _, s := range r.Signers() {
		out = append(out, newSigner(s.Identity))
	}
	return out
}

func printSigners(w io.Writer, list []signer) {
	for _, s := range list {
		fmt.Fprintf(w, "signed by %s key %s\n", s.Algorithm, s.Fingerprint)
	}
	if len(list) == 0 {
		fmt.Fprintln(w, "signature not verified")
	}
}

// signing is who signs what is written, and what came of it.
type signing struct {
	signers []sign.Signer
	known   []verify.Authority // each of them, as one to verify with
	made    []*sign.Signature
}

// loadSigners reads private keys to sign with.
func (a *app) loadSigners(ctx context.Context, paths []string) (*signing, error) {
	s := new(signing)
	seen := make(map[string]bool)
	for _, p := range paths {
		k, err := sign.LoadPrivateKey(p, func() ([]byte, error) { return a.password(ctx) })
		if err != nil {
			return nil, err
		}
		if id := k.Public().ID(); !seen[id] { // one signature by each key
			seen[id] = true
			s.signers, s.known = append(s.signers, k), append(s.known, verify.Key(k.Public()))
		}
	}
	return s, nil
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

// trusting returns those who sign, and the keys in some files.
func (s *signing) trusting(keys []string) ([]verify.Authority, error) {
	more := trustFlags{keys: keys}
	list, err := more.keyring()
	return append(list, s.known...), err
}
