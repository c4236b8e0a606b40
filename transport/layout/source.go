package layout

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/savelist"
	"bale/transport/tarfile"
)

// source reads a layout as its index.json was when it was opened.
type source struct {
	r       *reader
	entries []entry

	attaching sync.Mutex
	attached  *attached // nil until it is asked for
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
	s, err := newSource(&f.reader)
	if err != nil {
		_ = f.close() // nothing was written
		return nil, err
	}
	return s, nil
}

// OpenTar opens the layout in the tar of size bytes in r to read from it, as an
// oci-archive holds one and what docker save writes since Docker 25; where is
// what errors call it. Errors are those of [Open]. r must stay readable until
// the source is closed, which leaves r open.
func OpenTar(ctx context.Context, r io.ReaderAt, size int64, where string) (transport.Source, error) {
	t, err := tarfile.Open(ctx, r, size, where, Unique...)
	if err != nil {
		return nil, err
	}
	return NewTarSource(t, where, noName)
}

// Unique are the files that a tar with a layout must have once only, lest two
// tools see two layouts in it.
var Unique = []string{v1.ImageLayoutFile, v1.ImageIndexFile, savelist.Name}

// Source is all that can be had from a layout.
type Source interface {
	transport.Source
	transport.Local
	transport.Holding
	transport.Referring
	transport.Partial
}

// NewTarSource is [OpenTar] for a tar that is open already; its images that have
// no more than a tag are in the repository localhost/local.
func NewTarSource(t *tarfile.Tar, where, local string) (Source, error) {
	s, err := newTarSource(t, where, local)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func newTarSource(t *tarfile.Tar, where, local string) (*source, error) {
	return newSource(&reader{where: where, local: local, files: tarFiles{where, t}})
}

// newSource reads what a layout holds.
func newSource(r *reader) (*source, error) {
	if err := r.checkMarker(); err != nil {
		return nil, err
	}
	idx, err := r.readIndex()
	if err != nil {
		return nil, err
	}
	return &source{r: r, entries: images(r.local, idx)}, nil
}

// Images implements [transport.Source].
func (s *source) Images(ctx context.Context, selector string) ([]transport.Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if selector != "" {
		img, err := find(s.r.where, s.entries, selector)
		if err == nil {
			return []transport.Image{img}, nil
		}
		if !errors.Is(err, fault.ErrMissing) {
			return nil, err
		}
	}
	entries := s.entries
	if slices.ContainsFunc(entries, func(e entry) bool { return e.nameless() }) {
		// Signatures and the like are called after what they are attached to.
		a, err := s.attachments(ctx)
		if err != nil {
			return nil, err
		}
		entries = a.entries
	}
	if selector == "" {
		return all(s.r.where, entries)
	}
	img, err := find(s.r.where, entries, selector)
	if err != nil {
		return nil, err
	}
	return []transport.Image{img}, nil
}

// Manifest implements [transport.Source]. What it returns is verified.
func (s *source) Manifest(ctx context.Context, _ transport.Image, d v1.Descriptor) ([]byte, error) {
	return s.r.manifest(ctx, d)
}

// Blob implements [transport.Source]. The size is checked, the digest is not.
func (s *source) Blob(ctx context.Context, _ transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	file, err := s.r.openBlob(d)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{blob.WithContext(ctx, file), file}, nil
}

// Local implements [transport.Local].
func (s *source) Local() bool { return true }

// Close implements [transport.Source].
func (s *source) Close() error { return s.r.files.close() }
