package conformance_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
)

// brokenEnv names the broken place that this very program, run again, tests.
const brokenEnv = "CONFORMANCE_BROKEN_PLACE"

// TestBrokenPlacesFail proves that the suite can fail: each place is broken in
// one way, and the suite, in a process of its own, must find it.
func TestBrokenPlacesFail(t *testing.T) {
	if name := os.Getenv(brokenEnv); name != "" {
		runBroken(t, name)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	try := func(name, wantFail string) {
		t.Run(name, func(t *testing.T) {
			fails := strings.ReplaceAll(wantFail, " ", "_")
			run := "-test.run=^TestBrokenPlacesFail$/^" + strings.ReplaceAll(fails, "/", "$/^") + "$"
			cmd := exec.CommandContext(t.Context(), self, run, "-test.timeout=1m")
			cmd.Env = append(os.Environ(), brokenEnv+"="+name)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) {
				t.Fatalf("the suite passes it (%v):\n%s", err, out)
			}
			want := "--- FAIL: TestBrokenPlacesFail/" + fails + " ("
			if !bytes.Contains(out, []byte(want)) {
				t.Errorf("no %q in:\n%s", want, out)
			}
		})
	}
	for _, b := range brokenSinks {
		try("sink that "+b.name, b.fails)
	}
	for _, b := range brokenSources {
		try("source that gives "+b.name, b.fails)
	}
	for _, b := range brokenPlaces {
		try("place that "+b.name, b.fails)
	}
	for _, b := range brokenHoldings {
		try("source that finds "+b.name, b.fails)
	}
}

func runBroken(t *testing.T, name string) {
	for _, b := range brokenSinks {
		if "sink that "+b.name == name {
			conformance.Sink(t, func(t *testing.T) conformance.Place {
				p := memoryPlace(t)
				good := p.Sink
				p.Sink = func(t *testing.T) transport.Sink { return b.sink(t, good(t)) }
				return p
			})
			return
		}
	}
	for _, b := range brokenSources {
		if "source that gives "+b.name == name {
			set := conformance.New(t, team)
			conformance.Source(t, func(*testing.T) transport.Source { return b.source(set.Source()) }, conformance.Want{Set: set})
			return
		}
	}
	for _, b := range brokenPlaces {
		if "place that "+b.name == name {
			conformance.Sink(t, func(t *testing.T) conformance.Place {
				p := memoryPlace(t)
				b.change(&p)
				return p
			})
			return
		}
	}
	for _, b := range brokenHoldings {
		if "source that finds "+b.name == name {
			conformance.Holding(t, func(t *testing.T) conformance.HoldingPlace { return memoryHolding(t, b.source) })
			return
		}
	}
	t.Logf("no broken place is called %q", name)
}

