package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bale/bundle/fault"
)

// streams are what a command talks through. Results go to out, all else to err.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// app is what all commands share.
type app struct {
	streams
	quiet bool
	json  bool
	stdin string // what standard input is, once it is taken
	piped bool   // standard output is taken, see takeStdout

	waived []string // what the user wanted to have passed all the same
}

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, s streams) int {
	a := &app{streams: s}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	c, err := root.ExecuteContextC(ctx)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil && c == root && len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		// Before a word that is no command, flags of one are complained of.
		err = fault.Usage("%w", unknownCommand(root, args))
	}
	if err != nil {
		// Flags after a wrong one were not parsed.
		a.json = a.json || slices.Contains(args, "--json")
		a.fail(advise(err, c))
	}
	return exitCode(err)
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "bale",
		Short: "Carry container images in signed, deduplicated bundles",
		Long: `bale saves container images into one signed bundle file and, on the far side,
verifies it and loads the images into a registry or an engine, every digest
the same.

  bale keygen
  bale save -o app.bale --key bale.key nginx:1.27 docker-daemon:my/app:1.0
  bale load -i app.bale --key bale.pub --to docker://registry.example:5000

A policy on the far side says who must have signed what, and load holds to it:
  bale policy example > policy.yaml
  bale sign --key second.key app.bale
  bale load -i app.bale --policy policy.yaml --to docker://registry.example:5000

What has been loaded need not be carried again:
  bale save -o may.bale --key bale.key --base april.bale nginx:1.27.1
  bale load -i may.bale --key bale.pub --to docker://registry.example:5000

Places of images:
` + placesHelp + exitHelp,
		SilenceErrors: true,
		// Letters that a misspelt command may have changed; two that change places are two.
		SuggestionsMinimumDistance: 2,
		SilenceUsage:               true,
		Args:                       cobra.NoArgs,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().BoolVarP(&a.quiet, "quiet", "q", false, "say nothing but errors and results")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fault.Usage("%w", err) })
	root.AddCommand(newSave(a), newSign(a), newLoad(a), newCopy(a), newVerify(a), newPolicy(a), newInspect(a), newReceipt(a), newInventory(a), newMerge(a), newProbe(a), newKeygen(a), newPublicKeyCommand(a), newTrustedRoot(a), newVersion(a))
	// The library adds these two when it runs, too late for what follows.
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	finish(root)
	return root
}

// finish gives every command below root what all have in common.
func finish(root *cobra.Command) {
	for _, c := range root.Commands() {
		c.Long += "\n" + exitHelp
		switch {
		case c.Name() == "help":
			c.Args = helpTopic
		case c.HasSubCommands():
			// Without a Run the library takes any argument for a cry for help.
			c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
		finish(c)
	}
	usageArgs(root)
}

// helpTopic refuses help about what is no command.
func helpTopic(cmd *cobra.Command, args []string) error {
	at := cmd.Root()
	for _, name := range args {
		i := slices.IndexFunc(at.Commands(), func(c *cobra.Command) bool { return c.Name() == name })
		if i < 0 {
			return unknownCommand(at, []string{name})
		}
		at = at.Commands()[i]
	}
	return nil
}

// usageArgs makes every complaint about c's arguments one of usage.
func usageArgs(c *cobra.Command) {
	check := c.Args
	if c.HasSubCommands() {
		check = unknownCommand
	}
	if check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return fault.Usage("%w", err)
			}
			return nil
		}
	}
}

func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	msg := fmt.Sprintf("unknown command %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		msg += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return errors.New(msg)
}

// fail prints an error and its hint, as JSON where the user asked for JSON.
func (a *app) fail(err error) {
	// Several errors that were joined stand on lines of their own.
	lines := slices.DeleteFunc(strings.Split(err.Error(), "\n"), func(l string) bool { return strings.TrimSpace(l) == "" })
	if len(lines) == 0 {
		lines = []string{"failed"}
	}
	msg, hint := strings.Join(lines, "; "), fault.Hint(err)
	if errors.Is(err, context.Canceled) {
		msg = "interrupted"
	}
	if a.json {
		_ = json.NewEncoder(a.err).Encode(struct { // there is nobody left to tell
			Error string `json:"error"`
			Hint  string `json:"hint,omitempty"`
			Code  int    `json:"code"`
		}{msg, hint, exitCode(err)})
		return
	}
	if n := len(lines) - 1; n > 0 && !errors.Is(err, context.Canceled) {
		for _, l := range lines[1:] {
			fmt.Fprintf(a.err, "bale: and: %s\n", l)
		}
		msg = fmt.Sprintf("%s (and %d more, see above)", lines[0], n)
	}
	fmt.Fprintf(a.err, "bale: error: %s\n", msg)
	if hint != "" {
		fmt.Fprintf(a.err, "bale: hint: %s\n", hint)
	}
}

// warn prints a line that the user should read although things go on. With
// --json all that is said beside the result is JSON too, an object a line.
func (a *app) warn(text string) {
	if a.json {
		_ = json.NewEncoder(a.err).Encode(struct { // see fail
			Warning string `json:"warning"`
		}{text})
		return
	}
	fmt.Fprintf(a.err, "bale: warning: %s\n", text)
}

// waive warns of what is passed all the same because the user said so, and keeps it
// in mind for the result.
func (a *app) waive(text string) {
	a.waived = append(a.waived, text)
	a.warn(text)
}

// result prints the outcome of a command: words, or v as JSON.
func (a *app) result(v any, words func(w io.Writer)) error {
	if a.piped && a.quiet {
		return nil
	}
	if !a.json {
		var b strings.Builder
		words(&b)
		_, err := io.WriteString(a.out, b.String())
		return err
	}
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func (a *app) jsonFlag(c *cobra.Command) {
	c.Flags().BoolVar(&a.json, "json", false, "print the result, and errors, as JSON")
}
