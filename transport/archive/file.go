package archive

import (
	"context"
	"errors"
	"io"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/layout"
	"bale/transport/tarfile"
)

// OpenOption changes how [OpenFile] opens an archive.
type OpenOption func(*openOptions)

type openOptions struct{ stdin io.Reader }

// Stdin is what [OpenFile] reads if the file is "-".
func Stdin(r io.Reader) OpenOption { return func(o *openOptions) { o.stdin = r } }

// OpenFile opens a docker-archive to read from it; it may be compressed by gzip
// or Zstandard. One that holds its images as an OCI layout too is read as that,
// since only there do they have their own manifests, and so their digests. A
// file that is not there is a [fault.ErrMissing], one that makes no sense a
// [fault.ErrDamaged].
//
// A selector of its images is a name by Docker's rules, "@N" for the n-th image
// of manifest.json, the first being @0, or the digest of an image's config, by
// which engines call it, or of its manifest.
func OpenFile(ctx context.Context, path string, opts ...OpenOption) (transport.Source, error) {
	var o openOptions
	for _, set := range opts {
		set(&o)
	}
	where := "docker-archive:" + path
	f, size, err := tarfile.OpenFile(ctx, path, o.stdin, where)
	if err != nil {
		return nil, err
	}
	src, err := openSource(ctx, f, size, where, layout.LocalRepository(path))
	if err != nil {
		_ = f.Close() // only read from
		return nil, err
	}
	return src, nil
}

// input is what an archive is read from.
type input interface {
	io.ReaderAt
	io.Closer
}

func openSource(ctx context.Context, f input, size int64, where, local string) (transport.Source, error) {
	t, err := tarfile.Open(ctx, f, size, where, layout.Unique...)
	if err != nil {
		return nil, err
	}
	l, err := layout.NewTarSource(t, where, local)
	if err != nil && !unusable(err) {
		return nil, err
	}
	a, aerr := newArchive(t, where)
	if aerr != nil {
		if err == nil {
			aerr = fault.WithHint(aerr, "an OCI layout in a file is written oci-archive:FILE")
		}
		return nil, aerr
	}
	if err == nil {
		whole, err := isWhole(ctx, l, a)
		if err != nil {
			return nil, err
		}
		if whole {
			return &hybrid{l, a, f}, nil
		}
	}
	return newSource(a, f, local), nil
}

// unusable reports whether an error says that there is no layout that could be
// read, as opposed to one of reading it.
func unusable(err error) bool {
	for _, kind := range []error{fault.ErrMissing, fault.ErrDamaged, fault.ErrUnsupported, fault.ErrUsage} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
