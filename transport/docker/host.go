package docker

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/connhelper"
	clicontext "github.com/docker/cli/cli/context/docker"
	contextstore "github.com/docker/cli/cli/context/store"
	"github.com/moby/moby/client"

	"bale/bundle/fault"
)

// defaultContext is what Docker calls the engine that no context names.
const defaultContext = "default"

// client returns a client of the engine, which has not been spoken to yet, and
// the address of that as a user would write it.
func (o Options) client() (api *client.Client, host string, err error) {
	host, opts, err := o.setup()
	if err != nil {
		return nil, "", err
	}
	api, err = client.New(append(opts, client.WithAPIVersionFromEnv())...)
	if err != nil {
		return nil, "", fault.WithHint(fault.Usage("docker engine %s: %w", host, err),
			"an engine's address looks like unix:///var/run/docker.sock or tcp://host:2376; see DOCKER_HOST, DOCKER_CERT_PATH and DOCKER_API_VERSION")
	}
	return api, cmp.Or(host, api.DaemonHost()), nil
}

// setup finds the engine, as its own command would. host is "" if it is left to
// the library.
func (o Options) setup() (host string, opts []client.Opt, err error) {
	if strings.HasPrefix(o.Host, "/") {
		o.Host = "unix://" + o.Host
	}
	if o.Podman {
		host, err := o.podmanHost()
		return host, []client.Opt{client.WithHost(host)}, err
	}
	if host := cmp.Or(o.Host, os.Getenv(client.EnvOverrideHost)); host != "" {
		return atHost(host)
	}
	conf, err := config.Load("")
	if err != nil {
		return "", nil, fault.Usage("Docker's settings: %w", err)
	}
	name := cmp.Or(os.Getenv("DOCKER_CONTEXT"), conf.CurrentContext, defaultContext)
	if name != defaultContext {
		return inContext(name)
	}
	if host := socket(dockerSockets()); host != "" {
		return atHost(host)
	}
	return "", []client.Opt{client.WithTLSClientConfigFromEnv()}, nil
}

// atHost is for an engine of which no more than the address is known.
func atHost(host string) (string, []client.Opt, error) {
	if !strings.HasPrefix(host, "ssh://") {
		return host, []client.Opt{client.WithTLSClientConfigFromEnv(), client.WithHost(host)}, nil
	}
	helper, err := connhelper.GetConnectionHelper(host)
	if err != nil {
		return "", nil, fault.WithHint(fault.Usage("docker engine %s: %w", host, err), "it looks like ssh://user@host")
	}
	return host, []client.Opt{client.WithHost(helper.Host), client.WithDialContext(helper.Dialer)}, nil
}

// inContext is for the engine of one of Docker's contexts.
func inContext(name string) (string, []client.Opt, error) {
	fail := func(err error) (string, []client.Opt, error) {
		return "", nil, fault.WithHint(fault.Usage("docker context %q: %w", name, err),
			"docker context ls shows which there are; DOCKER_CONTEXT, DOCKER_HOST or docker context use choose another")
	}
	s := contextstore.New(config.ContextStoreDir(), contextstore.NewConfig(
		func() any { return &struct{}{} },
		contextstore.EndpointTypeGetter(clicontext.DockerEndpoint, func() any { return &clicontext.EndpointMeta{} }),
	))
	meta, err := s.GetMetadata(name)
	if err != nil {
		return fail(err)
	}
	m, err := clicontext.EndpointFromContext(meta)
	if err != nil {
		return fail(err)
	}
	ep, err := clicontext.WithTLSData(s, name, m)
	if err != nil {
		return fail(err)
	}
	opts, err := ep.ClientOpts()
	if err != nil {
		return fail(err)
	}
	return m.Host, opts, nil
}

// dockerSockets are where Docker listens: for the system, for one user, and on
// a desktop.
func dockerSockets() []string {
	list := []string{"/var/run/docker.sock"}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		list = append(list, filepath.Join(dir, "docker.sock"))
	}
	if home, err := os.UserHomeDir(); err == nil {
		list = append(list, filepath.Join(home, ".docker", "run", "docker.sock"), filepath.Join(home, ".docker", "desktop", "docker.sock"))
	}
	return list
}

// podmanSockets are where Podman listens: for one user, for the system, and in
// its machine on a desktop.
func podmanSockets() []string {
	var list []string
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		list = append(list, filepath.Join(dir, "podman", "podman.sock"))
	}
	list = append(list, "/run/podman/podman.sock", filepath.Join(os.TempDir(), "podman", "podman-machine-default-api.sock"))
	if home, err := os.UserHomeDir(); err == nil {
		list = append(list, filepath.Join(home, ".local", "share", "containers", "podman", "machine", "podman.sock"))
	}
	return list
}

// socket returns the address of the first of some sockets that is there, or "".
func socket(list []string) string {
	if runtime.GOOS == "windows" {
		return ""
	}
	i := slices.IndexFunc(list, func(path string) bool {
		fi, err := os.Stat(path)
		return err == nil && fi.Mode()&fs.ModeSocket != 0
	})
	if i < 0 {
		return ""
	}
	return "unix://" + list[i]
}

// podmanHost finds Podman.
func (o Options) podmanHost() (string, error) {
	host := cmp.Or(o.Host, os.Getenv("CONTAINER_HOST"), socket(podmanSockets()))
	switch {
	case host == "":
		return "", fault.WithHint(fault.Missing("podman: no socket of it was found (%s)", strings.Join(podmanSockets(), ", ")),
			"start its service: systemctl --user start podman.socket, or podman system service; CONTAINER_HOST names another socket")
	case strings.HasPrefix(host, "ssh://"):
		return "", fault.WithHint(fault.Unsupported("podman %s: ssh is not supported", host),
			"forward its socket: ssh -nNT -L /tmp/podman.sock:/run/podman/podman.sock HOST, and use unix:///tmp/podman.sock")
	}
	if _, err := client.ParseHostURL(host); err != nil {
		return "", fault.WithHint(fault.Usage("podman %s: %w", host, err), "its address looks like %s", "unix:///run/podman/podman.sock")
	}
	return host, nil
}
