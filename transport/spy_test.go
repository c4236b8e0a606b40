package transport_test

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
	"bale/transport/conformance"
)

// call is one call that the engine makes.
type call struct {
	op     string // "manifest", "open", "read", "holds", "has", "prepare", "blob", "write manifest", "commit"
	digest digest.Digest
	end    bool
}

// spy watches the calls to a source and a sink. A test changes the fields
// before the copy.
type spy struct {
	on        func(ctx context.Context, c call) error // what happens at each call, before it
	props     transport.Properties
	holds     func(img transport.Image) bool
	has       func(d v1.Descriptor) bool
	local     bool
	prepares  bool
	committed []transport.Image

	mu    sync.Mutex
	calls []call
	now   map[string]int // calls under way; open streams for "open"
	most  map[string]int
}

func (s *spy) begin(ctx context.Context, op string, d digest.Digest) error {
	c := call{op: op, digest: d}
	s.mu.Lock()
	if s.now == nil {
		s.now, s.most = make(map[string]int), make(map[string]int)
	}
	s.calls = append(s.calls, c)
	s.now[op]++
	s.most[op] = max(s.most[op], s.now[op])
	s.mu.Unlock()
	if s.on == nil {
		return nil
	}
	return s.on(ctx, c)
}

func (s *spy) end(op string, d digest.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call{op, d, true})
	s.now[op]--
}

// of returns what the calls of some kinds were about, in order.
func (s *spy) of(ops ...string) []digest.Digest {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []digest.Digest
	for _, c := range s.calls {
		for _, op := range ops {
			if c.op == op && !c.end {
				out = append(out, c.digest)
			}
		}
	}
	return out
}

// when returns at which place among all calls one began and ended, or -1.
func (s *spy) when(op string, d digest.Digest) (begin, end int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	begin, end = -1, -1
	for i, c := range s.calls {
		switch {
		case c.op != op || c.digest != d:
		case c.end:
			end = i
		case begin < 0:
			begin = i
		}
	}
	return begin, end
}

func (s *spy) source(src transport.Source) transport.Source {
	if s.local {
		return &localSource{spySource{src, s}}
	}
	return &spySource{src, s}
}

type spySource struct {
	transport.Source
	spy *spy
}

type localSource struct{ spySource }

func (*localSource) Local() bool { return true }

func (s *spySource) Manifest(ctx context.Context, in transport.Image, d v1.Descriptor) ([]byte, error) {
	defer s.spy.end("manifest", d.Digest)
	if err := s.spy.begin(ctx, "manifest", d.Digest); err != nil {
		return nil, err
	}
	return s.Source.Manifest(ctx, in, d)
}

func (s *spySource) Blob(ctx context.Context, in transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	err := s.spy.begin(ctx, "open", d.Digest)
	if err == nil {
		var rc io.ReadCloser
		if rc, err = s.Source.Blob(ctx, in, d); err == nil {
			return &spyStream{ReadCloser: rc, ctx: ctx, spy: s.spy, digest: d.Digest}, nil
		}
	}
	s.spy.end("open", d.Digest)
	return nil, err
}

type spyStream struct {
	io.ReadCloser
	ctx    context.Context
	spy    *spy
	digest digest.Digest
	once   sync.Once
}

func (s *spyStream) Read(p []byte) (int, error) {
	defer s.spy.end("read", s.digest)
	if err := s.spy.begin(s.ctx, "read", s.digest); err != nil {
		return 0, err
	}
	return s.ReadCloser.Read(p)
}

func (s *spyStream) Close() error {
	s.once.Do(func() { s.spy.end("open", s.digest) })
	return s.ReadCloser.Close()
}

func (s *spy) sink(place *conformance.Memory) transport.Sink {
	if s.prepares {
		return &preparingSink{&spySink{place.Sink(), s}, s}
	}
	return &spySink{place.Sink(), s}
}

// preparingSink prepares layers: it reads each three times.
type preparingSink struct {
	transport.Sink
	spy *spy
}

func (s *preparingSink) Prepares(d v1.Descriptor) bool { return !transport.IsConfig(d.MediaType) }

func (s *preparingSink) Prepare(ctx context.Context, d v1.Descriptor, open transport.Opener) error {
	defer s.spy.end("prepare", d.Digest)
	if err := s.spy.begin(ctx, "prepare", d.Digest); err != nil {
		return err
	}
	for range 3 {
		rc, err := open(ctx)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, rc)
		if err := errors.Join(err, rc.Close()); err != nil {
			return err
		}
	}
	return nil
}

type spySink struct {
	transport.Sink
	spy *spy
}

func (s *spySink) Properties() transport.Properties { return s.spy.props }

func (s *spySink) Holds(ctx context.Context, img transport.Image, manifest []byte) (bool, error) {
	defer s.spy.end("holds", img.Root.Digest)
	if err := s.spy.begin(ctx, "holds", img.Root.Digest); err != nil {
		return false, err
	}
	return s.spy.holds != nil && s.spy.holds(img), nil
}

func (s *spySink) Has(ctx context.Context, d v1.Descriptor, images []transport.Image) (bool, error) {
	defer s.spy.end("has", d.Digest)
	if err := s.spy.begin(ctx, "has", d.Digest); err != nil {
		return false, err
	}
	if s.spy.has != nil {
		return s.spy.has(d), nil
	}
	return s.Sink.Has(ctx, d, images)
}

func (s *spySink) WriteBlob(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
	defer s.spy.end("blob", d.Digest)
	if err := s.spy.begin(ctx, "blob", d.Digest); err != nil {
		return err
	}
	return s.Sink.WriteBlob(ctx, d, images, open)
}

func (s *spySink) WriteManifest(ctx context.Context, d v1.Descriptor, images []transport.Image, content []byte) error {
	defer s.spy.end("write manifest", d.Digest)
	if err := s.spy.begin(ctx, "write manifest", d.Digest); err != nil {
		return err
	}
	return s.Sink.WriteManifest(ctx, d, images, content)
}

func (s *spySink) Commit(ctx context.Context, images []transport.Image) error {
	defer s.spy.end("commit", "")
	if err := s.spy.begin(ctx, "commit", ""); err != nil {
		return err
	}
	err := s.Sink.Commit(ctx, images)
	if err == nil {
		s.spy.committed = images
	}
	return err
}

var errBoom = errors.New("boom")
