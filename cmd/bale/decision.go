package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/transport/bale"
	"bale/verify"
	"bale/verify/certificate"
	"bale/verify/policy"
)

// policyFlags say by which policy to decide, besides the keys of the command
// line.
type policyFlags struct {
	path    string
	ignore  bool
	old     bool
	explain bool
}

func (f *policyFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.path, "policy", "", "policy `FILE` to decide by; that of the user or the system if not given")
	c.Flags().BoolVar(&f.explain, "explain", false, "show each step of the decision")
}

func (f *policyFlags) addInsecure(c *cobra.Command) {
	c.Flags().BoolVar(&f.ignore, "insecure-ignore-policy", false, "decide by the keys that are given alone, although there is a policy")
	c.Flags().BoolVar(&f.old, "insecure-ignore-age", false, "take the bundle although it is too old for the policy, by its age or its sequence")
}

// check refuses what contradicts itself.
func (f *policyFlags) check() error {
	if f.path != "" && f.ignore {
		return fault.Usage("--policy and --insecure-ignore-policy exclude each other")
	}
	return nil
}

// policyHelp is part of the help of what decides.
const policyHelp = `
A policy says for each bundle name whose signatures it needs and how old it may be, and
which images it may have; see bale policy --help. It is read from --policy, or else from
bale/policy.yaml in XDG_CONFIG_HOME or ~/.config, or else from /etc/bale/policy.yaml.
Where keys are given too, policy and keys must both be satisfied.`

// decision is how to decide about bundles: by a policy, by who is named on the
// command line, or by both. It may be used for several, one after the other.
type decision struct {
	app      *app
	flags    trustFlags
	policy   *policy.Policy // nil without one
	keys     []verify.Authority
	root     *certificate.Root // of certificates; nil if none was given
	images   *imageDemand      // what images must be signed with; nil if nothing
	waivers  policy.Waivers
	tell     func(verify.Step) // may be nil
	rule     *policy.Rule      // the policy's, for the bundle that was opened last
	insecure bool
}

// newDecision reads the policy that is named or found, and the keys. Of those of
// the command line as many as --threshold says must have signed whatever the
// policy says; there may be none if there is a policy.
func (a *app) newDecision(f trustFlags) (d *decision, err error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	d = &decision{app: a, flags: f, insecure: f.insecure}
	d.waivers = policy.Waivers{Expiry: f.expiry.ignore, Age: f.policy.old, Sequence: f.policy.old}
	if f.policy.explain {
		d.tell = a.step
	}
	if d.keys, err = readKeys(f.keys); err != nil {
		return nil, err
	}
	if d.root, err = f.certified.load(); err != nil {
		return nil, err
	}
	switch who, err := f.certified.authority(d.root); {
	case err != nil:
		return nil, err
	case who != nil:
		d.keys = append(d.keys, who)
	}
	if err := d.read(f.policy); err != nil {
		return nil, err
	}
	switch {
	case d.policy == nil && f.policy.old:
		return nil, fault.Usage("--insecure-ignore-age says nothing without a policy")
	case len(d.keys) == 0 && f.policy.ignore && !d.insecure:
		return nil, fault.WithHint(fault.Usage("no key was given to verify the bundle with, and --insecure-ignore-policy asks no policy"),
			"give the sender's public key: --key bale.pub")
	case d.policy == nil && len(d.keys) == 0 && !d.insecure:
		return nil, fault.WithHint(fault.Usage("no key was given to verify the bundle with, and there is no policy"),
			"give the sender's public key: --key bale.pub; or a policy: --policy policy.yaml")
	case len(d.keys) == 0 && f.threshold > 1:
		return nil, fault.Usage("--threshold %d says nothing without keys: a policy has its own", f.threshold)
	}
	if f.images != nil {
		if d.images, err = f.images.demand(d.root, d.policy); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// read reads the policy, if there is one.
func (d *decision) read(f policyFlags) error {
	path := f.path
	if path == "" {
		found, ok, err := policy.Find()
		if f.ignore || d.insecure {
			if ok || err != nil {
				d.app.waive(fmt.Sprintf("the policy %s is not asked", found))
			}
			return nil
		}
		if err != nil || !ok {
			return err
		}
		path = found
	}
	p, err := policy.Load(path)
	if err != nil {
		return err
	}
	for _, text := range p.Exposed() {
		d.app.warn(text + ", and so say whom to trust")
	}
	d.policy = p
	d.explain(verify.Noted, "decided by policy %s", p)
	return nil
}

// trust returns whose signatures are needed.
func (d *decision) trust() verify.Trust {
	var more []verify.Rule
	if len(d.keys) > 0 {
		more = []verify.Rule{{Of: d.keys, Threshold: d.flags.threshold}}
	}
	if d.policy != nil {
		return d.policy.Trust(d.tell, more...)
	}
	return verify.Trust{Alternatives: []verify.Alternative{{Rules: more}}, Explain: d.tell}
}

// decide looks at the signatures of a bundle, of which nothing else is believed
// yet.
func (d *decision) decide(e *bundle.Envelope) (*verify.Result, error) {
	if d.insecure {
		d.app.waive("the bundle's signature is not verified")
		return verify.WithoutSignatureUnsafe(e), nil
	}
	res, err := decideFor(e, d.trust())
	if err != nil {
		d.explain(verify.Failed, "%v", err)
	}
	return res, err
}

// open decides about a bundle in steps: who signed, then bale.json, then the names
// and platforms of its images. Each is only read when the one before was decided.
// It closes the file if it fails.
func (d *decision) open(ctx context.Context, file *bale.File, open trusting) (_ *opened, err error) {
	defer func() {
		if err != nil {
			_ = file.Close() // only read from
		}
	}()
	res, err := d.decide(file.Envelope())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Path(), err)
	}
	r, err := open(file, ctx, d.voucher(res))
	if err != nil {
		return nil, err
	}
	if err := bale.Complete(ctx, r); err != nil {
		return nil, fmt.Errorf("%s: %w", file.Path(), err)
	}
	if err := d.checkImages(ctx, r); err != nil {
		return nil, fmt.Errorf("%s: %w", file.Path(), err)
	}
	return &opened{d, file, r, res}, nil
}

