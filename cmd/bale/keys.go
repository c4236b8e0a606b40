package main

import (
	"context"
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/transport/bale"
	"bale/transport/tarfile"
	"bale/verify"
	"bale/verify/certificate"
	"bale/verify/keyring"
)

// stdinName is what errors call what comes through a pipe.
const stdinName = "standard input"

// trustFlags say whom to believe.
type trustFlags struct {
	keys      []string
	threshold int
	certified certifiedFlags
	policy    policyFlags
	expiry    expiryFlags
	insecure  bool
	images    *imageTrustFlags // whose signatures images must have; nil where nobody looks
	// lenient is for who only looks at a bundle, or takes content from it that is
	// known by its digest: who signed is decided, and nothing else.
	lenient bool
}

func (f *trustFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.keys, "key", nil, "public key `FILE` to verify with: PEM, SSH or OpenPGP; may be given several times, one must have signed")
	c.Flags().IntVar(&f.threshold, "threshold", 1, "`NUMBER` of different signers among those given who must have signed")
	f.certified.add(c)
	f.policy.add(c)
}

func (f *trustFlags) addInsecure(c *cobra.Command) {
	c.Flags().BoolVar(&f.insecure, "insecure-skip-verify", false, "take the bundle whoever made it; it is only checked against accidents")
}

// named reports whether anybody, or a policy, is named to decide by.
func (f *trustFlags) named() bool {
	return len(f.keys) > 0 || f.certified.named() || f.policy.path != ""
}

// check refuses what would be ignored.
func (f *trustFlags) check() error {
	switch {
	case f.insecure && len(f.keys) > 0:
		return fault.Usage("--key and --insecure-skip-verify exclude each other")
	case f.insecure && f.certified.named():
		return fault.Usage("--certificate-identity and --insecure-skip-verify exclude each other")
	case f.insecure && f.policy.path != "":
		return fault.Usage("--policy and --insecure-skip-verify exclude each other")
	case f.threshold < 1:
		return fault.Usage("--threshold is %d, and at least one must have signed", f.threshold)
	}
	if err := f.policy.check(); err != nil {
		return err
	}
	return f.certified.check(f.images != nil && f.images.who != certificate.Identity{})
}

// readKeys reads the public keys in some files.
func readKeys(paths []string) (list []verify.Authority, err error) {
	for _, path := range paths {
		keys, err := keyring.Load(path)
		if err != nil {
			return nil, err
		}
		list = append(list, keys...)
	}
	return list, nil
}

// opened is a bundle that was decided about, and then parsed.
type opened struct {
	*decision
	file *bale.File
	r    *bundle.Reader
	res  *verify.Result
}

func (o *opened) Close() error { return o.file.Close() }

// open opens a bundle, decides about it, and only then parses it.
func (a *app) open(c *cobra.Command, path string, f trustFlags) (*opened, error) {
	return a.openAs(c, path, f, (*bale.File).Trust)
}

// openAs is open, for bundles with content or for receipts and inventories too.
func (a *app) openAs(c *cobra.Command, path string, f trustFlags, open trusting) (*opened, error) {
	d, err := a.newDecision(f)
	if err != nil {
		return nil, err
	}
	file, err := a.openFile(c.Context(), path)
	if err != nil {
		return nil, err
	}
	return d.open(c.Context(), file, open)
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

func decideFor(e *bundle.Envelope, t verify.Trust) (*verify.Result, error) {
	r, err := verify.Verify(e, t)
	if errors.Is(err, fault.ErrUnsupported) {
		// Whatever form the signature has, nobody that is known vouches for the bundle.
		err = fault.Untrusted("%w", err)
	}
	return r, err
}
