package registry

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/parts"
)

// dialTo leads all connections to one address, as a wrong or hostile DNS may.
func dialTo(addr string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
}

// TestPlainHTTP asks a registry that speaks only http under names that are
// not this machine's. Not one request may go out unprotected.
func TestPlainHTTP(t *testing.T) {
	var seen atomic.Int32
	reg := parts.MemoryRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen.Add(1)
			next.ServeHTTP(w, r)
		})
	})
	pushImage(t, reg.Image("app:1"))
	for _, host := range []string{
		"registry.example.com", "registry.example.com:5000", "registry.local:5000", "evil.localhost:5000",
		"10.0.0.7:5000", "172.16.1.1", "192.168.1.1:5000", "[fd00::1]:5000",
	} {
		t.Run(host, func(t *testing.T) {
			seen.Store(0)
			c := newTestClient(t, Options{dial: dialTo(reg.Addr)})
			_, err := c.Source().Images(t.Context(), host+"/app:1")
			if err == nil || !strings.Contains(fault.Hint(err), "--plain-http") {
				t.Errorf("%v, hint %q", err, fault.Hint(err))
			}
			if n := seen.Load(); n != 0 {
				t.Errorf("%d requests over plain http", n)
			}
			c = newTestClient(t, Options{dial: dialTo(reg.Addr), PlainHTTP: true})
			one(t, c.Source(), host+"/app:1")
		})
	}
}

// TestNoPlainHTTPOnTheWay sends readers of an https registry to http.
func TestNoPlainHTTPOnTheWay(t *testing.T) {
	for to, says := range map[string]string{"http://storage.example.com/x": "plain http", "https://127.0.0.1:1/x": "loopback"} {
		s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/" {
				http.Redirect(w, r, to, http.StatusTemporaryRedirect)
			}
		}))
		t.Cleanup(s.Close)
		c := newTestClient(t, Options{SkipTLSVerify: true, dial: dialTo(s.Listener.Addr().String())})
		d, _ := bytesOpener([]byte("x"))
		_, err := c.Source().Blob(t.Context(), at(t, transport.Image{}, "registry.example.com/app:1"), d)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", to, err)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LocalHost": true, "127.0.0.1": true, "127.8.9.1": true, "::1": true, "::ffff:127.0.0.1": true,
		"": false, "localhost.example.com": false, "my.localhost": false, "127.0.0.1.example.com": false,
		"10.0.0.1": false, "0.0.0.0": false, "::": false, "127.1": false, "fe80::1%lo": false,
	} {
		if isLoopback(host) != want {
			t.Errorf("%q: %t", host, !want)
		}
	}
	for domain, want := range map[string]string{
		"localhost": "localhost", "localhost:1": "localhost", "[::1]:5000": "::1", "[::1]": "::1", "a.b:1": "a.b",
	} {
		if got := hostOf(domain); got != want {
			t.Errorf("%q: %q", domain, got)
		}
	}
}

func TestTLS(t *testing.T) {
	reg := parts.Registry(t, parts.WithTLS())
	other := parts.Registry(t, parts.WithTLS())
	name := reg.Image("app:1")
	d, open := bytesOpener([]byte("content"))
	img := at(t, transport.Image{}, name)

	good := newTestClient(t, Options{CAFile: reg.CAFile})
	if err := good.Sink().WriteBlob(t.Context(), d, []transport.Image{img}, open); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]*Client{"CA file": good, "no verification": newTestClient(t, Options{SkipTLSVerify: true})} {
		if _, err := readBlob(t, c.Source(), img, d); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, o := range map[string]Options{"no CA": {}, "another CA": {CAFile: other.CAFile}} {
		_, err := newTestClient(t, o).Source().Images(t.Context(), name)
		if err == nil || !strings.Contains(err.Error(), "not trusted") || !strings.Contains(fault.Hint(err), "--ca-file") {
			t.Errorf("%s: %v (%s)", what, err, fault.Hint(err))
		}
	}
	c := newTestClient(t, Options{CAFile: reg.CAFile, dial: dialTo(reg.Addr)})
	_, err := c.Source().Images(t.Context(), "registry.example.com/app:1")
	if err == nil || !strings.Contains(err.Error(), "for another name") {
		t.Errorf("another name: %v", err)
	}
}

func TestOptions(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for name, o := range map[string]Options{
		"no such file": {CAFile: filepath.Join(dir, "none")},
		"folder":       {CAFile: dir},
		"empty":        {CAFile: file("empty", nil)},
		"no PEM":       {CAFile: file("text", []byte("not a certificate"))},
		"too large":    {CAFile: file("large", make([]byte, MaxCAFile+1))},
		"both":         {CAFile: file("x", nil), SkipTLSVerify: true},
	} {
		if c, err := NewClient(o); !errors.Is(err, fault.ErrUsage) || c != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if c, err := NewClient(Options{}); err != nil || c.keychain == nil {
		t.Errorf("zero options: %v", err)
	}
}

// TestHangsUp meets a registry that ends connections; the error must not look
// like the good end of something.
func TestHangsUp(t *testing.T) {
	_, pull, push := answered(t, Options{}, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for _, err := range []error{pull, push} {
		if !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "broke") {
			t.Errorf("%v", err)
		}
		if h := fault.Hint(err); !strings.Contains(h, "try again") {
			t.Errorf("hint %q", h)
		}
	}
}

// TestUnreachable checks words, hints and that nobody waits for long.
func TestUnreachable(t *testing.T) {
	down := parts.Registry(t)
	down.Stop()
	refuse := func(err error) Options {
		return Options{dial: func(_ context.Context, network, _ string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: network, Err: err}
		}}
	}
	for _, c := range []struct {
		what, host string
		o          Options
		says, hint string
	}{
		{"stopped", down.Addr, Options{}, "connection refused", "running"},
		{"stopped, private address", "10.0.0.1:5000", Options{dial: dialTo(down.Addr)}, "connection refused", "--plain-http"},
		{"no such host", "registry.example.com", refuse(&net.DNSError{Err: "no such host", Name: "registry.example.com", IsNotFound: true}), "cannot be found", "DNS"},
		{"no answer", "registry.example.com", refuse(os.ErrDeadlineExceeded), "cannot be reached", "firewall"},
	} {
		t.Run(c.what, func(t *testing.T) {
			c.o.Backoff.Steps = 0
			o := c.o
			o.Keychain = strangers{}
			client, err := NewClient(o) // with the backoff that users get
			if err != nil {
				t.Fatal(err)
			}
			d, open := bytesOpener([]byte("x"))
			img := at(t, transport.Image{}, c.host+"/app:1")
			start := time.Now()
			_, err = client.Source().Images(t.Context(), img.Name.String())
			err2 := client.Sink().WriteBlob(t.Context(), d, []transport.Image{img}, open)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
			for _, err := range []error{err, err2} {
				if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.host) {
					t.Errorf("%v does not say %q", err, c.says)
				}
				if h := fault.Hint(err); !strings.Contains(h, c.hint) {
					t.Errorf("hint %q lacks %q", h, c.hint)
				}
			}
		})
	}
}

// dialNoFurther reaches this machine only, and no name server.
func dialNoFurther(ctx context.Context, network, addr string) (net.Conn, error) {
	if !isLoopback(hostOf(addr)) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host", Name: hostOf(addr), IsNotFound: true}}
	}
	return new(net.Dialer).DialContext(ctx, network, addr)
}
