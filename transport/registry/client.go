package registry

import (
	"net/http"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"bale/bundle/fault"
	"bale/transport"
)

// Client reaches registries. Its sources and sinks share connections and
// credentials; it is safe for concurrent use.
type Client struct {
	opts     Options
	keychain authn.Keychain
	wire     *wire             // connections, with bale's rules
	retrying http.RoundTripper // the same, tried again on passing failures

	mu       sync.Mutex
	sessions map[sessionKey]*session
}

// NewClient returns a client. Options that contradict each other, and a CA
// file that cannot be used, are a [fault.ErrUsage].
func NewClient(o Options) (*Client, error) {
	w, err := newWire(o)
	if err != nil {
		return nil, err
	}
	c := &Client{opts: o, keychain: o.Keychain, wire: w, sessions: map[sessionKey]*session{}}
	if c.keychain == nil {
		c.keychain = authn.DefaultKeychain
	}
	c.retrying = regtransport.NewUserAgent(regtransport.NewRetry(w,
		regtransport.WithRetryBackoff(o.backoff()),
		regtransport.WithRetryPredicate(passing),
		regtransport.WithRetryStatusCodes(passingCodes...)), o.UserAgent)
	return c, nil
}

// Source returns the registries as a place to read from. The selector of
// Images is an image's name by Docker's rules.
func (c *Client) Source() transport.Source { return &source{c: c} }

// Sink returns the registries as a place to write to. The images' names say
// which registry and repository each one goes to.
func (c *Client) Sink() transport.Sink { return newSink(c) }

// pusher returns a fresh uploader. Each sink has its own, for it remembers
// what it has uploaded.
func (c *Client) pusher() (*remote.Pusher, error) {
	return remote.NewPusher(
		remote.WithTransport(&stored{next: c.wire}),
		remote.WithAuthFromKeychain(c.keychain),
		remote.WithUserAgent(c.opts.UserAgent),
		remote.WithRetryBackoff(c.opts.backoff()),
		remote.WithRetryPredicate(passing),
		remote.WithRetryStatusCodes(passingCodes...),
		// The plan says what is copied, not the media type.
		remote.WithNondistributable,
	)
}

// repository returns where n lives. The parts are put together by hand, for
// the library would read "localhost/app" as a repository of Docker Hub.
func (c *Client) repository(n transport.Name) (name.Repository, error) {
	var opts []name.Option
	if c.opts.PlainHTTP || isLoopback(hostOf(n.Domain)) {
		opts = append(opts, name.Insecure) // https first, http if that fails
	}
	reg, err := name.NewRegistry(n.Domain, opts...)
	if err != nil {
		return name.Repository{}, fault.Usage("image name %s: %w", n, err)
	}
	return reg.Repo(n.Path), nil
}
