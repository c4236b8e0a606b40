package layout

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"bale/bundle/fault"
)

// folder is a layout's folder, which nothing that is read leads out of.
type folder struct {
	reader
	dir  string // as the user wrote it
	root *os.Root
}

func openFolder(dir string) (*folder, error) {
	fi, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.WithHint(fault.Missing("oci:%s: there is no such folder", dir), "check the path")
	case err != nil:
		return nil, fmt.Errorf("oci:%s: %w", dir, err)
	case !fi.IsDir():
		return nil, fault.WithHint(fault.Usage("oci:%s: not a folder", dir),
			"an OCI layout in one file is written oci-archive:FILE")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("oci:%s: %w", dir, err)
	}
	f := &folder{dir: dir, root: root}
	f.reader = reader{where: "oci:" + dir, local: localRepository(dir), files: f}
	return f, nil
}

func (f *folder) close() error { return f.root.Close() }

// open implements [files].
func (f *folder) open(name, what string) (io.ReadCloser, int64, error) {
	// Looked at before it is opened: opening a pipe would wait for a writer.
	fi, err := f.root.Stat(name)
	if err != nil {
		return nil, 0, f.explain(what, err)
	}
	if !fi.Mode().IsRegular() {
		return nil, 0, fault.Damaged("%s: %s is not a regular file", f.where, what)
	}
	file, err := f.root.Open(name)
	if err != nil {
		return nil, 0, f.explain(what, err)
	}
	return file, fi.Size(), nil
}

// explain turns an error of the file system into a fault.
func (f *folder) explain(what string, err error) error {
	var errno syscall.Errno
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.Missing("%s: %s is not there", f.where, what)
	case errors.As(err, &errno):
		return fmt.Errorf("%s: %s: %w", f.where, what, err)
	}
	// What os.Root refuses is no error of the system's.
	return fault.Damaged("%s: %s leads out of the folder: %w", f.where, what, err)
}
