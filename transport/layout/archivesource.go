package layout

import (
	"context"
	"errors"
	"io"
	"os"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/savelist"
	"bale/transport/tarfile"
)

// OpenOption changes how [OpenArchive] opens an archive.
type OpenOption func(*openOptions)

type openOptions struct{ stdin io.Reader }

// Stdin is what [OpenArchive] reads if the file is "-".
func Stdin(r io.Reader) OpenOption { return func(o *openOptions) { o.stdin = r } }

// archiveSource is a layout in a tar that is closed with it.
type archiveSource struct {
	*source
	file *os.File
}

// OpenArchive opens the layout in a tar, an oci-archive, to read from it. The
// tar may be compressed by gzip or Zstandard. Errors and selectors are those of
// [Open]; images that have no more than a tag are named after the file.
func OpenArchive(ctx context.Context, path string, opts ...OpenOption) (transport.Source, error) {
	var o openOptions
	for _, set := range opts {
		set(&o)
	}
	where := "oci-archive:" + path
	f, size, err := tarfile.OpenFile(ctx, path, o.stdin, where)
	if err != nil {
		return nil, err
	}
	s, err := openArchive(ctx, f, size, where, LocalRepository(path))
	if err != nil {
		_ = f.Close() // only read from
		return nil, err
	}
	return &archiveSource{s, f}, nil
}

func openArchive(ctx context.Context, f *os.File, size int64, where, local string) (*source, error) {
	t, err := tarfile.Open(ctx, f, size, where, Unique...)
	if err != nil {
		return nil, err
	}
	s, err := newTarSource(t, where, local)
	switch {
	case !errors.Is(err, fault.ErrMissing):
		return s, err
	case t.Has(savelist.Name):
		return nil, fault.WithHint(err, "a file of docker save is written docker-archive:FILE")
	}
	return nil, fault.WithHint(err, "the file is no OCI layout, or not all of one")
}

// Close implements [transport.Source].
func (s *archiveSource) Close() error { return s.file.Close() }
