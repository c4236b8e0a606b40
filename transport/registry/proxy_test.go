package registry

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/parts"
)

// proxyPart is a web proxy on loopback. All names lead to this machine.
type proxyPart struct {
	addr string

	mu   sync.Mutex
	seen []string // METHOD HOST
}

// startProxy starts a proxy that wants an account, "" for none.
func startProxy(t *testing.T, account string) *proxyPart {
	t.Helper()
	p := &proxyPart{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.seen = append(p.seen, r.Method+" "+r.Host)
		p.mu.Unlock()
		user, password, _ := (&http.Request{Header: http.Header{"Authorization": r.Header.Values("Proxy-Authorization")}}).BasicAuth()
		switch {
		case account != "" && user+":"+password != account:
			w.Header().Set("Proxy-Authenticate", "Basic")
			w.WriteHeader(http.StatusProxyAuthRequired)
		case strings.HasPrefix(r.Host, "forbidden."):
			w.WriteHeader(http.StatusForbidden)
		case r.Method == http.MethodConnect:
			p.tunnel(t, w, r)
		default:
			(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
				r.Out.URL.Host = "127.0.0.1:" + r.In.URL.Port()
				r.Out.Host = r.In.Host
			}}).ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	p.addr = s.Listener.Addr().String()
	return p
}

func (p *proxyPart) tunnel(t *testing.T, w http.ResponseWriter, r *http.Request) {
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		t.Error(err)
		return
	}
	there, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer func() { _ = there.Close() }()
	here, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = here.Close() }()
	_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
	go func() {
		_, _ = io.Copy(there, buffered)
		_ = there.Close()
	}()
	_, _ = io.Copy(here, there) // either end may hang up
}

func (p *proxyPart) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.seen...)
}

// through sets the environment's proxies.
func through(t *testing.T, https, http, none string) {
	t.Helper()
	for k, v := range map[string]string{"HTTPS_PROXY": https, "HTTP_PROXY": http, "NO_PROXY": none, "ALL_PROXY": "", "REQUEST_METHOD": ""} {
		t.Setenv(k, v)
		t.Setenv(strings.ToLower(k), "")
	}
}

func TestProxy(t *testing.T) {
	reg := parts.Registry(t, parts.WithTLS())
	plain := parts.Registry(t)
	_, port, _ := net.SplitHostPort(reg.Addr)
	_, plainPort, _ := net.SplitHostPort(plain.Addr)
	d, open := bytesOpener([]byte("content"))
	p := startProxy(t, "anna:s3cret")
	address := (&url.URL{Scheme: "http", User: url.UserPassword("anna", "s3cret"), Host: p.addr}).String()

	t.Run("https", func(t *testing.T) {
		through(t, address, "", "")
		c := newTestClient(t, Options{CAFile: reg.CAFile})
		img := at(t, transport.Image{}, "registry.test:"+port+"/app:1")
		if err := c.Sink().WriteBlob(t.Context(), d, []transport.Image{img}, open); err != nil {
			t.Fatal(err)
		}
		if got, err := readBlob(t, c.Source(), img, d); err != nil || string(got) != "content" {
			t.Errorf("%q, %v", got, err)
		}
		for _, r := range p.requests() {
			if r != "CONNECT registry.test:"+port {
				t.Errorf("%s", r)
			}
		}
	})
	t.Run("http", func(t *testing.T) {
		through(t, "", address, "")
		c := newTestClient(t, Options{PlainHTTP: true})
		img := at(t, transport.Image{}, "registry.test:"+plainPort+"/app:1")
		if err := c.Sink().WriteBlob(t.Context(), d, []transport.Image{img}, open); err != nil {
			t.Fatal(err)
		}
		if got, err := readBlob(t, c.Source(), img, d); err != nil || string(got) != "content" {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("none", func(t *testing.T) {
		through(t, address, address, "registry.test")
		before := len(p.requests())
		c := newTestClient(t, Options{CAFile: reg.CAFile, dial: dialTo(reg.Addr)})
		img := at(t, transport.Image{}, "registry.test:"+port+"/app:1")
		if _, err := readBlob(t, c.Source(), img, d); err != nil {
			t.Error(err)
		}
		if n := len(p.requests()); n != before {
			t.Errorf("%d requests to the proxy", n-before)
		}
	})
	down := parts.FreeAddr(t)
	for name, c := range map[string]struct{ proxy, host, says, hint string }{
		"no account":     {"http://" + p.addr, "registry.test", "asks for a user and password", "user:password@"},
		"wrong password": {"http://anna:PW@" + p.addr, "registry.test", "asks for a user and password", "user:password@"},
		"forbidden":      {address, "forbidden.test", "does not connect to forbidden.test", "NO_PROXY"},
		"down":           {"http://" + down, "registry.test", "the proxy cannot be reached", "HTTPS_PROXY"},
		"no such host":   {"http://proxy.test:3128", "registry.test", "the proxy cannot be reached", "HTTPS_PROXY"},
		"malformed":      {"http://anna:PW@%zz", "registry.test", "malformed", "HTTPS_PROXY"},
	} {
		t.Run(name, func(t *testing.T) {
			through(t, c.proxy, "", "")
			o := Options{CAFile: reg.CAFile}
			if name == "no such host" {
				o.dial = func(context.Context, string, string) (net.Conn, error) {
					return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "proxy.test", IsNotFound: true}}
				}
			}
			client := newTestClient(t, o)
			before := len(p.requests())
			_, err := client.Source().Images(t.Context(), c.host+":"+port+"/app:1")
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(fault.Hint(err), c.hint) {
				t.Errorf("%v (%s)", err, fault.Hint(err))
			}
			if err != nil && strings.Contains(err.Error()+fault.Hint(err), "PW") {
				t.Errorf("a secret in %v", err)
			}
			if n := len(p.requests()) - before; n > 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

func TestIsProxy(t *testing.T) {
	for s, want := range map[string]bool{
		"": true, "http://a": true, "https://a:1": true, "socks5://u:p@a:1": true, "a:3128": true, "a": true, "10.0.0.1:80": true,
		"http://": false, "http://%zz": false, "ftp://a": false, "http://[": false, ":3128": false, "http://:3128": false,
	} {
		if isProxy(s) != want {
			t.Errorf("%q: %t", s, !want)
		}
	}
}
