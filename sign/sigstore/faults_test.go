package sigstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	trustpb "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"

	"bale/sign/sigstore"
	"bale/transport/parts"
)

// What servers refuse, and that they are not there, is said with the server's
// name and a hint; what passes is tried again.
func TestServersFail(t *testing.T) {
	t.Parallel()
	p := parts.Sigstore(t)
	token := p.Issuer.Token(t, who)
	status := func(code int, header ...string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
			// A server may say anything, even what it was told.
			fmt.Fprintf(w, "no: %s\x1b[31m\n%s", r.Header.Get("Authorization"), strings.Repeat("x", 5000))
		}
	}
	reset := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	tests := []struct {
		name, server string
		bad          int // so many requests fail, and the rest pass
		do           func(http.ResponseWriter, *http.Request)
		hits         int
		texts        []string // nil: it is signed all the same
	}{
		{"500 once", fulcio, 1, status(500), 2, nil},
		{"500", fulcio, 99, status(500), 3, []string{"Fulcio at", "500 Internal Server Error", "try again later"}},
		{"429 once", fulcio, 1, status(429, "Retry-After", "0"), 2, nil},
		{"401", fulcio, 99, status(401), 1, []string{"Fulcio at", "401 Unauthorized", p.Issuer.URL, `audience "sigstore"`}},
		{"redirect", fulcio, 99, status(307, "Location", "http://127.0.0.1:1/"), 1, []string{"Fulcio at", "307"}},
		{"reset once", fulcio, 1, reset, 2, nil},
		{"500 once", rekor, 1, status(500), 2, nil},
		{"500", rekor, 99, status(500), 3, []string{"Rekor at", "500", "try again later"}},
		{"429", rekor, 99, status(429), 3, []string{"Rekor at", "429 Too Many Requests", "try again later"}},
		{"409 once", rekor, 1, status(409), 2, nil},
		{"409", rekor, 99, status(409), 3, []string{"Rekor at", "has this entry already"}},
		{"400", rekor, 99, status(400), 1, []string{"Rekor at", "400 Bad Request", "try again"}},
		{"503 once", tsa, 1, status(503, "Retry-After", "0"), 2, nil},
		{"500", tsa, 99, status(500), 3, []string{"timestamp authority at", "500", "try again later"}},
		{"404", tsa, 99, status(404), 1, []string{"timestamp authority at", "404 Not Found", "--timestamp-server"}},
		{"reset", tsa, 99, reset, 3, []string{"timestamp authority at", "does not answer", "network"}},
	}
	for _, tt := range tests {
		t.Run(tt.server+" "+tt.name, func(t *testing.T) {
			f := newFront(t, target(p, tt.server), func(n int, w http.ResponseWriter, r *http.Request, pass http.Handler) {
				if n <= tt.bad {
					tt.do(w, r)
					return
				}
				pass.ServeHTTP(w, r)
			})
			at := instance(t, behind(t, p, tt.server, f.url), p.TrustedRoot)
			sig, err := sigstore.Keyless(at, given(t, token)).Sign(t.Context(), message)
			if int(f.hits.Load()) != tt.hits {
				t.Errorf("%d requests, want %d", f.hits.Load(), tt.hits)
			}
			if tt.texts == nil {
				if err != nil {
					t.Fatal(err)
				}
				if err := verifies(t, p, sig.Data, message, who); err != nil {
					t.Error(err)
				}
				return
			}
			if sig != nil {
				t.Error("a signature came with the error")
			}
			plainFailure(t, err, []string{token}, tt.texts...)
			if strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Errorf("%q has control characters", err)
			}
		})
	}
}

