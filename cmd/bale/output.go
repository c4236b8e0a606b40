package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"bale/bundle/commit"
	"bale/bundle/fault"
	"bale/transport/bale"
)

// outputFlags say what bundle is to be written and who signs it.
type outputFlags struct {
	path     string
	who      signingFlags
	unsigned bool
	force    bool
	expires  expiresFlag
	until    *time.Time // when it expires; sink finds out
}

func (f *outputFlags) add(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVarP(&f.path, "output", "o", "", "`FILE` to write; - is standard output")
	f.who.add(c)
	fl.BoolVar(&f.unsigned, "unsigned", false, "do not sign")
	fl.Var(&f.expires, "expires", "`WHEN` verify and load are to refuse it: after a span such as 90d, 12h or 2w, or at 2026-12-31 or 2026-12-31T18:00:00Z")
	fl.BoolVar(&f.force, "force", false, "replace the output file if it is there")
}

// check refuses what contradicts itself; example is a path to propose.
func (f *outputFlags) check(example string) error {
	switch {
	case f.path == "":
		return fault.WithHint(fault.Usage("no output file was given"), "for example: -o %s", example)
	case f.unsigned && !f.who.none():
		return fault.Usage("--key and --unsigned exclude each other")
	case !f.unsigned && f.who.none():
		if err := f.who.check(); err != nil { // such as --identity-token without --keyless
			return err
		}
		return fault.WithHint(fault.Usage("no key was given to sign the bundle with"),
			"make one with bale keygen and give --key bale.key, or say --unsigned")
	}
	return f.who.check()
}

// dir is the folder for what is on its way to the output.
func (f *outputFlags) dir() string {
	if f.path == bale.Stdout {
		return os.TempDir()
	}
	return filepath.Dir(f.path)
}

// sink makes sure that the bundle can be written, and returns what writes it.
func (f *outputFlags) sink(a *app, signers *signing, o bale.SinkOptions) (*bale.Sink, error) {
	created, fixed, err := creationTime()
	if err != nil {
		return nil, err
	}
	if f.path == bale.Stdout {
		if o.Stdout, err = a.takeStdout("a bundle"); err != nil {
			return nil, err
		}
	}
	if f.until, err = f.expires.of(created); err != nil {
		return nil, err
	}
	o.Writer.Expires = f.until
	o.Path, o.Overwrite, o.Sign, o.Fixed = f.path, f.force, signers.sign, fixed
	o.Writer.Created, o.Writer.Creator = created, "bale "+version
	s, err := bale.NewSink(o)
	if err != nil {
		return nil, existing(err)
	}
	return s, nil
}

// writePublic writes a file that everybody may read.
func writePublic(ctx context.Context, path string, data []byte, replace bool) error {
	opts := []commit.Option{commit.Perm(0o644)}
	if replace {
		opts = append(opts, commit.Overwrite())
	}
	if err := commit.WriteFile(ctx, path, data, opts...); err != nil {
		return existing(err)
	}
	return nil
}

// existing tells what to do about a file that is there.
func existing(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return fault.WithHint(err, "choose another name, or replace it with --force")
	}
	return err
}

// sameFile reports whether two paths are one file that is there.
func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
