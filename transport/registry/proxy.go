package registry

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpproxy"

	"bale/bundle/fault"
)

// proxyFromEnvironment returns the proxy to use for a request, by HTTPS_PROXY,
// HTTP_PROXY and NO_PROXY as they are now. The standard library's function
// reads them once for the whole process.
func proxyFromEnvironment() func(*http.Request) (*url.URL, error) {
	conf := httpproxy.FromEnvironment()
	find := conf.ProxyFunc()
	malformed := !isProxy(conf.HTTPSProxy) || !isProxy(conf.HTTPProxy)
	return func(req *http.Request) (*url.URL, error) {
		u, err := find(req.URL)
		if err != nil || malformed && !isLoopback(req.URL.Hostname()) {
			// The address is not repeated, for it may hold a password.
			return nil, fault.WithHint(fault.Usage("the proxy's address in the environment is malformed"),
				"HTTPS_PROXY and HTTP_PROXY look like http://user:password@proxy.example.com:3128")
		}
		return u, nil
	}
}

// isProxy reports whether s is a proxy's address, or none. The library would
// go without a proxy that it cannot read.
func isProxy(s string) bool {
	if s == "" {
		return true
	}
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "":
		return false
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return true
	}
	return false
}

// proxyAnswer says why a proxy does not let a connection through.
func proxyAnswer(_ context.Context, proxy *url.URL, req *http.Request, resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusProxyAuthRequired:
		return fault.WithHint(&proxyError{proxy.Host, req.Host, resp.StatusCode},
			"put user and password into HTTPS_PROXY: http://user:password@%s", proxy.Host)
	}
	return fault.WithHint(&proxyError{proxy.Host, req.Host, resp.StatusCode},
		"check HTTPS_PROXY, the proxy's own rules, and NO_PROXY if %s is to be reached directly", req.Host)
}

// proxyError is a proxy's refusal to connect.
type proxyError struct {
	proxy, host string
	status      int
}

func (e *proxyError) Error() string {
	if e.status == http.StatusProxyAuthRequired {
		return "the proxy " + e.proxy + " asks for a user and password"
	}
	return "the proxy " + e.proxy + " does not connect to " + e.host + ": " + http.StatusText(e.status)
}
