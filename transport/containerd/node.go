package containerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/defaults"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"

	"bale/bundle/fault"
)

// connectTime is how long containerd may take to accept a connection; the client
// waits so long if it has gone away.
const connectTime = 3 * time.Second

// addressEnv is the variable that names containerd's socket, as ctr reads it.
const addressEnv = "CONTAINERD_ADDRESS"

// otherSockets are where containerd's socket lies on some machines: with k3s
// and RKE2, and that of Docker's own containerd.
var otherSockets = []string{"/run/k3s/containerd/containerd.sock", "/run/docker/containerd/containerd.sock"}

// Options says which containerd to use, and how.
type Options struct {
	// Address is the path of containerd's socket. Without it CONTAINERD_ADDRESS
	// counts, and then containerd's usual one.
	Address string

	// Namespace is that of the images; "" stands for CONTAINERD_NAMESPACE, and
	// then "default".
	Namespace string

	// Snapshotter, if not "", is into which one a sink unpacks images, such as
	// "overlayfs", as far as they are for this machine's platform. Else they stay
	// packed, and whoever starts the first container of one unpacks it: so do
	// kubelet (CRI), ctr run and nerdctl.
	Snapshotter string
}

// node is a connection to one namespace of a containerd that has answered.
type node struct {
	api       *client.Client
	address   string
	namespace string
}

// connect finds containerd and asks whether it is one.
func connect(ctx context.Context, o Options) (*node, error) {
	n := &node{address: strings.TrimPrefix(o.Address, "unix://"), namespace: usualNamespace(o.Namespace)}
	if n.address == "" {
		n.address = strings.TrimPrefix(os.Getenv(addressEnv), "unix://")
	}
	if n.address == "" {
		n.address = defaults.DefaultAddress
	}
	if err := checkNamespace(n.namespace); err != nil {
		return nil, err
	}
	if err := n.reach(ctx); err != nil {
		return nil, err
	}
	var err error
	if n.api, err = client.New(n.address, client.WithTimeout(connectTime)); err != nil {
		return nil, n.unreached(err)
	}
	if _, err := n.api.Version(ctx); err != nil {
		_ = n.api.Close() // nothing was sent over it that could be lost
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, n.unreached(fmt.Errorf("it does not answer as containerd: %w", err))
	}
	return n, nil
}

// reach looks whether the socket lets itself be opened, since the client tries
// for long and says little.
func (n *node) reach(ctx context.Context) error {
	if runtime.GOOS == "windows" {
		return nil // a named pipe
	}
	c, err := new(net.Dialer).DialContext(ctx, "unix", n.address)
	if err == nil {
		_ = c.Close() // it was only tried
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return n.unreached(err)
}

// unreached adds advice to an error of connecting.
func (n *node) unreached(err error) error {
	out := fmt.Errorf("containerd at %s: %w", n.address, err)
	if errors.Is(err, fs.ErrPermission) {
		return fault.WithHint(out, "you may not use containerd's socket: run as root")
	}
	for _, s := range otherSockets {
		if fi, err := os.Stat(s); err == nil && fi.Mode()&fs.ModeSocket != 0 && s != n.address {
			return fault.WithHint(out, "check that containerd runs; there is another socket here: %s=%s", addressEnv, s)
		}
	}
	return fault.WithHint(out, "check that containerd runs and that this is its socket; %s names another (k3s and RKE2 have theirs at %s)",
		addressEnv, otherSockets[0])
}

// in returns the context for calls about the namespace.
func (n *node) in(ctx context.Context) context.Context {
	return namespaces.WithNamespace(ctx, n.namespace)
}

// fail adds the place and what was tried to an error of a call. When the context
// has ended, all that can be said is that.
func (n *node) fail(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	out := fmt.Errorf("containerd:%s: %s: %w", n.namespace, doing, err)
	if errdefs.IsUnavailable(err) {
		return fault.WithHint(out, "check that containerd still runs, and try again")
	}
	return out
}

// missing tells that something is not in the namespace.
func (n *node) missing(format string, args ...any) error {
	return fault.Missing("containerd:%s: %w", n.namespace, fmt.Errorf(format, args...))
}
