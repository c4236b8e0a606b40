//go:build unix

package commit

import (
	"io/fs"
	"os"
	"syscall"
)

// chown gives f the owner of another file, or at least its group.
func chown(f *os.File, of fs.FileInfo) bool {
	want, ok := of.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	if f.Chown(int(want.Uid), int(want.Gid)) != nil {
		_ = f.Chown(-1, int(want.Gid)) // seen below
	}
	fi, err := f.Stat()
	if err != nil {
		return false
	}
	has, ok := fi.Sys().(*syscall.Stat_t)
	return ok && has.Uid == want.Uid && has.Gid == want.Gid
}
