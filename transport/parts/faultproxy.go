package parts

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// RequestKind is one kind of request to a registry (distribution spec,
// "Endpoints", with what matters to faults told apart).
type RequestKind string

// The kinds of request.
const (
	Ping               RequestKind = "ping"
	GetToken           RequestKind = "get-token"
	HeadManifestTag    RequestKind = "head-manifest-by-tag"
	HeadManifestDigest RequestKind = "head-manifest-by-digest"
	GetManifestTag     RequestKind = "get-manifest-by-tag"
	GetManifestDigest  RequestKind = "get-manifest-by-digest"
	PutManifestTag     RequestKind = "put-manifest-by-tag"
	PutManifestDigest  RequestKind = "put-manifest-by-digest"
	DeleteManifest     RequestKind = "delete-manifest"
	HeadBlob           RequestKind = "head-blob"
	GetBlob            RequestKind = "get-blob"
	DeleteBlob         RequestKind = "delete-blob"
	PostUpload         RequestKind = "post-upload"
	PostMount          RequestKind = "post-mount"
	GetUpload          RequestKind = "get-upload"
	PatchUpload        RequestKind = "patch-upload"
	PutUpload          RequestKind = "put-upload"
	DeleteUpload       RequestKind = "delete-upload"
	GetReferrers       RequestKind = "get-referrers"
	ListTags           RequestKind = "list-tags"
	OtherRequest       RequestKind = "other"
)

// Where the proxy takes requests for tokens, and for which token server.
const (
	faultTokenPath      = "/faultproxy/token"
	faultTokenParameter = "faultproxy-realm"
)

// FaultAction is what goes wrong with a request.
type FaultAction string

// The faults. Those of the answer's body pass the request on and do nothing to
// an answer without one, except that a reset or stall comes instead of it.
const (
	ResetBefore  FaultAction = "reset before"        // the registry never sees the request
	ResetBody    FaultAction = "reset in the upload" // it sees half of the request's body
	ResetAnswer  FaultAction = "reset of the answer" // it does what was asked; the answer is lost
	ResetMiddle  FaultAction = "reset in the middle" // half of the answer's body arrives
	Stall        FaultAction = "stall"               // the request is not even read
	StallMiddle  FaultAction = "stall in the middle" // half of the answer's body arrives, and then nothing
	TooMany      FaultAction = "429"                 // with Retry-After
	Error500     FaultAction = "500"
	Error503     FaultAction = "503"
	Unauthorized FaultAction = "401"           // as when a token has expired
	Truncate     FaultAction = "truncated"     // the right Content-Length, fewer bytes, a proper end
	FlipByte     FaultAction = "flipped byte"  // in the middle of the body
	WrongDigest  FaultAction = "wrong digest"  // in Docker-Content-Digest
	WrongLength  FaultAction = "wrong length"  // Content-Length says one byte less, and that is sent
	IgnoreRange  FaultAction = "ignores range" // the whole blob for a part of it
)

// Fault says what goes wrong when.
type Fault struct {
	Kind RequestKind
	Nth  int // of the requests of that kind, from 1; 0 is every one
	Do   FaultAction

	// After is the Retry-After header of a 429 or 503; "" is "0" with a 429,
	// and none with a 503.
	After string
}

// FaultProxyPart is a proxy in front of a registry that makes faults. Its Addr
// and Image are used in place of the registry's.
type FaultProxyPart struct {
	RegistryPart
	proxy *httputil.ReverseProxy
	done  chan struct{} // closed at the end: stalls are over

	mu        sync.Mutex
	faults    []Fault
	hits      int
	seen      []string
	counts    map[RequestKind]int
	challenge string // the last one of the registry
}

// FaultProxy starts a proxy on loopback that speaks plain http and passes all
// requests on to upstream, save for the faults. Where upstream has a token
// server, requests for tokens go through the proxy as well.
func FaultProxy(t testing.TB, upstream *RegistryPart, faults ...Fault) *FaultProxyPart {
	t.Helper()
	p := &FaultProxyPart{done: make(chan struct{})}
	p.Arm(faults...)
	target := &url.URL{Scheme: "http", Host: upstream.Addr}
	away := &http.Transport{DisableCompression: true}
	if upstream.CAFile != "" {
		target.Scheme = "https"
		ca, err := os.ReadFile(upstream.CAFile)
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(ca) {
			t.Fatalf("%s holds no certificate", upstream.CAFile)
		}
		away.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	p.proxy = &httputil.ReverseProxy{
		Transport:      away,
		FlushInterval:  -1,
		ErrorLog:       log.New(io.Discard, "", 0),
		Rewrite:        func(r *httputil.ProxyRequest) { rewriteFault(r, target) },
		ModifyResponse: p.answer,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if errors.Is(err, errFault) {
				reset(r)
			}
			panic(http.ErrAbortHandler)
		},
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, faultConn{}, c)
	}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	p.Addr, p.Dir = s.Listener.Addr().String(), upstream.Dir
	p.stop = sync.OnceFunc(func() {
		close(p.done)
		s.CloseClientConnections()
		s.Close()
		away.CloseIdleConnections()
	})
	t.Cleanup(p.stop)
	return p
}

