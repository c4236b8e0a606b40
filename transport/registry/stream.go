package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
)

// minProgress is how many bytes must have come for a connection to count as a
// new beginning. Fewer would let a registry that sends a byte at a time keep a
// reader forever.
const minProgress = 64 << 10

// asker asks for content from an offset on: with a Range header unless that is
// 0. The answer has status 200, 206 or 416.
type asker func(ctx context.Context, from int64) (*http.Response, error)

// blob returns how to ask for a blob of the repository. Each time the registry
// is asked, and not the storage that it sent its clients to before: such
// addresses expire.
func (s *session) blob(d digest.Digest) asker {
	return func(ctx context.Context, from int64) (*http.Response, error) {
		return s.ask(withStream(ctx), http.MethodGet, "blobs/"+d.String(), rangeFrom(from), rangeCodes(from)...)
	}
}

// rangeFrom returns the headers that ask for all bytes from an offset on. There
// is no If-Range: a blob is named by its content, so it has not changed.
func rangeFrom(from int64) http.Header {
	h := http.Header{}
	if from > 0 {
		h.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	return h
}

func rangeCodes(from int64) []int {
	if from == 0 {
		return []int{http.StatusOK}
	}
	return []int{http.StatusPartialContent, http.StatusOK, http.StatusRequestedRangeNotSatisfiable}
}

// stream is a blob on its way. When a connection breaks or falls silent it goes
// on with another one, at the byte where it was. Each connection is tried as
// often as requests are, and one that has brought something starts the count
// anew.
type stream struct {
	ctx     context.Context
	d       v1.Descriptor
	t       task
	backoff remote.Backoff
	ask     asker

	off    int64 // bytes handed on
	mark   int64 // off at the last progress
	failed int   // connections that broke since
	cause  error // why the last one did
	err    error // how it ended for good

	mu     sync.Mutex
	body   io.ReadCloser // nil: the next read has to connect
	closed bool
}

// openStream asks for a blob. The error is explained as one of t.
func openStream(ctx context.Context, d v1.Descriptor, t task, b remote.Backoff, ask asker) (io.ReadCloser, error) {
	s := &stream{ctx: ctx, d: d, t: t, backoff: b, ask: ask}
	if err := s.connect(); err != nil {
		return nil, err
	}
	return s, nil
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	for s.err == nil {
		body, err := s.current()
		if err != nil {
			s.err = err
			break
		}
		if body == nil {
			s.err = s.reconnect()
			continue
		}
		n, err := body.Read(p)
		s.off += int64(n)
		if s.off > s.d.Size {
			s.err = fault.Damaged("%s: the registry sends more than its %d bytes", s.t.doing, s.d.Size)
			break
		}
		if err != nil {
			s.broke(err)
		}
		if n > 0 || len(p) == 0 {
			return n, nil
		}
	}
	return 0, s.err
}

// broke notes how a connection ended.
func (s *stream) broke(err error) {
	switch {
	case s.off == s.d.Size && (errors.Is(err, io.EOF) || !lasting(err)):
		// All is there. What comes after it cannot make it better.
		s.err = io.EOF
	case s.ctx.Err() != nil, lasting(err):
		s.err = s.t.explain(s.ctx, err)
	default:
		s.cause = err
		s.use(nil)
	}
}

// reconnect asks for the rest.
func (s *stream) reconnect() error {
	if s.off-s.mark >= minProgress {
		s.mark, s.failed = s.off, 0
	}
	s.failed++
	if s.failed >= s.backoff.Steps {
		if errors.Is(s.cause, io.EOF) { // and not io.ErrUnexpectedEOF
			return fault.Damaged("%s: it ends after %d of %d bytes", s.t.doing, s.off, s.d.Size)
		}
		return fmt.Errorf("%w (after %d of %d bytes, and %d connections)",
			s.t.explain(s.ctx, s.cause), s.off, s.d.Size, s.failed)
	}
	if err := sleep(s.ctx, delay(s.backoff, s.failed)); err != nil {
		return err
	}
	return s.connect()
}

// connect asks for the content from s.off on.
func (s *stream) connect() error {
	resp, err := s.ask(s.ctx, s.off)
	if err != nil {
		return s.t.explain(s.ctx, err)
	}
	skip, err := s.check(resp)
	if err != nil {
		_ = resp.Body.Close()
		return err
	}
	s.use(resp.Body)
	if skip > 0 {
		if _, err := io.CopyN(io.Discard, resp.Body, skip); err != nil {
			s.broke(err)
		}
	}
	return nil
}

// check compares an answer with what was asked for. skip is how many bytes it
// has in front: all that are there already, from a registry that knows no
// ranges.
func (s *stream) check(resp *http.Response) (skip int64, err error) {
	has := resp.ContentLength // of the whole blob; -1 if the registry does not say
	switch resp.StatusCode {
	case http.StatusPartialContent:
		first, all, ok := contentRange(resp.Header.Get("Content-Range"))
		if !ok || first != s.off {
			return 0, fault.Damaged("%s: asked for the bytes from %d on, the registry sends %s",
				s.t.doing, s.off, printable(resp.Header.Get("Content-Range")))
		}
		has = all
	case http.StatusRequestedRangeNotSatisfiable:
		return 0, fault.Damaged("%s: the registry has no more than %d bytes of it, not %d", s.t.doing, s.off, s.d.Size)
	default:
		skip = s.off
	}
	if has >= 0 && has != s.d.Size {
		return 0, fault.Damaged("%s: the registry has %d bytes of it, not %d", s.t.doing, has, s.d.Size)
	}
	return skip, nil
}

// current returns the connection to read from, nil if there is none.
func (s *stream) current() (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, os.ErrClosed
	}
	return s.body, nil
}

// use replaces the connection.
func (s *stream) use(body io.ReadCloser) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.body != nil {
		_ = s.body.Close() // it was only read
	}
	s.body = body
	if s.closed && body != nil {
		_ = body.Close()
		s.body = nil
	}
}

// Close ends the connection. A read that is under way fails.
func (s *stream) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.use(nil)
	return nil
}

// contentRange reads a Content-Range header of bytes (RFC 9110, section
// 14.4): "bytes 5-9/10". all is -1 where the header has "*".
func contentRange(header string) (first, all int64, ok bool) {
	rest, ok := strings.CutPrefix(header, "bytes ")
	if !ok {
		return 0, 0, false
	}
	span, size, ok := strings.Cut(rest, "/")
	if !ok {
		return 0, 0, false
	}
	from, to, ok := strings.Cut(span, "-")
	if !ok {
		return 0, 0, false
	}
	first, last := offset(from), offset(to)
	if size == "*" {
		return first, -1, first >= 0 && last >= first
	}
	all = offset(size)
	return first, all, first >= 0 && last >= first && last < all
}

// offset reads a number of bytes, -1 if it is none.
func offset(s string) int64 {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return -1
	}
	return int64(n)
}
