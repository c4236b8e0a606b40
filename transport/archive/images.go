package archive

import (
	"context"
	"os"

	"bale/transport"
	"bale/transport/layout"
	"bale/transport/tarfile"
)

// Images opens a tar of size bytes that holds images in either form: as a
// docker-archive or as an OCI layout. where is what errors call it. The source
// owns f, unless this fails. Errors and selectors are those of [OpenFile].
func Images(ctx context.Context, f *os.File, size int64, where string) (transport.Source, error) {
	local := layout.LocalRepository(where)
	src, err := openSource(ctx, f, size, where, local)
	if err == nil || !unusable(err) {
		return src, err
	}
	t, terr := tarfile.Open(ctx, f, size, where, layout.Unique...)
	if terr != nil {
		return nil, terr
	}
	l, lerr := layout.NewTarSource(t, where, local)
	if lerr != nil {
		return nil, err
	}
	return &ociImages{l, f}, nil
}

// ociImages is a layout in a file that is closed with it.
type ociImages struct {
	layout.Source
	file *os.File
}

// Close implements [transport.Source].
func (s *ociImages) Close() error { return s.file.Close() }
