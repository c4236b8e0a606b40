package registry

import (
	"context"
	"crypto/tls"
	"maps"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"bale/bundle/fault"
)

// maxLanes bounds how many hosts are remembered: redirects and the addresses of
// foreign layers may name any number.
const maxLanes = 1024

// lane is the connections that serve one registry: to itself, its token server
// and its storage. What certs.d says about the registry holds for all three,
// as it does for Docker and for the containers tools.
type lane struct {
	asking  *http.Transport // requests that are answered at once
	storing *http.Transport // requests that bring content
	plain   bool            // plain http is allowed to any machine
}

// lanes finds the lane of a registry. Registries that nothing is said about
// share one.
type lanes struct {
	opts  Options
	certs *certDirs
	base  *tls.Config
	proxy func(*http.Request) (*url.URL, error)
	hands handshakes

	mu     sync.Mutex
	common *lane
	own    map[string]*laneFor
	// insecure are the registries that a registries.conf named by the user
	// calls so.
	insecure map[string]bool
}

// laneFor is the lane of one registry, or why there is none.
type laneFor struct {
	lane *lane
	err  error
}

func newLanes(o Options) (*lanes, error) {
	if o.SkipTLSVerify && o.CAFile != "" {
		return nil, fault.Usage("a CA file is of no use when certificates are not verified")
	}
	// Verification is off only where the user said so in as many words.
	base := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.SkipTLSVerify}
	if o.CAFile != "" {
		pool, err := loadCAs(o.CAFile)
		if err != nil {
			return nil, err
		}
		base.RootCAs = pool
	}
	if o.CertFile != "" || o.KeyFile != "" {
		pair, err := loadPair(o.CertFile, o.KeyFile, o.note)
		if err != nil {
			return nil, err
		}
		base.Certificates = []tls.Certificate{pair}
	}
	l := &lanes{
		opts: o, base: base, certs: newCertDirs(o), proxy: proxyFromEnvironment(),
		own: map[string]*laneFor{}, insecure: map[string]bool{},
	}
	l.common = l.build(base, o.PlainHTTP)
	return l, nil
}

// allowInsecure lets the registry domain be reached without TLS, or with a
// certificate that nobody vouches for.
func (l *lanes) allowInsecure(domain string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.insecure[domain] {
		l.insecure[domain] = true
		delete(l.own, domain)
	}
}

// isInsecure reports whether allowInsecure was called for domain.
func (l *lanes) isInsecure(domain string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.insecure[domain]
}

// of returns the lane of a registry, by its host and port as addresses have
// them.
func (l *lanes) of(host string) (*lane, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.own[host]; known != nil {
		return known.lane, known.err
	}
	conf, err := l.certs.apply(l.base, domainOf(host))
	made := &laneFor{err: err}
	switch {
	case err != nil:
	case l.insecure[domainOf(host)]:
		conf = conf.Clone()
		conf.InsecureSkipVerify = true
		made.lane = l.build(conf, true)
	case conf == l.base:
		made.lane = l.common
	default:
		made.lane = l.build(conf, l.opts.PlainHTTP)
	}
	if len(l.own) >= maxLanes {
		maps.DeleteFunc(l.own, func(_ string, m *laneFor) bool { return m.lane == l.common })
	}
	l.own[host] = made
	return made.lane, made.err
}

// build returns a lane with connections of its own.
func (l *lanes) build(conf *tls.Config, plain bool) *lane {
	dial := l.opts.dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
	}
	asking := &http.Transport{
		Proxy:                  l.proxy,
		OnProxyConnectResponse: proxyAnswer,
		DialContext:            dial,
		ForceAttemptHTTP2:      true,
		TLSClientConfig:        l.hands.watch(conf),
		TLSHandshakeTimeout:    tlsTimeout,
		ResponseHeaderTimeout:  l.opts.within(answerTimeout),
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    16,
		MaxResponseHeaderBytes: maxHeader,
		// Blobs must arrive as they are stored, never unpacked on the way.
		DisableCompression: true,
	}
	storing := asking.Clone()
	storing.ResponseHeaderTimeout = l.opts.within(storeTimeout)
	return &lane{asking: asking, storing: storing, plain: plain}
}

func (l *lanes) closeIdle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.common.closeIdle()
	for _, o := range l.own {
		if o.lane != nil {
			o.lane.closeIdle()
		}
	}
}

func (l *lane) closeIdle() {
	l.asking.CloseIdleConnections()
	l.storing.CloseIdleConnections()
}

// registryKey marks the contexts of requests with the registry that they are
// made for, which differs from the host that is asked when it is the token
// server or the storage.
type registryKey struct{}

func withRegistry(ctx context.Context, host string) context.Context {
	return context.WithValue(ctx, registryKey{}, host)
}

// registryOf returns the registry that a request is made for.
func registryOf(req *http.Request) string {
	if host, ok := req.Context().Value(registryKey{}).(string); ok {
		return host
	}
	return req.URL.Host
}
