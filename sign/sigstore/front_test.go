package sigstore_test

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	trustpb "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"

	"bale/bundle/fault"
	"bale/transport/parts"
)

// front is a server that stands before one of the private Sigstore's.
type front struct {
	url  string
	hits atomic.Int32
}

// newFront starts a front for a server. The handler gets the number of each
// request, from 1, and what passes it on.
func newFront(t *testing.T, target string, h func(n int, w http.ResponseWriter, r *http.Request, pass http.Handler)) *front {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = u.Scheme, u.Host },
		ErrorLog: log.New(io.Discard, "", 0),
	}
	f := new(front)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h(int(f.hits.Add(1)), w, r, proxy)
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	f.url = s.URL + u.Path
	return f
}

// The servers of an instance, as tests name them.
const (
	fulcio = "Fulcio"
	rekor  = "Rekor"
	tsa    = "timestamp authority"
)

func target(p *parts.SigstorePart, server string) string {
	return map[string]string{fulcio: p.Fulcio, rekor: p.Rekor, tsa: p.TSA}[server]
}

// behind returns a signing config in which a server has another address.
func behind(t *testing.T, p *parts.SigstorePart, server, address string) string {
	t.Helper()
	return p.ConfigWith(t, func(c *trustpb.SigningConfig) {
		list := map[string][]*trustpb.Service{fulcio: c.CaUrls, rekor: c.RekorTlogUrls, tsa: c.TsaUrls}[server]
		list[0].Url = address
	})
}

// plainFailure checks that an error is of no kind (exit code 1), says some
// texts, has a hint, and holds no secret.
func plainFailure(t *testing.T, err error, secrets []string, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, kind := range []error{fault.ErrUsage, fault.ErrDamaged, fault.ErrMissing, fault.ErrUntrusted, fault.ErrUnsupported} {
		if errors.Is(err, kind) {
			t.Errorf("error is of the kind %v: %v", kind, err)
		}
	}
	says(t, err, secrets, texts...)
}

// says is plainFailure for errors of any kind.
func says(t *testing.T, err error, secrets []string, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	all := err.Error() + " / " + fault.Hint(err)
	for _, s := range texts {
		if !strings.Contains(all, s) {
			t.Errorf("%q does not say %q", all, s)
		}
	}
	if fault.Hint(err) == "" {
		t.Errorf("%q has no hint", err)
	}
	if len(all) > 2000 {
		t.Errorf("an error of %d bytes", len(all))
	}
	noSecret(t, all, secrets)
}

// noSecret checks that no secret, and no long part of one, is in a text.
func noSecret(t *testing.T, text string, secrets []string) {
	t.Helper()
	for _, s := range secrets {
		for part := range strings.SplitSeq(s, ".") {
			for i := 0; i+20 <= len(part); i += 10 {
				if strings.Contains(text, part[i:i+20]) {
					t.Errorf("%q shows a part of a secret", text)
				}
			}
		}
	}
}
