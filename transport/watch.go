package transport

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
)

// watch remembers how reading a blob failed. A sink may open a blob several
// times at once, and net/http may go on reading when the sink is done with it.
type watch struct {
	mu  sync.Mutex
	err error
}

func (w *watch) set(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

func (w *watch) get() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// watched is one stream of a blob.
type watched struct {
	rc     io.ReadCloser
	watch  *watch
	digest digest.Digest
	closed atomic.Bool
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.rc.Read(p)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	err = at(AtSource, w.digest, err)
	// Reading on after Close fails by itself and says nothing of the source.
	if !w.closed.Load() {
		w.watch.set(err)
	}
	return n, err
}

func (w *watched) Close() error {
	w.closed.Store(true)
	return w.rc.Close()
}