// sinkParts replaces some of a sink's methods.
type sinkParts struct {
	transport.Sink
	has    func(ctx context.Context, d v1.Descriptor, images []transport.Image) (bool, error)
	write  func(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error
	commit func(ctx context.Context, images []transport.Image) error
	close  func() error
}

func (s sinkParts) Has(ctx context.Context, d v1.Descriptor, images []transport.Image) (bool, error) {
	if s.has == nil {
		return s.Sink.Has(ctx, d, images)
	}
	return s.has(ctx, d, images)
}

func (s sinkParts) WriteBlob(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
	if s.write == nil {
		return s.Sink.WriteBlob(ctx, d, images, open)
	}
	return s.write(ctx, d, images, open)
}

func (s sinkParts) Commit(ctx context.Context, images []transport.Image) error {
	if s.commit == nil {
		return s.Sink.Commit(ctx, images)
	}
	return s.commit(ctx, images)
}

func (s sinkParts) Close() error {
	if s.close == nil {
		return s.Sink.Close()
	}
	return s.close()
}

// reopen returns an opener whose stream is another reader over open's.
func reopen(open transport.Opener, wrap func(io.Reader) io.Reader) transport.Opener {
	return func(ctx context.Context) (io.ReadCloser, error) {
		rc, err := open(ctx)
		if err != nil {
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{wrap(rc), rc}, nil
	}
}

var brokenSinks = []struct {
	name, fails string
	sink        func(t *testing.T, good transport.Sink) transport.Sink
}{
	{"commits each blob", "write", func(_ *testing.T, good transport.Sink) transport.Sink {
		return sinkParts{Sink: good, write: func(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
			if err := good.WriteBlob(ctx, d, images, open); err != nil {
				return err
			}
			_ = good.WriteManifest(ctx, d, images, nil)
			root := images[0]
			root.Root = d
			return good.Commit(ctx, []transport.Image{root})
		}}
	}},
	{"has everything", "content asked for", func(_ *testing.T, good transport.Sink) transport.Sink {
		return sinkParts{Sink: good, has: func(context.Context, v1.Descriptor, []transport.Image) (bool, error) { return true, nil }}
	}},
	{"remembers nothing", "write again", func(_ *testing.T, good transport.Sink) transport.Sink {
		return sinkParts{Sink: good, has: func(context.Context, v1.Descriptor, []transport.Image) (bool, error) { return false, nil }}
	}},
	{"swallows errors", "failing openers/layer fails half-way", func(_ *testing.T, good transport.Sink) transport.Sink {
		return sinkParts{Sink: good, write: func(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
			_ = good.WriteBlob(ctx, d, images, open)
			return nil
		}}
	}},
	{"hides the kind of an error", "failing openers/layer ends early", func(_ *testing.T, good transport.Sink) transport.Sink {
		return sinkParts{Sink: good, write: func(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
			if err := good.WriteBlob(ctx, d, images, open); err != nil {
				return fmt.Errorf("write: %v", err) //nolint:errorlint // broken on purpose
			}
			return nil
		}}
	}},
	{"does not read to the end", "failing openers/layer is too long", func(_ *testing.T, good transport.Sink) transport.Sink {
		return sinkParts{Sink: good, write: func(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
			return good.WriteBlob(ctx, d, images, reopen(open, func(r io.Reader) io.Reader { return io.LimitReader(r, d.Size) }))
		}}
	}},
	{"gives up on what fails once", "opener that fails once/read", func(_ *testing.T, good transport.Sink) transport.Sink {
		failed := make(map[string]bool)
		return sinkParts{Sink: good, write: func(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
			if failed[d.Digest.String()] {
				return errors.New("failed before")
			}
			err := good.WriteBlob(ctx, d, images, open)
			failed[d.Digest.String()] = err != nil
			return err
		}}
	}},
	{"ignores the context", "context that ends in mid-stream", func(_ *testing.T, good transport.Sink) transport.Sink {
		return sinkParts{Sink: good, write: func(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
			return good.WriteBlob(context.WithoutCancel(ctx), d, images, open)
		}}
	}},
	{"commits after the end", "ended context", func(_ *testing.T, good transport.Sink) transport.Sink {
		return sinkParts{Sink: good, commit: func(ctx context.Context, images []transport.Image) error {
			return good.Commit(context.WithoutCancel(ctx), images)
		}}
	}},
	{"names what is not there", "image that was not written", func(_ *testing.T, good transport.Sink) transport.Sink {
		return sinkParts{Sink: good, commit: func(ctx context.Context, images []transport.Image) error {
			for _, img := range images {
				_ = good.WriteBlob(ctx, img.Root, images, func(context.Context) (io.ReadCloser, error) {
					return io.NopCloser(strings.NewReader("")), nil
				})
			}
			err := good.Commit(ctx, images)
			if errors.Is(err, fault.ErrMissing) {
				return nil
			}
			return err
		}}
	}},
	{"leaves streams open", "write", func(_ *testing.T, good transport.Sink) transport.Sink {
		return sinkParts{Sink: good, write: func(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
			return good.WriteBlob(ctx, d, images, func(ctx context.Context) (io.ReadCloser, error) {
				rc, err := open(ctx)
				if err != nil {
					return nil, err
				}
				return io.NopCloser(rc), nil
			})
		}}
	}},
	{"skips empty blobs", "zero bytes", func(_ *testing.T, good transport.Sink) transport.Sink {
		return sinkParts{Sink: good, write: func(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
			if d.Size == 0 {
				return nil
			}
			return good.WriteBlob(ctx, d, images, open)
		}}
	}},
	{"commits when closed", "no commit", func(t *testing.T, good transport.Sink) transport.Sink {
		var last []transport.Image
		return sinkParts{
			Sink: good,
			write: func(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
				last = append(last, images...)
				return good.WriteBlob(ctx, d, images, open)
			},
			close: func() error {
				_ = good.Commit(context.WithoutCancel(t.Context()), last)
				return good.Close()
			},
		}
	}},
	{"names one image only", "write", func(_ *testing.T, good transport.Sink) transport.Sink {
		return sinkParts{Sink: good, commit: func(ctx context.Context, images []transport.Image) error {
			return good.Commit(ctx, images[:1])
		}}
	}},
	{"does not close what it prepares", "prepared", func(_ *testing.T, good transport.Sink) transport.Sink {
		return preparingParts{good, func(ctx context.Context, _ v1.Descriptor, open transport.Opener) error {
			_, err := open(ctx)
			return err
		}}
	}},
	{"prepares for ever", "prepared badly/after the end", func(_ *testing.T, good transport.Sink) transport.Sink {
		return preparingParts{good, func(ctx context.Context, d v1.Descriptor, open transport.Opener) error {
			rc, err := open(ctx)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, rc)
			return errors.Join(err, rc.Close())
		}}
	}},
	{"believes all that is unpacked", "unpacked badly/other bytes", func(_ *testing.T, good transport.Sink) transport.Sink {
		return unpackingParts{good, func(ctx context.Context, open transport.Opener) error {
			rc, err := open(ctx)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, rc)
			return errors.Join(err, rc.Close())
		}}
	}},
	{"panics when closed twice", "closed twice", func(_ *testing.T, good transport.Sink) transport.Sink {
		closed := 0
		return sinkParts{Sink: good, close: func() error {
			if closed++; closed > 1 {
				panic("closed twice")
			}
			return good.Close()
		}}
	}},
}

