package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"bale/bundle/fault"
)

// task is something asked of a registry. It turns a failure into words for
// the person who has to mend it.
type task struct {
	doing     string // "read blob sha256:… of host/app:1"
	object    string // what is missing when the registry says 404: "image host/app:1"
	part      bool   // the object is a part of an image that is there
	host      string // as the user wrote it, for docker login
	push      bool   // content goes to the registry
	greeting  bool   // the first contact, before anything is asked
	elsewhere bool   // host is no registry, but a web server that a layer comes from
	anonymous bool   // no credentials were sent
}

// explain returns err as a fault with a hint, or ctx's error if that ended
// the task. It drops URLs, whose queries may hold signatures of storage.
func (t task) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// An error of the content belongs to the side that the content is from.
	var content *contentError
	if errors.As(err, &content) {
		return content.err
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return fmt.Errorf("%s: %w", t.doing, known)
	}
	if e := t.explainTLS(err); e != nil {
		return e
	}
	var answer *regtransport.Error
	if errors.As(err, &answer) {
		return triedOf(err, answer.Request).add(t.explainAnswer(answer))
	}
	return triedOf(err, nil).add(t.explainNetwork(err))
}

func (t task) explainTLS(err error) error {
	var (
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &authority):
		return fault.WithHint(fmt.Errorf("%s: the certificate of %s is not trusted: %w", t.doing, t.host, authority),
			"give the registry's CA certificate with --ca-file FILE")
	case errors.As(err, &hostname):
		return fault.WithHint(fmt.Errorf("%s: the certificate of %s is for another name: %w", t.doing, t.host, hostname),
			"use the name that the certificate is for")
	case errors.As(err, &invalid):
		return fault.WithHint(fmt.Errorf("%s: the certificate of %s is not valid: %w", t.doing, t.host, invalid),
			"check the clock of this machine, and have the registry's certificate renewed")
	case errors.As(err, &verify):
		return fault.WithHint(fmt.Errorf("%s: the certificate of %s is not trusted: %w", t.doing, t.host, verify.Err),
			"give the registry's CA certificate with --ca-file FILE")
	}
	return nil
}

func (t task) explainNetwork(err error) error {
	var (
		record tls.RecordHeaderError
		plain  *plainHTTPError
		dns    *net.DNSError
		op     *net.OpError
		stall  *stalledError
		slow   net.Error
	)
	refusedPlain := errors.As(err, &plain)
	switch {
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record):
		return fault.WithHint(fmt.Errorf("%s: %s does not speak https", t.doing, t.host),
			"if it serves plain http and the network may be trusted, add --plain-http")
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return fault.WithHint(fmt.Errorf("%s: the proxy cannot be reached: %w", t.doing, op.Err),
			"check HTTPS_PROXY, HTTP_PROXY and NO_PROXY")
	case errors.As(err, &dns):
		return fault.WithHint(fmt.Errorf("%s: registry %s cannot be found: %w", t.doing, t.host, dns),
			"check the spelling of the registry's name, and this machine's DNS")
	case op != nil && op.Op == "dial":
		return fault.WithHint(fmt.Errorf("%s: %s cannot be reached: %w", t.doing, t.host, op.Err),
			"%s", reachHint(refusedPlain))
	case errors.As(err, &stall):
		return fault.WithHint(fmt.Errorf("%s: %w", t.doing, stall),
			"try again; if it stalls again, look at the network and at proxies in between")
	case errors.As(err, &slow) && slow.Timeout():
		return fault.WithHint(fmt.Errorf("%s: %s does not answer in time", t.doing, t.host),
			"%s", reachHint(refusedPlain))
	case refusedPlain:
		return fault.WithHint(fmt.Errorf("%s: %w", t.doing, plain),
			"if the network may be trusted, add --plain-http")
	case errors.Is(err, io.EOF):
		// Never hand on an error that may be taken for a good end.
		return t.broke(io.ErrUnexpectedEOF)
	case passing(err):
		return t.broke(unwrapURL(err))
	}
	return quiet(t.doing, unwrapURL(err))
}

func (t task) broke(err error) error {
	hint := "try again when the network is better"
	if t.push {
		hint += "; what the registry already has is not sent twice"
	}
	return fault.WithHint(quiet(t.doing+": the connection to "+t.host+" broke", err), "%s", hint)
}

func reachHint(refusedPlain bool) string {
	if refusedPlain {
		return "check that the registry is running and its port is right; if it serves plain http, add --plain-http"
	}
	return "check that the registry is running, its port is right and no firewall is in between"
}
