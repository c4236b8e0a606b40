//go:build !linux

package parts

import (
	"errors"
	"os/exec"
)

// dockerd and its like run on Linux only; elsewhere their tests do not start.
var errLinux = errors.New("needs Linux")

func startChild(*exec.Cmd, chan<- struct{}) error { return errLinux }

func killChild(*exec.Cmd) error { return errLinux }

func unmountBelow(string) error { return errLinux }
