package main

import (
	"os"
	"syscall"
	"testing"

	"bale/transport/parts"
)

// mountTmpfs mounts a file system of a size ("64k", "1m") and returns what
// unmounts it.
func mountTmpfs(t testing.TB, dir, size string, readOnly bool) func() {
	t.Helper()
	if os.Geteuid() != 0 {
		parts.Missing(t, "root for mounting a file system")
	}
	var flags uintptr
	if readOnly {
		flags = syscall.MS_RDONLY
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, "size="+size); err != nil {
		parts.Missing(t, "the right to mount a file system")
	}
	return func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	}
}

func makeFIFO(path string) error { return syscall.Mkfifo(path, 0o600) }
