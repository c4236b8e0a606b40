package layout

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/transport"
)

// tarSink writes a layout as one tar, front to back.
type tarSink struct {
	naming
	tw     *tar.Writer
	hybrid *hybrid // nil if there is no list for engines

	mu      sync.Mutex
	written map[digest.Digest]int64
	started bool  // the tar has begun
	ended   bool  // the tar is complete, or closed without that
	broken  error // why nothing more can be written
}

// NewTarSink returns a sink that streams a layout as a tar to w: each blob once,
// in the order in which they come, and index.json at Commit. The same calls give
// the same bytes. where is what errors call it. It closes nothing; what it has
// written without a Commit that succeeded is of no use.
func NewTarSink(w io.Writer, where string, opts ...Option) transport.Sink {
	o, err := newOptions(opts)
	s := newTarSink(w, where, noName, o)
	s.broken = err
	return s
}

func newTarSink(w io.Writer, where, local string, o options) *tarSink {
	s := &tarSink{
		naming: naming{where: where, local: local, ref: o.ref, hasRef: o.hasRef},
		tw:     tar.NewWriter(w), written: make(map[digest.Digest]int64),
	}
	if o.hybrid != nil {
		s.hybrid = newHybrid(*o.hybrid)
	}
	return s
}

// Properties implements [transport.Sink].
func (s *tarSink) Properties() transport.Properties { return transport.Properties{Ordered: true} }

// Holds implements [transport.Sink]: what is written anew holds nothing.
func (s *tarSink) Holds(_ context.Context, img transport.Image, _ []byte) (bool, error) {
	if err := s.usable(); err != nil {
		return false, err
	}
	return false, s.admit(img)
}

// Has implements [transport.Sink].
func (s *tarSink) Has(ctx context.Context, d v1.Descriptor, images []transport.Image) (bool, error) {
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
	defer s.mu.Unlock()
	size, ok := s.written[d.Digest]
	return ok && size == d.Size, nil
}

// usable reports why nothing can be written, if that is so.
func (s *tarSink) usable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended && s.broken == nil {
		return fmt.Errorf("%s: %w", s.where, errEnded)
	}
	return s.broken
}

var errEnded = errors.New("the tar has ended")

// WriteBlob implements [transport.Sink]. If the content turns out to be bad,
// nothing more can be written.
func (s *tarSink) WriteBlob(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
	return s.write(ctx, d, images, open)
}

// WriteManifest implements [transport.Sink].
func (s *tarSink) WriteManifest(ctx context.Context, d v1.Descriptor, images []transport.Image, content []byte) error {
	err := s.write(ctx, d, images, func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	})
	if err != nil || s.hybrid == nil {
		return err
	}
	return s.hybrid.note(d, content)
}

func (s *tarSink) write(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
	if err := s.usable(); err != nil {
		return err
	}
	if has, err := s.Has(ctx, d, images); has || err != nil {
		return err
	}
	rc, err := open(ctx)
	if err != nil {
		return fmt.Errorf("write blob %s to %s: %w", d.Digest, s.where, err)
	}
	defer func() { _ = rc.Close() }() // only read from; its end was reached or is of no use
	if err := s.start(); err != nil {
		return err
	}
	// The opener's content is verified, but what is published under a digest is
	// read by others for years: it is hashed here, too.
	content, err := blob.NewReader(blob.WithContext(ctx, rc), d.Digest, d.Size)
	if err != nil {
		return err
	}
	if err := s.put(blobPath(d), d.Size, content); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written[d.Digest] = d.Size
	return nil
}

// start begins the tar with the file that says that it is a layout.
func (s *tarSink) start() error {
	if s.started {
		return nil
	}
	content, err := json.Marshal(v1.ImageLayout{Version: v1.ImageLayoutVersion})
	if err != nil {
		return err
	}
	s.started = true
	return s.put(v1.ImageLayoutFile, int64(len(content)), bytes.NewReader(content))
}

// put writes one entry. After an error the tar is of no use.
func (s *tarSink) put(name string, size int64, r io.Reader) error {
	err := s.tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644})
	if err == nil {
		_, err = io.Copy(s.tw, r)
	}
	if err != nil {
		return s.fail(fmt.Errorf("write %s to %s: %w", name, s.where, err))
	}
	return nil
}

// Commit implements [transport.Sink]: it writes index.json and ends the tar.
func (s *tarSink) Commit(ctx context.Context, images []transport.Image) error {
	if err := s.usable(); err != nil {
		return err
	}
	entries, err := s.entries(images, func(img transport.Image) (bool, error) {
		return s.Has(ctx, img.Root, []transport.Image{img})
	})
	if err != nil {
		return err
	}
	content, err := marshalIndex(merge(s.local, newIndex(), entries))
	if err != nil {
		return fmt.Errorf("commit %s: %w", s.where, err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.start(); err != nil {
		return err
	}
	if s.hybrid != nil {
		if err := s.putList(images); err != nil {
			return err
		}
	}
	if err := s.put(v1.ImageIndexFile, int64(len(content)), bytes.NewReader(content)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.tw.Close(); err != nil {
		s.broken = fmt.Errorf("end %s: %w", s.where, err)
		return s.broken
	}
	s.ended = true
	return nil
}

// fail makes the sink one that nothing more can be written to.
func (s *tarSink) fail(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = err
	return err
}

// Close implements [transport.Sink]. A tar without index.json is no layout.
func (s *tarSink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	return nil
}

var _ transport.Sink = (*tarSink)(nil)

// entryName returns the name of a blob's entry, or "" if it was not written.
func (s *tarSink) entryName(d digest.Digest) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.written[d]; !ok {
		return ""
	}
	return blobPath(v1.Descriptor{Digest: d})
}
