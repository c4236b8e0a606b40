package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/verify"
)

// stateEnv names the file that remembers which bundles were loaded.
const stateEnv = "BALE_STATE"

// noState is the stateEnv that makes bale remember nothing.
const noState = "off"

// nameFlag is the name of a bundle. An empty one, as from an unset variable, is
// refused and not taken for none.
type nameFlag string

func (f *nameFlag) String() string { return string(*f) }
func (f *nameFlag) Type() string   { return "string" }
func (f *nameFlag) Set(s string) error {
	if err := bundle.CheckName(s); err != nil {
		return err
	}
	*f = nameFlag(s)
	return nil
}

// sequenceFlag is a bundle's number among those of its name; 0 is none.
type sequenceFlag uint64

func (f *sequenceFlag) Type() string { return "uint" }
func (f *sequenceFlag) String() string {
	if *f == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(*f), 10)
}

func (f *sequenceFlag) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n == 0 || n > bundle.MaxSequence {
		return fmt.Errorf("not a number from 1 to %d", uint64(bundle.MaxSequence))
	}
	*f = sequenceFlag(n)
	return nil
}

// placeFlags give a new bundle its place among others.
type placeFlags struct {
	name     nameFlag
	sequence sequenceFlag
}

func (f *placeFlags) add(c *cobra.Command) {
	c.Flags().Var(&f.name, "name", "`NAME` of the row of bundles that this is one of")
	c.Flags().Var(&f.sequence, "sequence", "its `NUMBER` in that row, higher than those before; 1, or one more than that of the bases")
}

func (f *placeFlags) check() error {
	if f.sequence != 0 && f.name == "" {
		return fault.WithHint(fault.Usage("--sequence says nothing without a name"), "give the bundle one, for example: --name edge")
	}
	return nil
}

// number returns the sequence number of a bundle with these bases; 0 if it has
// no name. A base of the same name comes before it.
func (f *placeFlags) number(bases []bundle.Header) (uint64, error) {
	if f.name == "" {
		return 0, nil
	}
	var last uint64
	for _, b := range bases {
		if b.Name == string(f.name) {
			last = max(last, b.Sequence)
		}
	}
	switch n := uint64(f.sequence); {
	case n != 0 && n <= last:
		return 0, fault.WithHint(fault.Usage("--sequence %d is not higher than %d, which a base of the name %s has", n, last, f.name),
			"leave --sequence out, and it is one more")
	case n != 0:
		return n, nil
	case last >= bundle.MaxSequence:
		return 0, fault.Usage("no sequence number is left for %s: a base has %d", f.name, last)
	}
	return last + 1, nil
}

// order puts a bundle's place into words, "" if it has none.
func order(h bundle.Header) string {
	switch {
	case h.Name == "":
		return ""
	case h.Sequence == 0:
		return "name " + h.Name
	}
	return fmt.Sprintf("name %s, sequence %d", h.Name, h.Sequence)
}

// orderHelp is part of the help of load and verify.
const orderHelp = `
With --name the bundle must carry that name, and a sequence number above that of
the last one that was loaded under it, or be that very bundle again: an old bundle
is still well signed. Where a policy decides, the number must be so for the name that the
bundle carries. What was loaded last stands in the file that BALE_STATE names,
or in bale/loaded.json in XDG_STATE_HOME or ~/.local/state; whoever can write that
file can have old bundles taken.`

// orderFlags say which bundle is expected.
type orderFlags struct {
	name   nameFlag
	ignore bool
}

func (f *orderFlags) add(c *cobra.Command) {
	c.Flags().Var(&f.name, "name", "refuse what is not of this `NAME`, or older than what was loaded last")
}

func (f *orderFlags) addIgnore(c *cobra.Command) {
	c.Flags().BoolVar(&f.ignore, "insecure-ignore-sequence", false, "with --name or a policy: take the bundle although a newer one was loaded")
}

// check refuses what would say nothing.
func (f *orderFlags) check(trust trustFlags) error {
	switch {
	case f.name != "" && trust.insecure:
		return fault.Usage("--name and --insecure-skip-verify exclude each other: anybody can write a name into a bundle")
	}
	return nil
}

// note says what the user may want to know.
func (a *app) note(text string) {
	if !a.quiet && !a.json {
		fmt.Fprintln(a.err, "note: "+text)
	}
}

// row is what is known of the bundles of one name. A nil row is that of a
// bundle whose order is nobody's concern.
type row struct {
	a       *app
	state   *verify.State
	this    verify.Loaded
	wanted  bool // by --name or a policy; if not, it is only kept in mind
	ignore  bool
	broken  bool // the state is of no use, which was said
	release func()
}

