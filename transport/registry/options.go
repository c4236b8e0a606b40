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

	// idleTimeout is how long a connection may carry no byte of a body that is
	// on its way.
	idleTimeout = time.Minute
	// sendTimeout is the same for what is sent: a registry may stop reading while
	// it hands on to its storage what it has got.
	sendTimeout = 5 * time.Minute

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

	// CertFile and KeyFile name the PEM files of a certificate, and its key, that
	// this client shows to registries that ask for one (mutual TLS).
	CertFile, KeyFile string

	// CertDirs are folders with certificates for single registries, as Docker
	// and the containers tools have them: DIR/HOST[:PORT]/*.crt are CAs to trust
	// there beside the others, NAME.cert with NAME.key is a client certificate.
	// The first folder that has the registry counts. They hold for the
	// registry's token server and storage too. nil is containers/certs.d and
	// docker/certs.d in the user's ~/.config and in /etc.
	CertDirs []string

	// Username and Password are an account to use instead of those that were
	// kept by a login; the name "<token>" makes Password an identity token. They
	// are for one registry, the first that is reached: a client never gives
	// them to a second one, nor to a mirror.
	Username, Password string

	// AuthFile is a file of credentials to read instead of Docker's and
	// Podman's own, in the form of either's; "" is the environment's
	// REGISTRY_AUTH_FILE if that is set.
	AuthFile string

	// Keychain finds credentials; nil looks for what docker login and podman
	// login kept, credential helpers included: see [NewKeychain].
	Keychain authn.Keychain

	// RegistriesConf is a containers-registries.conf(5) file that says where
	// images are read from in truth: other locations, mirrors, blocked
	// registries. "" is the machine's own (CONTAINERS_REGISTRIES_CONF, the user's
	// ~/.config/containers/registries.conf or the one in /etc/containers, and
	// their drop-ins); [os.DevNull] is none.
	//
	// Of the machine's own file, insecure = true is not obeyed, for a setting
	// made for another program must not take away the checks of this one, and
	// neither are short names: a bare name means Docker Hub. A file that is
	// named here is obeyed in both, and its drop-ins are not read.
	RegistriesConf string

	// DaemonConfig is a daemon.json of Docker, whose registry-mirrors are asked
	// before Docker Hub, for reading only. "" is the machine's own
	// (/etc/docker/daemon.json, or ~/.config/docker/daemon.json of a rootless
	// engine), so that bale gets images the way that docker pull does on the
	// same machine; [os.DevNull] is none.
	DaemonConfig string

	// Note tells the user something that is no failure: that a registry makes
	// bale wait, or that content comes from a mirror. It may be called from
	// several goroutines; nil tells nobody.
	Note func(format string, args ...any)

	// ChunkSize bounds how many bytes of a blob are sent in one request; 0 sends
	// all of it in one, and smaller pieces to a registry that finds that too
	// large.
	ChunkSize int64

	// Backoff says how often and how slowly a passing failure is tried
	// again; the zero value is five tries, waiting one second, then twice as
	// long as before each time.
	Backoff remote.Backoff

	// dial replaces the network in tests.
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// patience replaces the bounds on silence in tests.
	patience time.Duration
}

// backoff returns the schedule of retries.
func (o Options) backoff() remote.Backoff {
	if o.Backoff.Steps > 0 {
		return o.Backoff
	}
	return remote.Backoff{Duration: time.Second, Factor: 2, Jitter: 0.2, Steps: 5}
}

// within returns how long the other side may be silent.
func (o Options) within(d time.Duration) time.Duration {
	if o.patience > 0 {
		return o.patience
	}
	return d
}
