//go:build !linux

package main

import (
	"errors"
	"testing"

	"bale/transport/parts"
)

func mountTmpfs(t testing.TB, _, _ string, _ bool) func() {
	t.Helper()
	parts.Missing(t, "Linux for mounting a file system")
	return nil
}

func makeFIFO(string) error { return errors.New("needs Linux") }
