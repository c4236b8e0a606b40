package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/bundle/pack"
	"bale/transport"
	"bale/transport/bale"
)

type mergeOptions struct {
	out     outputFlags
	trust   baseTrustFlags
	level   string
	place   placeFlags
	receipt string
}

func newMerge(a *app) *cobra.Command {
	var o mergeOptions
	c := &cobra.Command{
		Use:   "merge -o FULL.bale --key KEY BASE.bale UPDATE.bale...",
		Short: "Make one bundle that is complete by itself of a base and its updates",
		Long: `Make one bundle of several, which builds on no other: all images of all of them,
with the same digests. Where two have an image of the same name, that of the later
one on the command line is taken. Updates need not stand in the order in which they
were made, but all that they build on must be among the bundles.

The new bundle is signed with --key, which may be a key of one's own. Every bundle that
goes in must be signed by it, or by one of the --base-key.

How layers are rebuilt is not found out again: what the bundles say of it is proven by
rebuilding them, and layers that they keep as they came are kept so.

With --name and --sequence the bundle gets a place in a row; without --sequence it is
one more than the highest of that name that goes in. SOURCE_DATE_EPOCH fixes the time.`,
		Example: `  bale merge -o full.bale --key bale.key base.bale update.bale
  bale merge -o full.bale --key mine.key --base-key sender.pub base.bale may.bale june.bale`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.merge(cmd.Context(), o, args) },
	}
	o.out.add(c)
	f := c.Flags()
	o.trust.add(c, "the bundles")
	f.StringVar(&o.level, "level", "default", "effort of compression: fast, default, best")
	f.StringVar(&o.receipt, "receipt", "", "write a receipt to `FILE`: what the bundle holds, without its content, to be a --base later")
	o.place.add(c)
	a.jsonFlag(c)
	return c
}

func (o *mergeOptions) check(args []string) error {
	if err := o.out.check("full.bale"); err != nil {
		return err
	}
	if err := o.trust.check(); err != nil {
		return err
	}
	if o.out.unsigned && !o.trust.named() {
		return noKeyForBundles()
	}
	for _, arg := range args {
		if sameFile(arg, o.out.path) {
			return fault.Usage("%s goes in and would come out, too", arg)
		}
	}
	return o.place.check()
}

func noKeyForBundles() error {
	return fault.WithHint(fault.Usage("no key was given to verify the bundles with"), "give the public key of who signed them with --base-key, or --base-policy")
}

func (a *app) merge(ctx context.Context, o mergeOptions, args []string) (err error) {
	if err := o.check(args); err != nil {
		return err
	}
	level, err := pack.ParseLevel(o.level)
	if err != nil {
		return fault.Usage("--level: %w", err)
	}
	keys, err := a.loadSigners(ctx, o.out.who)
	if err != nil {
		return err
	}
	trust, err := o.trust.trust(keys)
	if err != nil {
		return err
	}
	if len(trust.Alternatives) == 0 && !o.trust.insecure { // who signs has no key
		return noKeyForBundles()
	}
	m := a.progress()
	defer m.finish()
	m.Phase("verify", 0)
	in := &merging{bases: bale.NewBases(o.out.dir())}
	defer func() { err = errors.Join(err, in.close()) }()
	if o.trust.insecure {
		a.warn("the signatures of the bundles are not verified")
	}
	for _, arg := range args {
		if err := in.add(ctx, arg, trust, o.trust.insecure); err != nil {
			return err
		}
	}
	m.finish()
	requests, err := in.requests(ctx, a)
	if err != nil {
		return err
	}
	// Before a place for the output is taken.
	for i, r := range in.readers {
		if err := in.bases.Provide(ctx, r, blobsOf(r), false, nil); err != nil {
			return fmt.Errorf("%s: %w", args[i], err)
		}
	}
	sequence, err := o.place.number(in.headers())
	if err != nil {
		return err
	}
	var kept keptLayers
	sink, err := o.out.sink(a, keys, bale.SinkOptions{
		Receipt:  o.receipt,
		Writer:   bundle.WriterOptions{Level: level, Name: string(o.place.name)},
		Preparer: &bundle.Preparer{Scratch: o.out.dir(), Known: in.known, Kept: kept.add},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sink.Close()) }()
	sink.BuildOn(nil, sequence)
	plan, err := transport.Copy(ctx, requests, sink, transport.Options{
		Progress: m, SpoolDir: o.out.dir(),
		Planned: func(p *transport.Plan) error { return sink.Start(ctx, p) },
	})
	if err != nil {
		return err
	}
	m.finish()
	kept.warn(a)
	return a.saved(o.out.path, sink, plan, keys.who(), bundle.Header{Name: string(o.place.name), Sequence: sequence, Expires: o.out.until}, nil)
}

// merging is bundles that are made one, while they are in use.
type merging struct {
	bases   *bale.Bases // all of them: each may build on any other
	readers []*bundle.Reader
	files   []*bale.File
}

func (m *merging) close() error {
	errs := []error{m.bases.Close()}
	for _, f := range m.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

func (m *merging) add(ctx context.Context, path string, trust baseTrust, insecure bool) error {
	file, err := openBundle(ctx, path)
	if err != nil {
		return err
	}
	m.files = append(m.files, file)
	r, err := trustFile(ctx, file, trust, insecure, (*bale.File).Trust)
	if err != nil {
		return err
	}
	if err := bale.Complete(ctx, r); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	m.readers = append(m.readers, r)
	m.bases.AddBundle(path, r)
	return nil
}

func (m *merging) headers() []bundle.Header {
	var out []bundle.Header
	for _, r := range m.readers {
		out = append(out, r.Header())
	}
	return out
}

// requests asks for all images, the later of those with one name.
func (m *merging) requests(ctx context.Context, a *app) ([]transport.Request, error) {
	var out []transport.Request
	at := make(map[string]int)
	from := make(map[string]string)
	all := &union{}
	for _, r := range m.readers {
		all.add(r, m.bases)
	}
	for n := range m.readers {
		images, err := all.sources[n].Images(ctx, "")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.files[n].Path(), err)
		}
		for _, i := range images {
			name, path := i.Name.String(), m.files[n].Path()
			request := transport.Request{Source: all, Image: i, Target: i.Name}
			before, ok := at[name]
			if !ok {
				at[name], from[name] = len(out), path
				out = append(out, request)
				continue
			}
			if out[before].Image.Root.Digest != i.Root.Digest {
				a.note(fmt.Sprintf("%s is taken from %s, not from %s", name, path, from[name]))
			}
			out[before], from[name] = request, path
		}
	}
	return out, nil
}

// known is a [bundle.Preparer]'s Known. A bundle that takes the blob apart knows
// more than one that does not.
func (m *merging) known(ctx context.Context, d digest.Digest, _ int64) (*bundle.Candidate, bool) {
	stored := false
	for _, r := range m.readers {
		switch c, ok := r.Candidate(ctx, d); {
		case ok && c != nil:
			return c, true
		case ok:
			stored = true
		}
	}
	return nil, stored
}