// voucher vouches for what res does, if bale.json is as it must be.
func (d *decision) voucher(res *verify.Result) bundle.Voucher { return headerVoucher{res, d} }

type headerVoucher struct {
	*verify.Result
	d *decision
}

// VouchesFor implements [bundle.HeaderVoucher].
func (v headerVoucher) VouchesFor(h bundle.Header) (err error) {
	d := v.d
	if d.flags.lenient {
		return nil
	}
	now := time.Now()
	if d.policy == nil {
		if err := d.app.checkExpiry(d.flags.expiry, h, now); err != nil {
			d.explain(verify.Failed, "%v", err)
			return err
		}
		return nil
	}
	d.app.warnFuture(h, now)
	d.rule, err = d.policy.CheckHeader(v.Result, h, now, d.waivers, d.waiving)
	return err
}

// waiving tells a step of a decision about bale.json, and warns of what is waived:
// nothing else of it is ignored.
func (d *decision) waiving(s verify.Step) {
	if s.Verdict == verify.Ignored {
		d.app.waive(s.Text + "; it is taken all the same")
	}
	if d.tell != nil {
		d.tell(s)
	}
}

// checkImages decides by what the index of a bundle says.
func (d *decision) checkImages(ctx context.Context, r *bundle.Reader) error {
	if d.policy == nil || d.rule == nil {
		return nil
	}
	images, err := policyImages(ctx, r, d.rule.WantsPlatforms())
	if err != nil {
		if errors.Is(err, fault.ErrMissing) {
			err = fault.WithHint(err, "the policy asks for platforms, which stand there")
		}
		return err
	}
	return d.rule.CheckImages(images, d.tell)
}

// inOrder decides by what was loaded before; r may be nil.
func (d *decision) inOrder(r *row) error {
	err := r.check()
	switch {
	case err != nil:
		d.explain(verify.Failed, "%v", err)
	case r != nil && r.wanted && !r.ignore:
		d.explain(verify.Passed, "sequence %d of %s: no later one was loaded", r.this.Sequence, r.this.Name)
	}
	return err
}

// explain tells a step if somebody wants to know.
func (d *decision) explain(v verify.Verdict, format string, args ...any) {
	if d.tell != nil {
		d.tell(verify.Step{Verdict: v, Text: fmt.Sprintf(format, args...)})
	}
}

// step is a step as JSON has it.
type step struct {
	Verdict string `json:"verdict"`
	Text    string `json:"text"`
}

func newStep(s verify.Step) step { return step{s.Verdict.String(), s.Text} }

func (s step) String() string { return fmt.Sprintf("%-8s %s", s.Verdict, s.Text) }

// step shows a step of a decision beside the result.
func (a *app) step(s verify.Step) {
	one := newStep(s)
	if a.json {
		_ = json.NewEncoder(a.err).Encode(struct { // see fail
			Step step `json:"step"`
		}{one})
		return
	}
	fmt.Fprintln(a.err, one)
}