// Arm replaces the faults, and forgets what was counted and seen.
func (p *FaultProxyPart) Arm(faults ...Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults, p.hits, p.seen, p.counts = faults, 0, nil, map[RequestKind]int{}
}

// Hits returns how many requests met a fault. A test of a fault that was not
// hit has tested nothing.
func (p *FaultProxyPart) Hits() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hits
}

// Seen returns the requests in their order: kind, method and path.
func (p *FaultProxyPart) Seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.seen...)
}

// Count returns how many requests of a kind there were.
func (p *FaultProxyPart) Count(kind RequestKind) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[kind]
}

type (
	faultConn struct{} // context key of the client's connection
	faultDo   struct{} // context key of the Fault to make
)

var errFault = errors.New("a fault that the test asked for")

// meet counts a request and returns the fault that it meets.
func (p *FaultProxyPart) meet(r *http.Request) Fault {
	kind := KindOf(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[kind]++
	p.seen = append(p.seen, fmt.Sprintf("%s: %s %s", kind, r.Method, r.URL.Path))
	for _, f := range p.faults {
		if f.Kind == kind && (f.Nth == 0 || f.Nth == p.counts[kind]) {
			p.hits++
			return f
		}
	}
	return Fault{}
}

func (p *FaultProxyPart) serve(w http.ResponseWriter, r *http.Request) {
	f := p.meet(r)
	switch f.Do {
	case ResetBefore:
		reset(r)
		panic(http.ErrAbortHandler)
	case ResetBody:
		half := r.ContentLength / 2
		r.Body = &faultBody{ReadCloser: r.Body, left: max(half, 0), then: func() error {
			reset(r)
			return errFault
		}}
	case Stall:
		p.wait(r)
		panic(http.ErrAbortHandler)
	case TooMany:
		if f.After == "" {
			f.After = "0"
		}
		refuse(w, f, http.StatusTooManyRequests, "TOOMANYREQUESTS")
		return
	case Error500:
		refuse(w, f, http.StatusInternalServerError, "UNKNOWN")
		return
	case Error503:
		refuse(w, f, http.StatusServiceUnavailable, "UNAVAILABLE")
		return
	case Unauthorized:
		p.mu.Lock()
		if p.challenge != "" {
			w.Header().Set("WWW-Authenticate", p.challenge)
		}
		p.mu.Unlock()
		refuse(w, f, http.StatusUnauthorized, "UNAUTHORIZED")
		return
	case IgnoreRange:
		r.Header.Del("Range")
	}
	p.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), faultDo{}, f)))
}

// refuse answers with an error as a registry does.
func refuse(w http.ResponseWriter, f Fault, status int, code string) {
	if f.After != "" {
		w.Header().Set("Retry-After", f.After)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":"the fault proxy says %d"}]}`, code, status)
}

// wait waits until the client or the test has gone.
func (p *FaultProxyPart) wait(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-p.done:
	}
}

// reset ends the client's connection with a TCP reset.
func reset(r *http.Request) {
	if c, ok := r.Context().Value(faultConn{}).(*net.TCPConn); ok {
		_ = c.SetLinger(0)
		_ = c.Close()
	}
}

// answer changes an answer of the registry.
func (p *FaultProxyPart) answer(resp *http.Response) error {
	p.passChallenge(resp)
	r := resp.Request
	f, _ := r.Context().Value(faultDo{}).(Fault)
	empty := r.Method == http.MethodHead || resp.ContentLength == 0
	half := resp.ContentLength / 2
	if half < 0 {
		half = 1 // of unknown length
	}
	switch f.Do {
	case ResetAnswer:
		return errFault
	case ResetMiddle:
		if empty {
			return errFault
		}
		resp.Body = &faultBody{ReadCloser: resp.Body, left: half, then: func() error {
			reset(r)
			return errFault
		}}
	case StallMiddle:
		if empty {
			p.wait(r)
			return errFault
		}
		resp.Body = &faultBody{ReadCloser: resp.Body, left: half, then: func() error {
			p.wait(r)
			return errFault
		}}
	case Truncate:
		resp.Body = &faultBody{ReadCloser: resp.Body, left: half, then: func() error { return io.EOF }}
	case FlipByte:
		resp.Body = &flipBody{ReadCloser: resp.Body, at: half}
	case WrongDigest:
		resp.Header.Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
	case WrongLength:
		if n := resp.ContentLength; n > 0 {
			resp.ContentLength = n - 1
			resp.Header.Set("Content-Length", fmt.Sprint(n-1))
			resp.Body = &faultBody{ReadCloser: resp.Body, left: n - 1, then: func() error { return io.EOF }}
		}
	}
	return nil
}

