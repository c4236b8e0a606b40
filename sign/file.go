package sign

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"bale/bundle/fault"
)

// MaxKeyFile is the largest file with keys or certificates that is read, in
// bytes. A key of 8192 bits with its wrapping has less than 10 KiB; an OpenPGP
// key with many certifications, or a trusted root, more.
const MaxKeyFile = 1 << 20

// ReadKeyFile returns the content of a key file. A symbolic link to one is
// followed: Kubernetes and Nix keep secrets behind links. Its errors do not name
// the file; the callers do.
func ReadKeyFile(path string) ([]byte, error) {
	// To open is to act with some devices, and waits for a writer with a FIFO.
	fi, err := os.Stat(path)
	if err != nil {
		return nil, unreachable(path, err)
	}
	if err := regular(fi); err != nil {
		return nil, err
	}
	// What is opened may be another thing by now.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, unreachable(path, err)
	}
	defer func() { _ = f.Close() }() // read only: nothing to lose
	if fi, err = f.Stat(); err != nil {
		return nil, pathless(err)
	}
	if err := regular(fi); err != nil {
		return nil, err
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

// regular refuses what is no file with content of its own.
func regular(fi fs.FileInfo) error {
	switch {
	case fi.IsDir():
		return fault.WithHint(fault.Usage("is a folder"), "give the key file itself")
	case !fi.Mode().IsRegular():
		return fault.WithHint(fault.Usage("is not a regular file"), "give a key in a regular file")
	}
	return nil
}

// unreachable says why path does not lead to a file.
func unreachable(path string, err error) error {
	fi, lerr := os.Lstat(path)
	link := lerr == nil && fi.Mode()&fs.ModeSymlink != 0
	switch {
	case errors.Is(err, fs.ErrNotExist) && notFile(path) != nil:
		return notFile(path)
	case link && errors.Is(err, fs.ErrNotExist):
		return fault.WithHint(fault.Missing("is a symbolic link to what is not there: %w", fs.ErrNotExist), "check where the link leads")
	case errors.Is(err, fs.ErrNotExist):
		return fault.WithHint(fault.Missing("%w", fs.ErrNotExist), "check the path")
	case link && errors.Is(err, syscall.ELOOP):
		return fault.WithHint(fault.Usage("is a symbolic link that leads back to itself"), "give the key file itself")
	}
	return pathless(err)
}

// pathless takes operation and path out of err, which the callers name.
func pathless(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
