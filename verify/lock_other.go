//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package verify

import (
	"errors"
	"io/fs"
	"os"
)

// tryLock takes a lock by making its file or fails, with errBusy if it is
// there. One whose process was killed has to be removed by hand.
func tryLock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, errBusy
	}
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	return func() { _ = os.Remove(path) }, nil // if it stays the user is told whom it waits for
}