// realm is where a challenge sends clients for tokens (RFC 6750, section 3).
var realm = regexp.MustCompile(`realm="([^"]*)"`)

// passChallenge leads requests for tokens through the proxy.
func (p *FaultProxyPart) passChallenge(resp *http.Response) {
	c := resp.Header.Get("WWW-Authenticate")
	if c == "" {
		return
	}
	if strings.HasPrefix(strings.ToLower(c), "bearer ") {
		c = realm.ReplaceAllStringFunc(c, func(s string) string {
			to := url.URL{
				Scheme: "http", Host: p.Addr, Path: faultTokenPath,
				RawQuery: url.Values{faultTokenParameter: {realm.FindStringSubmatch(s)[1]}}.Encode(),
			}
			return `realm="` + to.String() + `"`
		})
		resp.Header.Set("WWW-Authenticate", c)
	}
	p.mu.Lock()
	p.challenge = c
	p.mu.Unlock()
}

// rewriteFault sends a request on: to the registry, which sees the proxy's name
// in it and so names the proxy in its answers, or to its token server.
func rewriteFault(r *httputil.ProxyRequest, target *url.URL) {
	query := r.In.URL.Query()
	to, err := url.Parse(query.Get(faultTokenParameter))
	if r.In.URL.Path != faultTokenPath || err != nil {
		r.SetURL(target)
		r.Out.Host = r.In.Host
		return
	}
	query.Del(faultTokenParameter)
	for k, v := range to.Query() {
		query[k] = append(query[k], v...)
	}
	to.RawQuery = query.Encode()
	r.Out.URL, r.Out.Host = to, to.Host
}

// faultBody ends after some bytes as then says.
type faultBody struct {
	io.ReadCloser
	left int64
	then func() error
}

func (b *faultBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, b.then()
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// flipBody changes one bit of one byte.
type flipBody struct {
	io.ReadCloser
	at int64
}

func (b *flipBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.at >= 0 && b.at < int64(n) {
		p[b.at] ^= 1
	}
	b.at -= int64(n)
	return n, err
}

// The paths of the distribution spec. A repository's name may have slashes.
var (
	manifestPath  = regexp.MustCompile(`^/v2/.+/manifests/([^/]+)$`)
	uploadsPath   = regexp.MustCompile(`^/v2/.+/blobs/uploads/?$`)
	uploadPath    = regexp.MustCompile(`^/v2/.+/blobs/uploads/.+$`)
	blobPath      = regexp.MustCompile(`^/v2/.+/blobs/[^/]+$`)
	referrersPath = regexp.MustCompile(`^/v2/.+/referrers/[^/]+$`)
	tagsPath      = regexp.MustCompile(`^/v2/.+/tags/list$`)
)

// KindOf tells what a request asks of a registry.
func KindOf(r *http.Request) RequestKind {
	path := r.URL.Path
	get := r.Method == http.MethodGet
	switch {
	case path == faultTokenPath:
		return GetToken
	case path == "/v2/" || path == "/v2":
		return Ping
	case uploadsPath.MatchString(path) && r.Method == http.MethodPost:
		if r.URL.Query().Has("mount") && r.URL.Query().Has("from") {
			return PostMount
		}
		return PostUpload
	case uploadPath.MatchString(path):
		return map[string]RequestKind{
			http.MethodGet: GetUpload, http.MethodPatch: PatchUpload,
			http.MethodPut: PutUpload, http.MethodDelete: DeleteUpload,
		}[r.Method]
	case blobPath.MatchString(path):
		return map[string]RequestKind{
			http.MethodGet: GetBlob, http.MethodHead: HeadBlob, http.MethodDelete: DeleteBlob,
		}[r.Method]
	case referrersPath.MatchString(path) && get:
		return GetReferrers
	case tagsPath.MatchString(path) && get:
		return ListTags
	}
	m := manifestPath.FindStringSubmatch(path)
	if m == nil {
		return OtherRequest
	}
	byDigest := strings.Contains(m[1], ":")
	kinds := map[string][2]RequestKind{
		http.MethodGet: {GetManifestTag, GetManifestDigest}, http.MethodHead: {HeadManifestTag, HeadManifestDigest},
		http.MethodPut: {PutManifestTag, PutManifestDigest}, http.MethodDelete: {DeleteManifest, DeleteManifest},
	}[r.Method]
	if byDigest {
		return kinds[1]
	}
	return kinds[0]
}
