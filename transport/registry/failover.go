package registry

import (
	"errors"
	"io"
	"os"
	"sync"
)

// failover is a blob from a mirror. When the mirror fails in the middle, the
// rest comes from another place, whose first bytes are passed over.
type failover struct {
	// next gives the mirror up for err and opens the blob elsewhere. It returns
	// err if there is nothing to go on with.
	next func(err error) (io.ReadCloser, error)

	off int64
	err error

	mu     sync.Mutex
	rc     io.ReadCloser
	closed bool
}

// Read implements io.Reader.
func (f *failover) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.current().Read(p)
	f.off += int64(n)
	if n > 0 || err == nil || errors.Is(err, io.EOF) {
		return n, ignoreUnless(err, io.EOF) // any other comes again
	}
	if f.err = f.replace(err); f.err != nil {
		return 0, f.err
	}
	return 0, nil
}

func ignoreUnless(err, kept error) error {
	if errors.Is(err, kept) {
		return kept
	}
	return nil
}

// replace goes on elsewhere.
func (f *failover) replace(err error) error {
	rc, err := f.next(err)
	if err != nil {
		return err
	}
	if err := f.use(rc); err != nil {
		return err
	}
	_, err = io.CopyN(io.Discard, rc, f.off)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (f *failover) current() io.ReadCloser {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rc
}

func (f *failover) use(rc io.ReadCloser) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		_ = rc.Close() // nobody reads it
		return os.ErrClosed
	}
	_ = f.rc.Close() // it has failed
	f.rc = rc
	return nil
}

// Close implements io.Closer.
func (f *failover) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return f.rc.Close()
}
