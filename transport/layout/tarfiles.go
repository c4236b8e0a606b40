package layout

import (
	"io"

	"bale/bundle/fault"
	"bale/transport/tarfile"
)

// tarFiles is a layout's files in a tar.
type tarFiles struct {
	where string
	tar   *tarfile.Tar
}

// open implements [files].
func (t tarFiles) open(name, what string) (io.ReadCloser, int64, error) {
	f, ok, err := t.tar.Find(name)
	switch {
	case err != nil:
		return nil, 0, err
	case !ok:
		return nil, 0, fault.Missing("%s: %s is not there", t.where, what)
	}
	return io.NopCloser(t.tar.Section(f)), f.Size, nil
}

func (tarFiles) close() error { return nil }
