package transport_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
)

// ways are the ways in which the engine moves content: to a sink that takes
// several blobs at once, or one by one and either fetched ahead or, from
// this machine, as they come; and to one that prepares them.
var ways = []way{
	{"parallel", false, false, false},
	{"ordered", true, false, false},
	{"ordered, local", true, true, false},
	{"prepared", true, false, true},
	{"prepared, local", true, true, true},
}

type way struct {
	name                     string
	ordered, local, prepares bool
}

func newSpy(w way) *spy {
	return &spy{props: transport.Properties{Ordered: w.ordered}, local: w.local, prepares: w.prepares}
}

// discard is a sink that reads everything and keeps nothing.
type discard struct{ spy *spy }

// discard returns one that prepares blobs if s says so.
func (s *spy) discard() transport.Sink {
	if s.prepares {
		return &preparingSink{discard{s}, s}
	}
	return discard{s}
}

func (s discard) Properties() transport.Properties { return s.spy.props }

func (s discard) Holds(context.Context, transport.Image, []byte) (bool, error) { return false, nil }

func (s discard) Has(context.Context, v1.Descriptor, []transport.Image) (bool, error) {
	return false, nil
}

func (s discard) WriteBlob(ctx context.Context, d v1.Descriptor, _ []transport.Image, open transport.Opener) error {
	defer s.spy.end("blob", d.Digest)
	if err := s.spy.begin(ctx, "blob", d.Digest); err != nil {
		return err
	}
	rc, err := open(ctx)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, rc)
	return errors.Join(err, rc.Close())
}

func (s discard) WriteManifest(ctx context.Context, d v1.Descriptor, _ []transport.Image, _ []byte) error {
	defer s.spy.end("write manifest", d.Digest)
	return s.spy.begin(ctx, "write manifest", d.Digest)
}

func (s discard) Commit(ctx context.Context, images []transport.Image) error {
	s.spy.committed = images
	return s.spy.begin(ctx, "commit", "")
}

func (s discard) Close() error { return nil }

// wantNoSpools fails the test if anything fetched ahead is left in dir, by name
// or, where the system can tell, as an open file without a name.
func wantNoSpools(t *testing.T, dir string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	must(t, err)
	for _, f := range files {
		t.Errorf("left over: %s", f.Name())
	}
	open, _ := filepath.Glob("/proc/self/fd/*")
	for _, fd := range open {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, dir) {
			t.Errorf("still open: %s", to)
		}
	}
}
