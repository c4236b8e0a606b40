package sign

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"bale/bundle/fault"
)

// MaxKeyFile is the largest key file that is read, in bytes. A key of 8192
// bits with its wrapping has less than 10 KiB.
const MaxKeyFile = 64 << 10

// ReadKeyFile returns the content of a key file. Its errors do not name the
// file; the callers do.
func ReadKeyFile(path string) ([]byte, error) {
	// Without O_NONBLOCK the open of a FIFO would wait for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.WithHint(fault.Missing("%w", fs.ErrNotExist), "check the path of the key")
	}
	if err != nil {
		return nil, pathless(err)
	}
	defer func() { _ = f.Close() }() // read only: nothing to lose
	fi, err := f.Stat()
	switch {
	case err != nil:
		return nil, pathless(err)
	case fi.IsDir():
		return nil, fault.WithHint(fault.Usage("is a folder"), "give the key file itself")
	case !fi.Mode().IsRegular():
		return nil, fault.WithHint(fault.Usage("is not a regular file"), "give a key in a regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxKeyFile+1))
	if err != nil {
		return nil, pathless(err)
	}
	if len(data) > MaxKeyFile {
		return nil, fault.WithHint(fault.Usage("has more than %d bytes, too many for a key", MaxKeyFile), "give the key file itself")
	}
	return data, nil
}

// pathless takes operation and path out of err, which the callers name.
func pathless(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
