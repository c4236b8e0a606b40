package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command explains itself and lists the exit codes.
func TestHelpOfEveryCommand(t *testing.T) {
	n := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		n++
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		o := mustRun(t, args...)
		if o.errout != "" {
			t.Errorf("bale %s writes to stderr: %s", strings.Join(args, " "), o.errout)
		}
		for _, want := range []string{exitHelp, "Usage:\n", c.CommandPath()} {
			if !strings.Contains(o.out, want) {
				t.Errorf("bale %s does not show %q:\n%s", strings.Join(args, " "), want, o.out)
			}
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short help %q", c.CommandPath(), c.Short)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(&app{}))
	if n < 8 {
		t.Errorf("only %d commands", n)
	}
}

// The examples that the help shows are command lines that bale understands:
// they fail for what is not there, not for how they are written.
func TestExamplesAreUnderstood(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, line := range strings.Split(c.Example, "\n") {
			words := strings.Fields(line)
			for len(words) > 0 && words[0] != "bale" {
				words = words[1:] // variables in front
			}
			if len(words) == 0 || c.Parent() == nil || c.Parent().HasParent() {
				continue // completion's are for shells
			}
			cmd, rest, err := newRoot(&app{}).Find(words[1:])
			if err != nil {
				t.Errorf("%s: %v", line, err)
				continue
			}
			if err := cmd.ParseFlags(rest); err != nil {
				t.Errorf("%s: %v", line, err)
			}
			if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(&app{}))
}