// Nobody listens.
func TestServersNotThere(t *testing.T) {
	t.Parallel()
	p := parts.Sigstore(t)
	token := p.Issuer.Token(t, who)
	for _, server := range []string{fulcio, rekor, tsa} {
		at := instance(t, behind(t, p, server, "http://"+parts.FreeAddr(t)), p.TrustedRoot)
		_, err := sigstore.Keyless(at, given(t, token)).Sign(t.Context(), message)
		plainFailure(t, err, []string{token}, server+" at http://127.0.0.1:", "does not answer", "connection refused", "check the network")
	}
}

// Whose certificate is not known gets no token, and is not asked again.
func TestServerUnknown(t *testing.T) {
	t.Parallel()
	p := parts.Sigstore(t)
	token := p.Issuer.Token(t, who)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was asked") }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	_, err := sigstore.Keyless(instance(t, behind(t, p, fulcio, s.URL), p.TrustedRoot), given(t, token)).Sign(t.Context(), message)
	plainFailure(t, err, []string{token}, "Fulcio at "+s.URL, "certificate", "SSL_CERT_FILE")
}

// What Fulcio itself refuses: the reason stands in the token's claims, which the
// hint shows, without its signature.
func TestFulcioRefusesTokens(t *testing.T) {
	t.Parallel()
	p := parts.Sigstore(t)
	stranger := parts.Issuer(t)
	past := time.Now().Add(-time.Hour).Unix()
	for name, c := range map[string]struct {
		token string
		texts []string
	}{
		"audience":        {p.Issuer.Token(t, who, map[string]any{"aud": "registry"}), []string{"Fulcio at", `audience "registry"`, `usually "sigstore"`}},
		"issuer":          {stranger.Token(t, who), []string{"Fulcio at", stranger.URL, "the signing config names the issuer", p.Issuer.URL}},
		"unverified mail": {p.Issuer.Token(t, who, map[string]any{"email_verified": false}), []string{"Fulcio at"}},
		"not yet valid":   {p.Issuer.Token(t, who, map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}), []string{"Fulcio at"}},
		"expired":         {p.Issuer.Token(t, who, map[string]any{"exp": past}), []string{"identity token expired at", "get a new one"}},
	} {
		t.Run(name, func(t *testing.T) {
			source := func(context.Context) (string, error) { return c.token, nil }
			_, err := sigstore.Keyless(instance(t, p.SigningConfig, p.TrustedRoot), source).Sign(t.Context(), message)
			plainFailure(t, err, []string{c.token}, c.texts...)
		})
	}
}

