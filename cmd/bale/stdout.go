package main

import (
	"io"
	"os"

	"golang.org/x/term"

	"bale/bundle/fault"
)

// takeStdout gives standard output to what is written there. From then on the
// words of the result go to standard error.
func (a *app) takeStdout(what string) (io.Writer, error) {
	if f, ok := a.out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return nil, fault.WithHint(fault.Usage("standard output is a terminal, and no place for %s", what),
			"send it to a file or into a pipe")
	}
	out := a.out
	a.out, a.piped = a.err, true
	return out, nil
}
