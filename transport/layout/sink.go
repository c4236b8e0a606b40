package layout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
)

// sink writes a layout. Nothing is made before something is written.
type sink struct {
	naming
	dir string

	writing sync.Map // digest.Digest → *sync.Mutex: a blob is written once

	mu        sync.Mutex
	f         *folder                   // nil as long as the folder does not exist
	ready     map[digest.Algorithm]bool // the layout has a folder for such blobs
	closed    bool
	committed bool
	good      map[digest.Digest]int64 // blobs whose content this run has verified, and their sizes
	traces    traces                  // what this run has put there
}

// NewSink returns a sink onto the layout in dir, which is made when something
// is written to it: dir may be missing or empty. What a layout holds stays,
// but an image of the same name is replaced. A folder that holds something
// else is a [fault.ErrUsage].
func NewSink(dir string, opts ...Option) (transport.Sink, error) {
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	s := &sink{
		dir: dir, ready: make(map[digest.Algorithm]bool), good: make(map[digest.Digest]int64),
		naming: naming{where: "oci:" + dir, local: localRepository(dir), ref: o.ref, hasRef: o.hasRef},
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	f, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	if err := f.checkWritable(); err != nil {
		_ = f.close() // nothing was written
		return nil, err
	}
	s.f = f
	return s, nil
}

// Properties implements [transport.Sink].
func (s *sink) Properties() transport.Properties { return transport.Properties{} }

// Holds implements [transport.Sink]. It is always false: to be sure, all of
// the image would have to be hashed, which Has does where it is of use.
func (s *sink) Holds(_ context.Context, img transport.Image, _ []byte) (bool, error) {
	return false, s.admit(img)
}

// Has implements [transport.Sink]. A blob counts only after its content was
// hashed; one that is damaged is not there.
func (s *sink) Has(ctx context.Context, d v1.Descriptor, images []transport.Image) (bool, error) {
	if err := s.admit(images...); err != nil {
		return false, err
	}
	if err := blob.Check(d.Digest, d.Size); err != nil {
		return false, err
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	s.mu.Lock()
	f := s.f
	size, verified := s.good[d.Digest]
	s.mu.Unlock()
	if verified || f == nil {
		return verified && size == d.Size, nil
	}
	file, err := f.openBlob(d)
	if errors.Is(err, fault.ErrMissing) || errors.Is(err, fault.ErrDamaged) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }()
	r, err := blob.NewReader(blob.WithContext(ctx, file), d.Digest, d.Size)
	if err != nil {
		return false, err
	}
	switch _, err := io.Copy(io.Discard, r); {
	case errors.Is(err, fault.ErrDamaged):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("oci:%s: check blob %s: %w", s.dir, d.Digest, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.good[d.Digest] = d.Size
	return true, nil
}

// WriteBlob implements [transport.Sink].
func (s *sink) WriteBlob(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
	return s.write(ctx, d, images, open)
}

// WriteManifest implements [transport.Sink].
func (s *sink) WriteManifest(ctx context.Context, d v1.Descriptor, images []transport.Image, content []byte) error {
	return s.write(ctx, d, images, func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	})
}

func (s *sink) write(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
	if err := s.admit(images...); err != nil {
		return err
	}
	if err := blob.Check(d.Digest, d.Size); err != nil {
		return fmt.Errorf("write to oci:%s: %w", s.dir, err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	one, _ := s.writing.LoadOrStore(d.Digest, new(sync.Mutex))
	one.(*sync.Mutex).Lock()
	defer one.(*sync.Mutex).Unlock()
	if s.verified(d) {
		return nil
	}
	if err := s.prepare(ctx, d.Digest.Algorithm()); err != nil {
		return err
	}
	rc, err := open(ctx)
	if err != nil {
		return fmt.Errorf("write blob %s to oci:%s: %w", d.Digest, s.dir, err)
	}
	err = s.put(ctx, d, blob.WithContext(ctx, rc))
	if cerr := rc.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("close blob %s: %w", d.Digest, cerr)
	}
	return err
}

func (s *sink) verified(d v1.Descriptor) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	size, ok := s.good[d.Digest]
	return ok && size == d.Size
}

// Close implements [transport.Sink]. Without a Commit it removes the blobs
// that this run wrote and that no image of the layout needs, and the folder if
// this run made it.
func (s *sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var err error
	if s.f != nil {
		if !s.committed {
			err = s.traces.remove(s.f)
		}
		if cerr := s.f.close(); err == nil {
			err = cerr
		}
		s.f = nil
	}
	clear(s.good)
	if !s.committed {
		s.traces.removeFolders()
	}
	return err
}
