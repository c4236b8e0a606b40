package layout

import (
	"context"
	"io"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
)

// source reads a layout as its index.json was when it was opened.
type source struct {
	f       *folder
	entries []entry
}

var _ transport.Local = (*source)(nil)

// Open opens the layout in a folder to read from it. A folder that is not
// there or is no layout is a [fault.ErrMissing], one of another version a
// [fault.ErrUnsupported], one whose index.json makes no sense a
// [fault.ErrDamaged].
//
// A selector of its images is what stands in index.json (a ref.name or a
// containerd name), a digest, an image's name, or a tag that only one has.
func Open(dir string) (transport.Source, error) {
	f, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	s := &source{f: f}
	if err := s.load(); err != nil {
		_ = f.close() // nothing was written
		return nil, err
	}
	return s, nil
}

func (s *source) load() error {
	if err := s.f.checkMarker(); err != nil {
		return err
	}
	idx, err := s.f.readIndex()
	if err != nil {
		return err
	}
	s.entries = images(s.f.dir, idx)
	return nil
}

// Images implements [transport.Source].
func (s *source) Images(ctx context.Context, selector string) ([]transport.Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if selector == "" {
		return all(s.f.dir, s.entries)
	}
	img, err := find(s.f.dir, s.entries, selector)
	if err != nil {
		return nil, err
	}
	return []transport.Image{img}, nil
}

// Manifest implements [transport.Source]. What it returns is verified.
func (s *source) Manifest(ctx context.Context, _ transport.Image, d v1.Descriptor) ([]byte, error) {
	return s.f.manifest(ctx, d)
}

// Blob implements [transport.Source]. The size is checked, the digest is not.
func (s *source) Blob(ctx context.Context, _ transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	file, err := s.f.openBlob(d)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{contextReader{ctx, file}, file}, nil
}

// Local implements [transport.Local].
func (s *source) Local() bool { return true }

// Close implements [transport.Source].
func (s *source) Close() error { return s.f.close() }
