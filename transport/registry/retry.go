package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"

	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"bale/bundle/fault"
)

// passingCodes are the answers after which a request is tried again.
var passingCodes = []int{
	http.StatusRequestTimeout,
	http.StatusTooManyRequests,
	http.StatusInternalServerError,
	http.StatusBadGateway,
	http.StatusServiceUnavailable,
	http.StatusGatewayTimeout,
}

// passing reports whether err is known to be of the kind that may go away by
// itself: a connection that broke or fell silent, or a registry that says so.
// Refusals and damage do not.
func passing(err error) bool {
	var slow net.Error
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, fault.ErrDamaged), isDial(err):
		return false
	case errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, io.EOF),
		errors.Is(err, syscall.EPIPE),
		errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, net.ErrClosed):
		return true
	}
	// The other side of a copy has had its own retries.
	var c *contentError
	if errors.As(err, &c) {
		return false
	}
	if errors.As(err, &slow) && slow.Timeout() {
		return true
	}
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

// lasting reports whether an error from the wire will come again however often
// the request is sent. All others may pass: net/http has many ways to say that
// a connection broke, most of them without a type.
func lasting(err error) bool {
	var (
		known     *fault.Error
		content   *contentError
		plain     *plainHTTPError
		record    tls.RecordHeaderError
		alert     tls.AlertError
		verify    *tls.CertificateVerificationError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		answer    *regtransport.Error
	)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, http.ErrSchemeMismatch),
		errors.As(err, &known), errors.As(err, &content), errors.As(err, &plain),
		errors.As(err, &record), errors.As(err, &alert), errors.As(err, &verify),
		errors.As(err, &authority), errors.As(err, &hostname), errors.As(err, &invalid),
		errors.As(err, &answer):
		return true
	}
	return isDial(err)
}

// isDial reports whether no connection came about. Nobody should wait to learn
// that a name or port is wrong.
func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect")
}