// preparingParts is a sink that prepares.
type preparingParts struct {
	transport.Sink
	prepare func(ctx context.Context, d v1.Descriptor, open transport.Opener) error
}

func (s preparingParts) Prepares(v1.Descriptor) bool { return true }

func (s preparingParts) Prepare(ctx context.Context, d v1.Descriptor, open transport.Opener) error {
	return s.prepare(ctx, d, open)
}

func (s preparingParts) Properties() transport.Properties { return transport.Properties{Ordered: true} }

// unpackingParts is a sink that wants layers unpacked.
type unpackingParts struct {
	transport.Sink
	write func(ctx context.Context, open transport.Opener) error
}

func (s unpackingParts) WriteRaw(ctx context.Context, d v1.Descriptor, _ int64, images []transport.Image, open transport.Opener) error {
	// Memory knows a blob by its digest, so it gets an empty one.
	empty := v1.Descriptor{MediaType: d.MediaType, Digest: digest.FromString("")}
	err := s.Sink.WriteBlob(ctx, empty, images, func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("")), nil
	})
	return errors.Join(err, s.write(ctx, open))
}

// sourceParts replaces some of a source's methods.
type sourceParts struct {
	transport.Source
	images   func(ctx context.Context, selector string) ([]transport.Image, error)
	manifest func(ctx context.Context, in transport.Image, d v1.Descriptor) ([]byte, error)
	blob     func(ctx context.Context, in transport.Image, d v1.Descriptor) (io.ReadCloser, error)
}

// rawParts is a source that has layers unpacked.
type rawParts struct {
	transport.Source
	raw []byte
}

func (s rawParts) Local() bool { return true }

func (s rawParts) RawSize(v1.Descriptor) (int64, bool) { return int64(len(s.raw)), true }

func (s rawParts) OpenRaw(context.Context, transport.Image, v1.Descriptor) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(s.raw)), nil
}

