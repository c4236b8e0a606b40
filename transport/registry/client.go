package registry

import (
	"net/http"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"bale/bundle/fault"
	"bale/transport"
)

// Client reaches registries. Its sources and sinks share connections and
// credentials; it is safe for concurrent use.
type Client struct {
	opts     Options
	keychain authn.Keychain
	strange  authn.Keychain    // for mirrors, which never get the account of the options
	places   *places           // that images are read from
	wire     *wire             // connections, with bale's rules
	retrying http.RoundTripper // the same, tried again on passing failures

	mu       sync.Mutex
	sessions map[sessionKey]*session
}

// NewClient returns a client. Options that contradict each other, and files of
// certificates that cannot be used, are a [fault.ErrUsage].
func NewClient(o Options) (*Client, error) {
	w, err := newWire(o)
	if err != nil {
		return nil, err
	}
	c := &Client{opts: o, wire: w, places: newPlaces(o, w.lanes), sessions: map[sessionKey]*session{}}
	if c.strange = o.Keychain; c.strange == nil {
		c.strange = NewKeychain(o)
	}
	c.keychain = c.strange
	if o.Username != "" || o.Password != "" {
		if c.keychain, err = newOneAccount(o); err != nil {
			return nil, err
		}
	}
	c.retrying = regtransport.NewUserAgent(newWaiter(w, o), o.UserAgent)
	return c, nil
}

// Source returns the registries as a place to read from. The selector of
// Images is an image's name by Docker's rules.
func (c *Client) Source() transport.Source { return &source{c: c} }

// Sink returns the registries as a place to write to. The images' names say
// which registry and repository each one goes to.
func (c *Client) Sink() transport.Sink { return newSink(c) }

// repository returns where n lives. The parts are put together by hand, for
// the library would read "localhost/app" as a repository of Docker Hub.
func (c *Client) repository(n transport.Name) (name.Repository, error) {
	var opts []name.Option
	if c.opts.PlainHTTP || isLoopback(hostOf(n.Domain)) || c.wire.lanes.isInsecure(n.Domain) {
		opts = append(opts, name.Insecure) // https first, http if that fails
	}
	reg, err := name.NewRegistry(n.Domain, opts...)
	if err != nil {
		return name.Repository{}, fault.Usage("image name %s: %w", n, err)
	}
	return reg.Repo(n.Path), nil
}
