package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/bale"
)

// baseFlags say what a bundle to be saved builds on.
type baseFlags struct {
	bases []string
	trust baseTrustFlags
}

func (f *baseFlags) add(c *cobra.Command) {
	fl := c.Flags()
	fl.StringArrayVar(&f.bases, "base", nil, "`WHAT` the far side has already: a bundle, its receipt, an inventory, or images; may be given several times")
	f.trust.add(c, "bases")
}

func (f *baseFlags) check() error {
	if len(f.bases) == 0 && f.trust.named() {
		return fault.Usage("--base-key, --base-policy and --insecure-skip-verify are about bases, and no --base was given")
	}
	return f.trust.check()
}

// openBases are bases while they are in use.
type openBases struct {
	readers []*bundle.Reader
	closers []io.Closer
	used    []usedBase
	all     *bale.Bases // an update among them may build on another one
}

// The kinds of what a bundle builds on.
const (
	bundleBase    = "bundle"
	receiptBase   = "receipt"
	inventoryBase = "inventory"
	imagesBase    = "images"
)

// usedBase is one thing that a bundle builds on.
type usedBase struct {
	Base string `json:"base"` // as the user wrote it
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

// kindOf tells what a file is.
func kindOf(r *bundle.Reader) string {
	switch {
	case r.Inventory():
		return inventoryBase
	case r.Detached():
		return receiptBase
	}
	return bundleBase
}

func (b *openBases) headers() []bundle.Header {
	var out []bundle.Header
	for _, r := range b.readers {
		out = append(out, r.Header())
	}
	return out
}

func (b *openBases) close() error {
	var errs []error
	for _, c := range b.closers {
		errs = append(errs, c.Close())
	}
	b.closers = nil
	return errors.Join(errs...)
}

// isBaseFile tells a base that is a file from images at a place.
func isBaseFile(arg string) bool {
	if isPlace(arg) {
		return false
	}
	if _, err := os.Stat(arg); err == nil {
		return true
	}
	// Not there: what looks like a file is not looked for in a registry.
	return filepath.IsAbs(arg) || strings.HasPrefix(arg, ".") || strings.HasSuffix(arg, ".bale") || strings.HasSuffix(arg, ".receipt")
}

// openBases opens all bases: files as they are, and images of places as one
// bundle that only this process sees, in dir.
func (a *app) openBases(ctx context.Context, f baseFlags, signers *signing, src *sources, dir string, p transport.Progress) (_ *openBases, err error) {
	b := &openBases{all: bale.NewBases(dir)}
	b.closers = append(b.closers, b.all)
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	trust, err := f.trust.trust(signers)
	if err != nil {
		return nil, err
	}
	warned := false
	var images []string
	for _, arg := range f.bases {
		if !isBaseFile(arg) {
			images = append(images, arg)
			continue
		}
		if len(trust.Alternatives) == 0 && !f.trust.insecure {
			return nil, fault.WithHint(fault.Usage("no key was given to verify base %s with", arg),
				"give the public key of who signed it with --base-key")
		}
		file, err := openBundle(ctx, arg)
		if err != nil {
			return nil, err
		}
		b.closers = append(b.closers, file)
		if f.trust.insecure && !warned {
			warned = true
			a.warn("the signatures of bases are not verified")
		}
		r, err := trustFile(ctx, file, trust, f.trust.insecure, (*bale.File).TrustIndex)
		if err != nil {
			return nil, fmt.Errorf("base: %w", err)
		}
		a.warnExpired(arg, kindOf(r), r.Header())
		b.readers = append(b.readers, r)
		b.all.AddBundle(arg, r)
		b.used = append(b.used, usedBase{arg, kindOf(r), r.Header().ID})
	}
	// Who gives images or a bundle too has said what to compare with.
	if len(images) == 0 && !slices.ContainsFunc(b.used, func(u usedBase) bool { return u.Kind == bundleBase }) {
		for _, u := range b.used {
			a.note(fmt.Sprintf("base %s is %s without content: changed files are not compared with what they were, unless the old images or their bundle are given as --base too", u.Base, article(u.Kind)))
		}
	}
	if len(images) == 0 {
		return b, nil
	}
	p.Phase("read bases", 0)
	requests, err := a.requests(ctx, src, images)
	if err != nil {
		return nil, noBase(images, err)
	}
	s, err := bale.NewScratch(ctx, requests, dir, transport.Options{Progress: p})
	if err != nil {
		return nil, fmt.Errorf("base: %w", err)
	}
	b.closers = append(b.closers, s)
	b.readers = append(b.readers, s.Reader)
	b.used = append(b.used, usedBase{strings.Join(images, " "), imagesBase, s.Header().ID})
	return b, nil
}

// noBase tells who meant a file that it is not there: bare names are images too.
func noBase(images []string, err error) error {
	for _, i := range images {
		if !isPlace(i) && !strings.ContainsAny(i, "/:") {
			return fmt.Errorf("base %s, which is no file here, as an image: %w", i, err)
		}
	}
	return fmt.Errorf("base: %w", err)
}

func article(noun string) string {
	if strings.ContainsAny(noun[:1], "aeiou") {
		return "an " + noun
	}
	return "a " + noun
}