func (s sourceParts) Images(ctx context.Context, selector string) ([]transport.Image, error) {
	if s.images == nil {
		return s.Source.Images(ctx, selector)
	}
	return s.images(ctx, selector)
}

func (s sourceParts) Manifest(ctx context.Context, in transport.Image, d v1.Descriptor) ([]byte, error) {
	if s.manifest == nil {
		return s.Source.Manifest(ctx, in, d)
	}
	return s.manifest(ctx, in, d)
}

func (s sourceParts) Blob(ctx context.Context, in transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	if s.blob == nil {
		return s.Source.Blob(ctx, in, d)
	}
	return s.blob(ctx, in, d)
}

var brokenSources = []struct {
	name, fails string
	source      func(good transport.Source) transport.Source
}{
	{"other order each time", "list", func(good transport.Source) transport.Source {
		n := 0
		return sourceParts{Source: good, images: func(ctx context.Context, selector string) ([]transport.Image, error) {
			images, err := good.Images(ctx, selector)
			if n++; n%2 == 0 {
				slices.Reverse(images)
			}
			return images, err
		}}
	}},
	{"roots without a size", "select", func(good transport.Source) transport.Source {
		return sourceParts{Source: good, images: func(ctx context.Context, selector string) ([]transport.Image, error) {
			images, err := good.Images(ctx, selector)
			for i := range images {
				images[i].Root.Size = 0
			}
			return images, err
		}}
	}},
	{"nothing instead of missing", "absent name", func(good transport.Source) transport.Source {
		return sourceParts{Source: good, images: func(ctx context.Context, selector string) ([]transport.Image, error) {
			images, err := good.Images(ctx, selector)
			if errors.Is(err, fault.ErrMissing) {
				return nil, nil
			}
			return images, err
		}}
	}},
	{"empty instead of missing", "absent content", func(good transport.Source) transport.Source {
		return sourceParts{Source: good, blob: func(ctx context.Context, in transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
			rc, err := good.Blob(ctx, in, d)
			if errors.Is(err, fault.ErrMissing) {
				return io.NopCloser(strings.NewReader("")), nil
			}
			return rc, err
		}}
	}},
	{"manifest written anew", "content", func(good transport.Source) transport.Source {
		return sourceParts{Source: good, manifest: func(ctx context.Context, in transport.Image, d v1.Descriptor) ([]byte, error) {
			m, err := good.Manifest(ctx, in, d)
			return append(m, '\n'), err
		}}
	}},
	{"blob without its last byte", "content by many at once", func(good transport.Source) transport.Source {
		return sourceParts{Source: good, blob: func(ctx context.Context, in transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
			rc, err := good.Blob(ctx, in, d)
			if err != nil {
				return nil, err
			}
			return io.NopCloser(io.LimitReader(rc, d.Size-1)), nil
		}}
	}},
	{"layers unpacked that it has not", "unpacked layers", func(good transport.Source) transport.Source {
		return rawParts{good, []byte("x")}
	}},
	{"one stream to all", "stream left early", func(good transport.Source) transport.Source {
		var only io.ReadCloser
		return sourceParts{Source: good, blob: func(ctx context.Context, in transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
			var err error
			if only == nil {
				only, err = good.Blob(ctx, in, d)
			}
			return only, err
		}}
	}},
	{"content after the context has ended", "ended context", func(good transport.Source) transport.Source {
		return sourceParts{Source: good, blob: func(ctx context.Context, in transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
			return good.Blob(context.WithoutCancel(ctx), in, d)
		}}
	}},
	{"an end instead of cancelled", "context that ends in mid-stream", func(good transport.Source) transport.Source {
		return sourceParts{Source: good, blob: func(ctx context.Context, in transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
			rc, err := good.Blob(ctx, in, d)
			if err != nil {
				return nil, err
			}
			return io.NopCloser(&endsQuietly{rc}), nil
		}}
	}},
}

// endsQuietly reads an error as the end.
type endsQuietly struct{ r io.Reader }

func (r *endsQuietly) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil {
		err = io.EOF
	}
	return n, err
}
