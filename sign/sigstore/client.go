package sigstore

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"bale/bundle/fault"
)

const (
	// attempts bounds how often one thing is asked of a server.
	attempts = 3
	// attemptTimeout is for one of them. Rekor answers only when its log is sealed.
	attemptTimeout = 60 * time.Second
	// firstDelay is the time before the second, and is doubled after each.
	firstDelay = 500 * time.Millisecond
	// maxDelay bounds what a server may ask for with Retry-After.
	maxDelay = 10 * time.Second
	// maxAnswer bounds an answer, and maxRequest a request, in bytes.
	maxAnswer  = 1 << 20
	maxRequest = 1 << 20
	// maxSaid is how much of an error's text is shown.
	maxSaid = 300
)

// client asks one server. It is the transport under the libraries' clients, of
// which some know neither contexts nor bounds.
type client struct {
	ctx    context.Context
	server string // in words, such as "Fulcio at https://…"
	secret string // what no error may hold; "" for none
	accept []int  // answers that the caller deals with, beside success
}

// answerError is an answer that is a refusal.
type answerError struct {
	server string
	status int
	said   string
}

func (e *answerError) Error() string {
	s := fmt.Sprintf("%s answers %d %s", e.server, e.status, http.StatusText(e.status))
	if e.said != "" {
		s += ": " + e.said
	}
	return s
}

// unreachable is a server that did not answer.
type unreachable struct {
	server string
	err    error
}

func (e *unreachable) Error() string { return fmt.Sprintf("%s does not answer: %s", e.server, e.err) }
func (e *unreachable) Unwrap() error { return e.err }

// http returns a client for a library. It follows no redirects, which are
// refusals like others: a token must not go where it was not sent.
func (c *client) http() *http.Client { return &http.Client{Transport: c} }

// RoundTrip implements [http.RoundTripper]. It tries again where that may help.
func (c *client) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		body, err = io.ReadAll(io.LimitReader(req.Body, maxRequest+1))
		_ = req.Body.Close() // a reader over memory
		if err != nil {
			return nil, err
		}
		if len(body) > maxRequest {
			return nil, fmt.Errorf("a request of more than %d bytes to %s", maxRequest, c.server)
		}
	}
	delay := firstDelay
	for n := 1; ; n++ {
		resp, err := c.try(req, body)
		var refused *answerError
		again := false
		switch {
		case c.ctx.Err() != nil:
			return nil, c.ctx.Err()
		case err == nil:
			return resp, nil
		case errors.As(err, &refused):
			again = refused.status >= http.StatusInternalServerError || refused.status == http.StatusTooManyRequests
		default:
			again = !badCertificate(err)
		}
		if !again || n == attempts {
			return nil, err
		}
		wait := delay
		if resp != nil {
			wait = max(wait, retryAfter(resp.Header.Get("Retry-After")))
		}
		select {
		case <-c.ctx.Done():
			return nil, c.ctx.Err()
		case <-time.After(wait):
		}
		delay *= 2
	}
}

// retryAfter returns how long a server asks to wait, in seconds as all of these
// servers say it, within bounds.
func retryAfter(header string) time.Duration {
	n, err := strconv.Atoi(header)
	if err != nil || n < 0 {
		return 0
	}
	if n > int(maxDelay/time.Second) {
		return maxDelay
	}
	return time.Duration(n) * time.Second
}

// try asks once, and reads the answer whole: a connection may break in the
// middle of it. The header of a refusal comes with its error.
func (c *client) try(req *http.Request, body []byte) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), attemptTimeout)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	one := req.Clone(ctx)
	if body != nil {
		one.Body, one.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	resp, err := http.DefaultTransport.RoundTrip(one)
	if err != nil {
		return nil, &unreachable{c.server, plain(err, c.secret)}
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	_ = resp.Body.Close() // only read
	if err != nil {
		return nil, &unreachable{c.server, plain(err, c.secret)}
	}
	if len(data) > maxAnswer {
		return nil, &answerError{c.server, resp.StatusCode, fmt.Sprintf("more than %d bytes", maxAnswer)}
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	for _, s := range c.accept {
		if resp.StatusCode == s {
			return resp, nil
		}
	}
	return resp, &answerError{c.server, resp.StatusCode, clean(string(data), c.secret)}
}

// badCertificate reports whether a server is not who it should be.
func badCertificate(err error) bool {
	var bad *tls.CertificateVerificationError
	return errors.As(err, &bad)
}

// plain is what a failed connection comes to, without what it quotes.
func plain(err error, secret string) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("nothing within %s", attemptTimeout)
	}
	if secret != "" && strings.Contains(err.Error(), secret) {
		return errors.New(clean(err.Error(), secret))
	}
	return err
}

// clean makes one line of what a server said, cut if long, without the secret or
// any part of it that would be of use.
func clean(s, secret string) string {
	if secret != "" {
		s = strings.ReplaceAll(s, secret, "(token)")
		// The signature is the part that makes a token out of its claims.
		for part := range strings.SplitSeq(secret, ".") {
			if len(part) > 16 {
				s = strings.ReplaceAll(s, part, "(token)")
			}
		}
	}
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))), " ")
	if len(s) > maxSaid {
		s = strings.ToValidUTF8(s[:maxSaid], "") + "..."
	}
	return s
}

// guard turns a panic of a library over what a server sent into an error: one of
// Rekor's does not expect an answer without its parts.
func guard(f func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("its answer lacks something")
		}
	}()
	return f()
}

// said turns what a library returned into an error of this package: libraries
// wrap errors in their own words, and may quote what they stumbled over.
func (c *client) said(err error, hint string) error {
	if err == nil {
		return nil
	}
	var refused *answerError
	var gone *unreachable
	switch {
	case c.ctx.Err() != nil:
		return c.ctx.Err()
	case errors.As(err, &refused):
		err = refused
		if refused.status >= http.StatusInternalServerError || refused.status == http.StatusTooManyRequests {
			hint = "the server has trouble of its own: try again later"
		}
	case errors.As(err, &gone) && badCertificate(gone):
		err, hint = gone, "check the address; the CAs of an own network stand in the file that SSL_CERT_FILE names"
	case errors.As(err, &gone):
		err, hint = gone, "check the network, the proxy (HTTPS_PROXY), and the address"
	default:
		err = fmt.Errorf("%s: %s", c.server, clean(err.Error(), c.secret))
	}
	return fault.WithHint(err, "%s", hint)
}

// checkURL refuses what is no address of a server. Private ones are those that
// get secrets.
func checkURL(what, raw string, private bool) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return fault.WithHint(fault.Usage("%s has the address %q, which is none of http or https", what, show(raw)), "for example: https://host.example")
	case u.User != nil:
		return fault.Usage("%s has an address with a user or password in it", what)
	case private && u.Scheme == "http" && !loopback(u.Hostname()):
		return fault.WithHint(fault.Usage("%s at %s would get the identity token in clear", what, show(raw)), "use an address with https")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// show is an address for a message, without a password or a query.
func show(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "?"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return clean(u.String(), "")
}
