package main

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"github.com/spf13/cobra"

	"bale/bundle/fault"
)

// advise adds the advice that all errors of a kind have in common. What the
// place that failed has to say wins, since it knows more.
func advise(err error, c *cobra.Command) error {
	for _, a := range []struct {
		kind error
		hint string
	}{
		{context.Canceled, "run it again; whatever has a name at the target is whole"},
		{fault.ErrUsage, "see: " + c.CommandPath() + " --help"},
		{syscall.EPIPE, "whoever read the output has stopped; what it said tells why"},
		{syscall.ENOSPC, "make room there, or write to another place"},
		{syscall.EDQUOT, "make room there, or write to another place"},
		{syscall.EROFS, "write to another place; this one takes no writes"},
		{fs.ErrPermission, "check who may read and write there"},
		{fs.ErrNotExist, "check the spelling of the path"},
		{syscall.ENOTDIR, "check the spelling of the path"},
		{syscall.EISDIR, "give the path of a file"},
		{fault.ErrDamaged, "fetch it again from where it is whole; sha256sum FILE on both sides tells whether a copy is the same"},
		{fault.ErrMissing, "check the names and the platform that were asked for"},
		{fault.ErrUnsupported, "a newer bale may know it"},
	} {
		if errors.Is(err, a.kind) {
			return fault.WithHint(err, "%s", a.hint)
		}
	}
	return err
}
