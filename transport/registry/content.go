package registry

import (
	"context"
	"errors"
	"io"
	"sync"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

// content is a blob's content on its way to a registry. It gives the last byte
// only once the end has been seen and was good, so that no registry ever holds
// the whole of a blob that went wrong at its end.
type content struct {
	d v1.Descriptor

	mu  sync.Mutex // net/http may still read when a request is over
	rc  io.ReadCloser
	at  int64 // how much has been read
	err error // stays
}

// openContent opens a blob and skips what the registry has already.
func openContent(ctx context.Context, d v1.Descriptor, open transport.Opener, offset int64) (*content, error) {
	rc, err := open(ctx)
	if err != nil {
		return nil, &contentError{err}
	}
	c := &content{d: d, rc: rc}
	skipped := io.LimitReader(readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return c.read(p)
	}), offset)
	n, err := io.Copy(io.Discard, skipped)
	switch {
	case err != nil:
	case n < offset:
		err = io.ErrUnexpectedEOF
	case d.Size == 0:
		if err = c.end(); err != nil {
			err = &contentError{err}
		}
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// read reads on. c.mu is held, or nobody else knows c.
func (c *content) read(p []byte) (int, error) {
	switch {
	case c.err != nil:
		return 0, c.err
	case c.at == c.d.Size:
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), c.d.Size-c.at)]
	n, err := c.rc.Read(p)
	switch {
	case errors.Is(err, io.EOF) && c.at+int64(n) < c.d.Size:
		err = fault.Damaged("%s: ends after %d of %d bytes", c.d.Digest, c.at+int64(n), c.d.Size)
	case errors.Is(err, io.EOF):
		err = nil
	}
	if err == nil && c.at+int64(n) == c.d.Size {
		err = c.end()
	}
	if err != nil {
		c.err = &contentError{err}
		return 0, c.err
	}
	c.at += int64(n)
	return n, nil
}

// end makes sure that there is no more, and that the reader below is content.
func (c *content) end() error {
	var one [1]byte
	for {
		n, err := c.rc.Read(one[:])
		switch {
		case n > 0:
			return fault.Damaged("%s: longer than its %d bytes", c.d.Digest, c.d.Size)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

func (c *content) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rc != nil {
		_ = c.rc.Close() // it was only read, and its end is what counts
		c.rc = nil
		c.err = errBodyGone
	}
}

// position returns how much has been read.
func (c *content) position() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// failure returns the error that the content ended with, if it did.
func (c *content) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil || errors.Is(c.err, errBodyGone) {
		return nil
	}
	return c.err
}

// part is one request's share of the content. It is closed when the request is
// over: what net/http reads later would be missing in the next one.
type part struct {
	c      *content
	left   int64 // of c.mu
	closed bool  // of c.mu
}

// Read implements io.Reader.
func (p *part) Read(b []byte) (int, error) {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	switch {
	case p.closed:
		return 0, errBodyGone
	case p.left == 0:
		return 0, io.EOF
	}
	n, err := p.c.read(b[:min(int64(len(b)), p.left)])
	p.left -= int64(n)
	return n, err
}

// Close implements io.Closer.
func (p *part) Close() error {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	p.closed = true
	return nil
}

// whole reports whether all of the part has been read.
func (p *part) whole() bool {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	return p.left == 0
}

// errBodyGone is the error of a request that was to be sent a second time,
// after its content had been read: the library below does so with a new token.
var errBodyGone = errors.New("the content was sent already")

// contentError is an error of the side that content comes from.
type contentError struct{ err error }

func (e *contentError) Error() string { return e.err.Error() }
func (e *contentError) Unwrap() error { return e.err }
