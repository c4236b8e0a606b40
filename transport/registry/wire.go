package registry

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"bale/bundle/fault"
	"bale/transport"
)

// wire carries requests over the network by bale's rules: no plain http to
// another machine, and no endless answers.
type wire struct {
	asking  *http.Transport // requests that are answered at once
	storing *http.Transport // requests that bring content
	plain   bool            // plain http is allowed everywhere
}

func newWire(o Options) (*wire, error) {
	if o.SkipTLSVerify && o.CAFile != "" {
		return nil, fault.Usage("a CA file is of no use when certificates are not verified")
	}
	// Verification is off only where the user said so in as many words.
	tlsConf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.SkipTLSVerify}
	if o.CAFile != "" {
		pool, err := loadCAs(o.CAFile)
		if err != nil {
			return nil, err
		}
		tlsConf.RootCAs = pool
	}
	dial := o.dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
	}
	asking := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dial,
		ForceAttemptHTTP2:      true,
		TLSClientConfig:        tlsConf,
		TLSHandshakeTimeout:    tlsTimeout,
		ResponseHeaderTimeout:  answerTimeout,
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    16,
		MaxResponseHeaderBytes: maxHeader,
		// Blobs must arrive as they are stored, never unpacked on the way.
		DisableCompression: true,
	}
	storing := asking.Clone()
	storing.ResponseHeaderTimeout = storeTimeout
	return &wire{asking: asking, storing: storing, plain: o.PlainHTTP}, nil
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme == "http" && !w.plain && !isLoopback(req.URL.Hostname()) {
		if req.Body != nil {
			_ = req.Body.Close() // the contract of a RoundTripper
		}
		return nil, &plainHTTPError{host: req.URL.Host}
	}
	next := w.asking
	switch req.Method {
	case http.MethodPost, http.MethodPatch, http.MethodPut:
		next = w.storing
	}
	resp, err := next.RoundTrip(req)
	switch {
	case err != nil || req.Method == http.MethodHead:
		return resp, err
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

func (w *wire) closeIdle() {
	w.asking.CloseIdleConnections()
	w.storing.CloseIdleConnections()
}

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
