package main

import (
	"context"
	"errors"

	"bale/bundle/fault"
)

// The exit codes are a contract with scripts. A code that is not listed must be
// read as a failure.
const (
	exitDone       = 0   // all that was asked for is done
	exitFailed     = 1   // something failed
	exitUsage      = 2   // the request makes no sense as it was asked
	exitDamaged    = 3   // a bundle or an image is damaged, or is none
	exitUntrusted  = 4   // the bundle is not signed by whom it must be, refused by the policy, expired, or older than what was loaded
	exitIncomplete = 5   // something asked for is not there
	exitBrokenOff  = 130 // interrupted
)

// exitHelp is shown by every command's help.
const exitHelp = `
Exit codes:
  0    done
  1    failed
  2    usage: the command line, or a setting, makes no sense
  3    damaged: cut short, altered, or not a bundle
  4    not trusted: not signed by whom it must be, refused by the policy, expired,
       or older than what was loaded
  5    incomplete: something asked for is missing
  130  interrupted
`

// exitCode maps an error to its code.
func exitCode(err error) int {
	for _, c := range []struct {
		kind error
		code int
	}{
		{context.Canceled, exitBrokenOff},
		{fault.ErrUsage, exitUsage},
		{fault.ErrUntrusted, exitUntrusted},
		{fault.ErrDamaged, exitDamaged},
		{fault.ErrMissing, exitIncomplete},
	} {
		if errors.Is(err, c.kind) {
			return c.code
		}
	}
	if err != nil {
		return exitFailed
	}
	return exitDone
}
