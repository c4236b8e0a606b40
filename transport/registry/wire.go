package registry

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"bale/bundle/fault"
	"bale/transport"
)

// wire carries requests over the network by bale's rules: no plain http to
// another machine, and no endless answers.
type wire struct{ lanes *lanes }

func newWire(o Options) (*wire, error) {
	l, err := newLanes(o)
	if err != nil {
		return nil, err
	}
	return &wire{l}, nil
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	l, err := w.lanes.of(registryOf(req))
	if err == nil && req.URL.Scheme == "http" && !l.plain && !isLoopback(req.URL.Hostname()) {
		err = &plainHTTPError{host: req.URL.Host}
	}
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // the contract of a RoundTripper
		}
		return nil, err
	}
	next := l.asking
	switch req.Method {
	case http.MethodPost, http.MethodPatch, http.MethodPut:
		next = l.storing
	}
	send, watch := watched(req, w.lanes.opts.within(idleTimeout), w.lanes.opts.within(sendTimeout))
	resp, err := next.RoundTrip(send)
	if err != nil {
		watch.cancel()
		return nil, w.lanes.hands.explain(req, watch.explain(err))
	}
	w.lanes.hands.answered(req)
	resp.Request = req
	resp.Body = &receivedBody{resp.Body, watch}
	switch {
	case req.Method == http.MethodHead:
		return resp, nil
	case resp.StatusCode >= http.StatusBadRequest:
		resp.Body = readCloser{io.LimitReader(resp.Body, maxRefusal), resp.Body}
		return resp, nil
	case isStream(req.Context()):
		return resp, nil
	case resp.ContentLength > transport.MaxManifest:
		_ = resp.Body.Close()
		return nil, tooLong(req.URL.Host)
	}
	resp.Body = &bounded{rc: resp.Body, left: transport.MaxManifest, host: req.URL.Host}
	return resp, nil
}

// readCloser reads from one thing and closes another.
type readCloser struct {
	io.Reader
	io.Closer
}

func (w *wire) closeIdle() { w.lanes.closeIdle() }

// plainHTTPError is the refusal to send a request unprotected.
type plainHTTPError struct{ host string }

func (e *plainHTTPError) Error() string {
	return fmt.Sprintf("plain http to %s is not allowed", e.host)
}

// streamKey marks the contexts of requests whose answer is a blob, which the
// reader checks against its descriptor; all other answers are bounded.
type streamKey struct{}

func withStream(ctx context.Context) context.Context {
	return context.WithValue(ctx, streamKey{}, true)
}

func isStream(ctx context.Context) bool { return ctx.Value(streamKey{}) != nil }

// bounded is a body that fails when it goes on too long.
type bounded struct {
	rc   io.ReadCloser
	left int64
	host string
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.rc.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, tooLong(b.host)
	}
	return n, err
}

func (b *bounded) Close() error { return b.rc.Close() }

func tooLong(host string) error {
	return fault.Damaged("answer of %s is over the limit of %d bytes for manifests",
		host, transport.MaxManifest)
}

// isLoopback reports whether host (without port) is this machine.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// hostOf returns the host of "host:port" without port and brackets.
func hostOf(domain string) string {
	if h, _, err := net.SplitHostPort(domain); err == nil {
		return h
	}
	return strings.Trim(domain, "[]")
}
