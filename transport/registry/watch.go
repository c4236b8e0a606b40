package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// watch ends a request when not a byte has moved for some time. What it does
// not count is the time that the side in this process takes: a reader that is
// slow to ask, content that is slow to come.
type watch struct {
	host   string
	idle   time.Duration // for what is received
	busy   time.Duration // for what is sent
	cancel context.CancelFunc

	stalled atomic.Pointer[stalledError]
}

// watched returns a copy of req that is watched while it is sent.
func watched(req *http.Request, idle, busy time.Duration) (*http.Request, *watch) {
	ctx, cancel := context.WithCancel(req.Context())
	w := &watch{host: req.URL.Host, idle: idle, busy: busy, cancel: cancel}
	req = req.WithContext(ctx)
	if req.Body == nil || req.Body == http.NoBody {
		return req, w
	}
	req.Body = &sentBody{ReadCloser: req.Body, w: w}
	if again := req.GetBody; again != nil {
		req.GetBody = func() (io.ReadCloser, error) {
			body, err := again()
			if err != nil {
				return nil, err
			}
			return &sentBody{ReadCloser: body, w: w}, nil
		}
	}
	return req, w
}

// start gives the other side time for the next bytes.
func (w *watch) start(sending bool) *time.Timer {
	limit := w.idle
	if sending {
		limit = w.busy
	}
	return time.AfterFunc(limit, func() {
		w.stalled.Store(&stalledError{w.host, limit, sending})
		w.cancel()
	})
}

// explain returns the stall in place of the error that it led to.
func (w *watch) explain(err error) error {
	if s := w.stalled.Load(); s != nil && err != nil {
		return s
	}
	return err
}

// sentBody is a request's body. The time between two reads is the network's.
type sentBody struct {
	io.ReadCloser
	w *watch

	mu    sync.Mutex // net/http may close a body while it is read
	over  bool
	timer *time.Timer
}

func (s *sentBody) Read(p []byte) (int, error) {
	s.stop(false)
	n, err := s.ReadCloser.Read(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && !s.over {
		s.timer = s.w.start(true)
	}
	return n, err
}

func (s *sentBody) Close() error {
	s.stop(true)
	return s.ReadCloser.Close()
}

func (s *sentBody) stop(over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = s.over || over
	if s.timer != nil {
		s.timer.Stop()
	}
}

// receivedBody is an answer's body. The time within a read is the network's.
type receivedBody struct {
	io.ReadCloser
	w *watch
}

func (r *receivedBody) Read(p []byte) (int, error) {
	timer := r.w.start(false)
	n, err := r.ReadCloser.Read(p)
	timer.Stop()
	return n, r.w.explain(err)
}

func (r *receivedBody) Close() error {
	err := r.ReadCloser.Close()
	r.w.cancel()
	return err
}

// stalledError says that a connection is there and nothing moves on it.
type stalledError struct {
	host    string
	idle    time.Duration
	sending bool
}

func (e *stalledError) Error() string {
	if e.sending {
		return fmt.Sprintf("%s takes no more bytes for %s", e.host, e.idle)
	}
	return fmt.Sprintf("not a byte from %s for %s", e.host, e.idle)
}

// Timeout and Temporary make it a net.Error.
func (e *stalledError) Timeout() bool   { return true }
func (e *stalledError) Temporary() bool { return true }
