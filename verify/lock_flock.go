//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package verify

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes a lock file's lock or fails, with errBusy if somebody else has
// it. The system frees it when its process ends, however that comes about.
func tryLock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := holdLock(f); err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return func() {
		_ = os.Remove(path) // if it stays it is locked again the next time
		_ = f.Close()       // frees it; nothing was written
	}, nil
}

func holdLock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK), errors.Is(err, syscall.EINTR):
		return errBusy
	case err != nil:
		return &os.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	// Who had it before has removed the file, so another may stand there now.
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	there, err := os.Lstat(f.Name())
	if errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(mine, there) {
		return errBusy
	}
	return err
}
