package registry

import (
	"context"
	"net"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Bounds on waiting and on what is read.
const (
	// MaxCAFile is the greatest size of a CA bundle in bytes. The bundles of
	// whole operating systems have a quarter of it.
	MaxCAFile = 4 << 20

	dialTimeout = 15 * time.Second
	tlsTimeout  = 15 * time.Second
	// answerTimeout is how long a registry may think about a question,
	// storeTimeout how long about content it was given: registries over object
	// stores copy a layer once more before they answer.
	answerTimeout = time.Minute
	storeTimeout  = 10 * time.Minute

	maxRedirects = 10
	maxHeader    = 1 << 20  // bytes of response headers
	maxRefusal   = 16 << 10 // bytes read of an answer that says no
)

// Options says how registries are reached. The zero value uses https with the
// system's certificates and the credentials that docker login left behind.
type Options struct {
	// PlainHTTP lets a registry on another machine be reached without TLS if
	// it does not answer over https. Loopback addresses need no permission.
	PlainHTTP bool

	// SkipTLSVerify accepts any certificate. It excludes CAFile.
	SkipTLSVerify bool

	// CAFile names a PEM file of certificates to trust beside the system's.
	CAFile string

	// UserAgent is put in front of the library's own, such as "bale/1.0".
	UserAgent string

	// Keychain finds credentials; nil is [authn.DefaultKeychain].
	Keychain authn.Keychain

	// Backoff says how often and how slowly a passing failure is tried
	// again; the zero value is three tries, waiting one second, then three.
	Backoff remote.Backoff

	// dial replaces the network in tests.
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// backoff returns the schedule of retries.
func (o Options) backoff() remote.Backoff {
	if o.Backoff.Steps > 0 {
		return o.Backoff
	}
	return remote.Backoff{Duration: time.Second, Factor: 3, Jitter: 0.1, Steps: 3}
}
