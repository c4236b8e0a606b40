//go:build unix

package sign_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"bale/bundle/fault"
	"bale/sign"
)

// A FIFO that nobody writes to must not make bale wait.
func TestKeyFromFIFO(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, "/dev/null"} {
		_, err := sign.LoadPrivateKey(path, nil)
		refused(t, err, fault.ErrUsage, "not a regular file", "regular file")
		_, err = sign.LoadPublicKey(path)
		refused(t, err, fault.ErrUsage, "not a regular file", "regular file")
	}
}
