package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"bale/bundle/fault"
	"bale/transport/bale"
	"bale/transport/tarfile"
	"bale/verify"
	"bale/verify/policy"
)

func newPolicy(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Check a policy, and decide about bundles by it",
		Long: `A policy is a file in which an organisation writes down whose signatures its bundles
need, how old they may be, which images they may have, and what these must be signed
with. What it does not allow is refused. Where there is one, load and verify decide by
it; its keys need not be given again.

  bale policy example > policy.yaml     a policy to begin with, explained
  bale policy check policy.yaml         what it demands, in words; or what is wrong with it
  bale policy check --policy policy.yaml app.bale
                                        what it says of a bundle, step by step
  bale policy schema                    its form, for editors

It is found in bale/policy.yaml in XDG_CONFIG_HOME or ~/.config, then in
/etc/bale/policy.yaml, or named with --policy.`,
	}
	c.AddCommand(newPolicyCheck(a), newPolicyExample(a), newPolicySchema(a))
	return c
}

func newPolicyExample(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "example",
		Short:   "Print a policy to begin with",
		Long:    `Print a policy to begin with, in which comments explain each part.`,
		Example: "  bale policy example > policy.yaml",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.out.Write(policy.Example)
			return err
		},
	}
}

func newPolicySchema(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the form of a policy as JSON Schema",
		Long: `Print the form of a policy as JSON Schema (draft 2020-12), by which editors help to
write one. bale policy check also finds what a schema cannot say.`,
		Example: "  bale policy schema > policy.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.out.Write(policy.Schema)
			return err
		},
	}
}

func newPolicyCheck(a *app) *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "check [--policy POLICY] [FILE]",
		Short: "Say what a policy demands, or what it says of a bundle",
		Long: `If FILE is a policy, check it and say in words what it demands. If it is a bundle,
decide about it by the policy that --policy names or that is found, and show each
step; the exit code is that of bale verify. Who signed is looked at, what the bundle
says of itself, whether a later one was loaded, and what its images are signed with where
the policy asks for that. That takes no time: their content is not looked at, which is
left to bale verify. Without FILE the policy itself is checked.`,
		Example: "  bale policy check policy.yaml\n  bale policy check --policy policy.yaml app.bale",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.checkPolicy(path)
			}
			is, err := isPolicy(args[0])
			switch {
			case err != nil:
				return err
			case is && path != "":
				return fault.WithHint(fault.Usage("%s is a policy, and --policy names another one", args[0]), "give a bundle to decide about")
			case is:
				return a.checkPolicy(args[0])
			}
			return a.checkByPolicy(cmd.Context(), path, args[0])
		},
	}
	c.Flags().StringVar(&path, "policy", "", "policy `FILE` to decide by; that of the user or the system if not given")
	a.jsonFlag(c)
	return c
}

// isPolicy tells a policy from a bundle: that is a tar, which begins with a name
// and zeros.
func isPolicy(path string) (bool, error) {
	if path == tarfile.Stdin {
		return false, nil
	}
	if fi, err := os.Stat(path); err == nil && !fi.Mode().IsRegular() {
		return false, nil // which will be complained of
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, fault.WithHint(fault.Missing("%s: %w", path, fs.ErrNotExist), "check the path of the policy or bundle")
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }() // only read from
	head, err := io.ReadAll(io.LimitReader(f, tarBlock))
	if err != nil {
		return false, err
	}
	return !bytes.ContainsRune(head, 0), nil
}

// checkPolicy says what a policy demands.
func (a *app) checkPolicy(path string) error {
	if path == "" {
		found, ok, err := policy.Find()
		if err != nil {
			return err
		}
		if !ok {
			return fault.WithHint(fault.Missing("there is no policy of the user or the system"),
				"name one; bale policy example prints one to begin with")
		}
		path = found
	}
	p, err := policy.Load(path)
	if err != nil {
		return err
	}
	for _, text := range p.Exposed() {
		a.warn(text + ", and so say whom to trust")
	}
	s := p.Summary()
	return a.result(s, s.Print)
}

// decided is what a policy says of a bundle.
type decided struct {
	Policy   string          `json:"policy"`
	Bundle   string          `json:"bundle"`
	Name     string          `json:"name,omitempty"` // these are only known once it is trusted
	Sequence uint64          `json:"sequence,omitempty"`
	Rule     string          `json:"rule,omitempty"`
	Accepted bool            `json:"accepted"`
	Signers  []signer        `json:"signers"`
	Images   []verifiedImage `json:"images,omitempty"` // where the policy demands something of any
	Steps    []step          `json:"steps"`
}

// checkByPolicy decides about a bundle and shows how.
func (a *app) checkByPolicy(ctx context.Context, path, file string) error {
	d, err := a.newDecision(trustFlags{threshold: 1, policy: policyFlags{path: path}, images: new(imageTrustFlags)})
	if err != nil {
		return err
	}
	v := decided{Policy: d.policy.String(), Bundle: file, Signers: []signer{}, Steps: []step{}}
	d.tell = func(s verify.Step) { v.Steps = append(v.Steps, newStep(s)) }
	d.explain(verify.Noted, "decided by policy %s", d.policy)
	f, err := a.openFile(ctx, file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read from
	err = d.through(ctx, f, &v)
	v.Accepted = err == nil
	if n := len(v.Steps); err != nil && (n == 0 || v.Steps[n-1].Verdict != verify.Failed.String()) {
		d.explain(verify.Failed, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	printed := a.result(v, v.print)
	if err != nil {
		return err
	}
	return printed
}

// through goes through all steps of a decision, and notes what is found out.
func (d *decision) through(ctx context.Context, f *bale.File, v *decided) error {
	o, err := d.open(ctx, f, (*bale.File).TrustIndex)
	if d.rule != nil {
		v.Rule = d.rule.String()
	}
	if err != nil {
		return err
	}
	r, h := o.r, o.r.Header()
	v.Name, v.Sequence, v.Signers = h.Name, h.Sequence, signersOf(o.res)
	row, err := d.app.row(orderFlags{}, h, o.res, true)
	if err == nil {
		err = d.inOrder(row)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.Path(), err)
	}
	if v.Images, err = d.app.verifyImages(ctx, r, bale.NewSource(r), nil, d.images, d.tell); err != nil {
		return fmt.Errorf("%s: %w", f.Path(), err)
	}
	return nil
}

func (v *decided) print(w io.Writer) {
	for _, s := range v.Steps {
		fmt.Fprintln(w, s)
	}
	if v.Accepted {
		fmt.Fprintf(w, "%s: accepted by %s, rule %s\n", v.Bundle, v.Policy, v.Rule)
	} else {
		fmt.Fprintf(w, "%s: refused by %s\n", v.Bundle, v.Policy)
	}
}