// Servers that do not tell the truth are found out before a signature leaves.
func TestServersLie(t *testing.T) {
	t.Parallel()
	p, other := parts.Sigstore(t), parts.Sigstore(t)
	token := p.Issuer.Token(t, who)
	tests := []struct {
		name, server string
		do           func(n int, w http.ResponseWriter, r *http.Request, pass http.Handler)
		texts        []string
	}{
		{"a stranger's", tsa, func(_ int, w http.ResponseWriter, r *http.Request, _ http.Handler) {
			forward(t, w, r, other.TSA)
		}, []string{"own check", "does not verify", "trusted root"}},
		{"not a timestamp", tsa, func(_ int, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			_, _ = w.Write([]byte("<html>"))
		}, []string{"timestamp authority at", "RFC 3161"}},
		{"an altered timestamp", tsa, func(_ int, w http.ResponseWriter, r *http.Request, pass http.Handler) {
			rec := httptest.NewRecorder()
			pass.ServeHTTP(rec, r)
			_, _ = w.Write(flip(rec.Body.Bytes(), rec.Body.Len()-3))
		}, []string{"timestamp authority at"}},
		{"too much", tsa, func(_ int, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			_, _ = w.Write(make([]byte, 2<<20))
		}, []string{"timestamp authority at", "more than"}},
		{"a stranger's", rekor, func(_ int, w http.ResponseWriter, r *http.Request, _ http.Handler) {
			forward(t, w, r, other.Rekor+"/api/v2/log/entries")
		}, []string{"own check", "does not verify"}},
		{"not an entry", rekor, func(_ int, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{"logIndex":"x"}`))
		}, []string{"Rekor at", "no log entry"}},
		{"an empty entry", rekor, func(_ int, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{}`))
		}, []string{"own check"}},
		{"no certificate", fulcio, func(_ int, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			_, _ = w.Write([]byte(`{}`))
		}, []string{"Fulcio at", "no certificates"}},
		{"a certificate for another key", fulcio, func(_ int, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			_ = json.NewEncoder(w).Encode(map[string]any{"signedCertificateEmbeddedSct": map[string]any{
				"chain": map[string]any{"certificates": []string{string(ownCertificate(t))}},
			}})
		}, []string{"Fulcio at", "its certificate is for another key"}},
	}
	for _, tt := range tests {
		t.Run(tt.server+" "+tt.name, func(t *testing.T) {
			f := newFront(t, target(p, tt.server), tt.do)
			sig, err := sigstore.Keyless(instance(t, behind(t, p, tt.server, f.url), p.TrustedRoot), given(t, token)).Sign(t.Context(), message)
			if sig != nil {
				t.Error("a signature came of it")
			}
			plainFailure(t, err, []string{token}, tt.texts...)
		})
	}
	t.Run("another instance's root", func(t *testing.T) {
		_, err := sigstore.Keyless(instance(t, p.SigningConfig, other.TrustedRoot), given(t, token)).Sign(t.Context(), message)
		plainFailure(t, err, []string{token}, "own check", "does not verify", "trusted root is too old or of another instance")
	})
	t.Run("another CA's certificates", func(t *testing.T) {
		root := p.RootWith(t, func(r *trustpb.TrustedRoot) { r.Ctlogs = other.Root().Ctlogs })
		_, err := sigstore.Keyless(instance(t, p.SigningConfig, root), given(t, token)).Sign(t.Context(), message)
		plainFailure(t, err, []string{token}, "own check", "does not verify")
	})
}

// A timestamp that was right for an earlier signature is not one for this.
func TestOldTimestamp(t *testing.T) {
	t.Parallel()
	p := parts.Sigstore(t)
	var old []byte
	f := newFront(t, p.TSA, func(n int, w http.ResponseWriter, r *http.Request, pass http.Handler) {
		if n == 1 {
			rec := httptest.NewRecorder()
			pass.ServeHTTP(rec, r)
			old = rec.Body.Bytes()
		}
		_, _ = w.Write(old)
	})
	s := sigstore.Keyless(instance(t, behind(t, p, tsa, f.url), p.TrustedRoot), given(t, p.Issuer.Token(t, who)))
	if _, err := s.Sign(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	_, err := s.Sign(t.Context(), message)
	plainFailure(t, err, nil, "timestamp authority at", "is for something else", "do not use")
}

// forward passes a request on to another server.
func forward(t *testing.T, w http.ResponseWriter, r *http.Request, to string) {
	req, err := http.NewRequestWithContext(r.Context(), r.Method, to, r.Body)
	if err != nil {
		t.Error(err)
		return
	}
	req.Header = r.Header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

func flip(b []byte, at int) []byte {
	out := append([]byte(nil), b...)
	out[at] ^= 1
	return out
}

// Ctrl-C ends the wait for any server, and is no other error.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	p := parts.Sigstore(t)
	token := p.Issuer.Token(t, who)
	for _, server := range []string{fulcio, rekor, tsa} {
		t.Run(server, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan struct{})
			f := newFront(t, target(p, server), func(_ int, _ http.ResponseWriter, r *http.Request, _ http.Handler) {
				_, _ = io.Copy(io.Discard, r.Body) // or the server does not see that the client goes
				cancel()
				select {
				case <-r.Context().Done():
				case <-done:
				}
			})
			_, err := sigstore.Keyless(instance(t, behind(t, p, server, f.url), p.TrustedRoot), given(t, token)).Sign(ctx, message)
			close(done)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
		})
	}
}
