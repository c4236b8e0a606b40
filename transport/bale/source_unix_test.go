//go:build unix

package bale_test

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"bale/bundle/fault"
	"bale/transport/bale"
)

// Opening a pipe that nobody writes to would never end.
func TestOpenDoesNotWaitForAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	must(t, syscall.Mkfifo(path, 0o600))
	if _, err := bale.Open(t.Context(), path); !errors.Is(err, fault.ErrUsage) || fault.Hint(err) == "" {
		t.Errorf("%v, want a usage error with a hint", err)
	}
}
