package conformance

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
)

// Inject returns src with faults in its way. When the test ends, each fault
// that never happened fails it.
func Inject(t testing.TB, src transport.Source, faults ...*Fault) transport.Source {
	t.Helper()
	t.Cleanup(func() {
		for _, f := range faults {
			if f.Hits() == 0 {
				t.Errorf("never hit: %s", f)
			}
		}
	})
	return &faulty{Source: src, faults: faults}
}

// faulty is a source with faults.
type faulty struct {
	transport.Source
	faults []*Fault
}

// Manifest implements [transport.Source].
func (s *faulty) Manifest(ctx context.Context, in transport.Image, d v1.Descriptor) ([]byte, error) {
	due, err := s.due(d.Digest)
	if err != nil {
		return nil, err
	}
	c, err := s.Source.Manifest(ctx, in, d)
	if err != nil || len(due) == 0 {
		return c, err
	}
	return io.ReadAll(wrap(bytes.NewReader(c), due))
}

// Blob implements [transport.Source].
func (s *faulty) Blob(ctx context.Context, in transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	due, err := s.due(d.Digest)
	if err != nil {
		return nil, err
	}
	rc, err := s.Source.Blob(ctx, in, d)
	if err != nil {
		return nil, err
	}
	return readCloser{wrap(rc, due), rc}, nil
}

// due counts an opening of an object and returns the faults that its reading
// meets, or the error that the opening itself meets.
func (s *faulty) due(d digest.Digest) ([]*Fault, error) {
	var due []*Fault
	for _, f := range s.faults {
		if f.digest != d {
			continue
		}
		if n := f.opened.Add(1); f.nth != 0 && n != int64(f.nth) {
			continue
		}
		if f.open != nil {
			f.hit()
			return nil, f.open
		}
		due = append(due, f)
	}
	return due, nil
}

func wrap(r io.Reader, faults []*Fault) io.Reader {
	for _, f := range faults {
		r = f.wrap(r, f.hit)
	}
	return r
}

// readCloser reads here and closes there.
type readCloser struct {
	io.Reader
	io.Closer
}
