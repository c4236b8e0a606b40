package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"bale/transport"
)

// Bounds on trying again.
const (
	// maxTrying is how long after a request's first try another one is made,
	// what a registry asks to wait not counted.
	maxTrying = 5 * time.Minute
	// maxLimited is how often a registry may ask one request to wait, and
	// maxRetryAfter for how long at a time. A longer wait is the user's to decide.
	maxLimited    = 8
	maxRetryAfter = 15 * time.Minute
	// maxDelay bounds a wait that nobody has asked for.
	maxDelay = time.Minute
)

// waiter tries requests again that fail in ways that pass. It stands beneath
// authentication, so requests for tokens are covered as well.
//
// A request with a body is sent again only if it has GetBody. A PATCH never is:
// it adds to what the registry has, and only its sender can find out how much
// of it has arrived.
//
// Answers that are no streams ([withStream]) are read whole before they are
// handed on, so that one that breaks off in the middle is asked for again.
type waiter struct {
	next    http.RoundTripper
	backoff remote.Backoff
	gates   gates
}

func newWaiter(next http.RoundTripper, o Options) *waiter {
	return &waiter{next: next, backoff: o.backoff(), gates: gates{note: o.Note}}
}

// tried is how much was done for a request.
type tried struct {
	times int
	took  time.Duration
	limit *limit        // that the registry has spoken of
	asked time.Duration // how long it wants its clients to wait
}

// add says it in an error.
func (t tried) add(err error) error {
	if t.times < 2 || err == nil {
		return err
	}
	return fmt.Errorf("%w (tried %d times in %s)", err, t.times, roundUp(t.took))
}

// RoundTrip implements http.RoundTripper.
func (w *waiter) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	g := w.gates.of(req.URL.Host)
	start := time.Now()
	var waited time.Duration // at the gate
	failed, limited := 0, 0
	tries, longest := w.backoff.Steps, maxRetryAfter
	if isMirror(ctx) {
		tries, longest = min(tries, mirrorTries), mirrorWait
	}
	send := req
	for {
		came := time.Now()
		pass, err := g.enter(ctx)
		if err != nil {
			closeBody(send)
			return nil, err
		}
		sent := time.Now()
		waited += sent.Sub(came)
		resp, err := w.once(send)
		limit, asked := limitOf(resp, err)
		switch {
		case limit != nil:
			limited++
			if asked == 0 {
				asked = delay(w.backoff, limited)
			}
			if limited < maxLimited && asked <= longest {
				g.shut(sent, asked, limit)
			}
		case err == nil:
			g.open(sent)
		}
		pass()
		if ctx.Err() != nil {
			discard(resp)
			return nil, ctx.Err()
		}
		if err == nil && !slices.Contains(passingCodes, resp.StatusCode) {
			return resp, nil
		}
		if limit == nil {
			failed++
		}
		done := tried{failed + limited, time.Since(start), limit, asked}
		if !replayable(req) || err != nil && !w.mayPass(err, g) ||
			failed >= tries || limited >= maxLimited || asked > longest ||
			done.took-waited > maxTrying {
			return gaveUp(resp, err, done)
		}
		discard(resp)
		if limit == nil {
			if err := sleep(ctx, delay(w.backoff, failed)); err != nil {
				return nil, err
			}
		}
		if send, err = replay(req); err != nil {
			return nil, err
		}
	}
}

// mayPass reports whether a request that got no answer is worth another try. A
// registry that has answered before and cannot be reached now may be starting
// anew.
func (w *waiter) mayPass(err error, g *gate) bool {
	return !lasting(err) || isDial(err) && g.answered()
}

// once sends a request and, if the answer is no stream, reads all of it.
func (w *waiter) once(req *http.Request) (*http.Response, error) {
	resp, err := w.next.RoundTrip(req)
	if err != nil || req.Method == http.MethodHead || isStream(req.Context()) && resp.StatusCode < http.StatusBadRequest {
		return resp, err
	}
	var b bytes.Buffer
	if n := resp.ContentLength; n > 0 && n <= transport.MaxManifest {
		b.Grow(int(n) + bytes.MinRead)
	}
	_, err = b.ReadFrom(resp.Body) // bounded by wire
	_ = resp.Body.Close()
	if err != nil {
		if resp.StatusCode >= http.StatusBadRequest {
			err = nil // the refusal counts, not its words
		} else {
			return nil, err
		}
	}
	resp.Body = io.NopCloser(&b)
	return resp, err
}

// replayable reports whether a request may be sent twice.
func replayable(req *http.Request) bool {
	if req.Method == http.MethodPatch {
		return false
	}
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}

// replay returns a request like req, whose body has been used up.
func replay(req *http.Request) (*http.Request, error) {
	if req.GetBody == nil || req.Body == nil || req.Body == http.NoBody {
		return req, nil
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	again := req.WithContext(req.Context())
	again.Body = body
	return again, nil
}

// delay returns how long to wait after a number of failures, with jitter, so
// that those who failed together do not come back together.
func delay(b remote.Backoff, failures int) time.Duration {
	d := float64(b.Duration) * math.Pow(max(b.Factor, 1), float64(failures-1))
	d = min(d, float64(maxDelay))
	return time.Duration(d * (1 + b.Jitter*rand.Float64()))
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// discard ends an answer that nobody wants, so that its connection can be used
// again.
func discard(resp *http.Response) {
	if resp != nil {
		_, _ = io.CopyN(io.Discard, resp.Body, maxRefusal)
		_ = resp.Body.Close()
	}
}

// triedKey is the context key under which an answer's request says how often it
// was tried: the library's error of an answer keeps nothing but the request.
type triedKey struct{}

// triedError is an error after several tries.
type triedError struct {
	err error
	tried
}

func (e *triedError) Error() string { return e.err.Error() }
func (e *triedError) Unwrap() error { return e.err }

// Timeout makes it a timeout if it was one: url.Error looks no deeper.
func (e *triedError) Timeout() bool {
	var slow net.Error
	return errors.As(e.err, &slow) && slow.Timeout()
}

// gaveUp returns an answer or error with what was done for it.
func gaveUp(resp *http.Response, err error, t tried) (*http.Response, error) {
	if err != nil {
		return nil, &triedError{err, t}
	}
	ctx := context.WithValue(resp.Request.Context(), triedKey{}, t)
	resp.Request = resp.Request.WithContext(ctx)
	return resp, nil
}

// triedOf returns how much was done before err, which is about an answer to req
// or, if that is nil, about none.
func triedOf(err error, req *http.Request) (t tried) {
	var e *triedError
	switch {
	case req != nil:
		t, _ = req.Context().Value(triedKey{}).(tried)
	case errors.As(err, &e):
		t = e.tried
	}
	return t
}