// row looks up the row that a trusted bundle belongs to, which is the one that
// was asked for.
//
// A policy decides by the name, so by it the order matters as if the name had
// been asked for.
func (a *app) row(f orderFlags, h bundle.Header, res *verify.Result, byPolicy bool) (*row, error) {
	if f.ignore && f.name == "" && !byPolicy {
		return nil, fault.Usage("--insecure-ignore-sequence says nothing without --name or a policy")
	}
	this, err := verify.NewLoaded(h, res, time.Now())
	switch {
	case err != nil && f.name == "":
		return nil, nil // no row; and unsigned, anybody could use up its numbers
	case err != nil:
		return nil, err
	case f.name != "" && this.Name != string(f.name):
		return nil, fault.WithHint(fault.Untrusted("the bundle is of the name %s, not %s", this.Name, f.name), "bale inspect shows which bundle this is")
	}
	path := os.Getenv(stateEnv)
	switch path {
	case noState:
		if f.name != "" {
			return nil, fault.Usage("--name needs to know what was loaded last, and %s=%s remembers nothing", stateEnv, noState)
		}
		if byPolicy {
			a.warn(fmt.Sprintf("%s=%s remembers nothing, so an old bundle is taken for a new one until the policy says it is too old", stateEnv, noState))
		}
		return nil, nil
	case "":
		if path, err = verify.UserState(); err != nil {
			err = fault.WithHint(err, "name a file in %s", stateEnv)
			if f.name != "" || byPolicy {
				return nil, err
			}
			a.warn(fmt.Sprintf("cannot remember that sequence %d of %s was loaded: %v", this.Sequence, this.Name, err))
			return nil, nil
		}
	}
	return &row{a: a, state: verify.NewState(path), this: this, wanted: f.name != "" || byPolicy, ignore: f.ignore}, nil
}

// reserve keeps others from loading bundles of the name until end is called, if
// the order matters. It fails where nothing can be remembered later on.
func (r *row) reserve(ctx context.Context) (err error) {
	if r == nil || !r.wanted {
		return nil
	}
	r.release, err = r.state.Reserve(ctx, r.this.Name, r.waiting)
	return err
}

func (r *row) waiting(path string) {
	r.a.note(fmt.Sprintf("another bale loads %s or writes %s: waiting until %s is gone", r.this.Name, r.state.Path(), path))
}

// end lets others go on.
func (r *row) end() {
	if r != nil && r.release != nil {
		r.release()
	}
}

// check compares the bundle with the last one that was loaded.
func (r *row) check() error {
	if r == nil {
		return nil
	}
	if text := r.state.Exposed(); text != "" {
		r.a.warn(text + ", and have old bundles taken for new ones")
	}
	last, known, err := r.state.Last(r.this.Name)
	switch {
	case err != nil && !r.wanted:
		r.broken = true
		r.a.warn("what was loaded last is not known: " + err.Error())
		return nil
	case err != nil:
		return err
	case !known && r.wanted:
		r.a.note(fmt.Sprintf("%s knows of no earlier bundle of the name %s", r.state.Path(), r.this.Name))
		return nil
	case !known:
		return nil
	}
	err = r.this.After(last)
	switch {
	case err == nil:
		return nil
	case r.wanted && !r.ignore:
		return fault.WithHint(err, "get the newest bundle from the sender; to go back on purpose, load it with --insecure-ignore-sequence")
	}
	if r.wanted {
		r.a.waive(err.Error() + "; it is taken all the same")
	} else {
		r.a.warn(err.Error())
	}
	return nil
}

// record remembers that the bundle was loaded. A higher sequence that is
// remembered stays.
func (r *row) record(ctx context.Context) error {
	if r == nil || r.broken {
		return nil
	}
	now, err := r.state.Record(ctx, r.this, r.waiting)
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil && !r.wanted:
		r.a.warn(fmt.Sprintf("the images are loaded, but not remembered as sequence %d of %s: %v", r.this.Sequence, r.this.Name, err))
	case err != nil:
		return fault.WithHint(fmt.Errorf("the images are loaded, but not remembered as sequence %d of %s: %w", r.this.Sequence, r.this.Name, err),
			"run it again when that file can be written; until then an older bundle would be taken")
	case r.wanted && !r.ignore && r.this.After(now) != nil:
		return fault.WithHint(fmt.Errorf("the images are loaded, but so was a newer bundle meanwhile: %w", r.this.After(now)),
			"load the newer one again; with --name in every command this cannot happen")
	}
	return nil
}
