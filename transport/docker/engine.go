// Package docker is the place docker-daemon: a Docker engine, through its API.
//
// It speaks to engines that keep images in the classic store (graph drivers)
// and to what answers like one. Such an engine knows an image by the digest of
// its config, the image ID, and keeps neither manifests nor compressed layers:
// what is read from it has a manifest that bale makes, and what is written to
// it keeps its image ID but not its manifest's digest.
//
// An engine that keeps images in containerd's store is refused for now, since
// reading it this way would lose digests that it has.
package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
)

// Options says which engine to use.
type Options struct {
	// Host is the engine's address: unix://PATH, npipe://PATH or tcp://HOST:PORT.
	// Without it DOCKER_HOST counts, and then the system's usual socket. The
	// certificates for TLS are those of DOCKER_CERT_PATH, DOCKER_TLS_VERIFY.
	Host string

	// Exported, if not nil, is called with the bytes that came in since the
	// call before while the engine exports images.
	Exported func(bytes int64)
}

// engine is a connection to an engine that has answered.
type engine struct {
	api      *client.Client
	host     string
	platform v1.Platform
	exported func(int64) // never nil
}

// connect finds the engine and asks what it is.
func connect(ctx context.Context, opts Options) (*engine, error) {
	host := opts.Host
	if host == "" {
		host = os.Getenv(client.EnvOverrideHost)
	}
	setup := []client.Opt{client.WithTLSClientConfigFromEnv(), client.WithAPIVersionFromEnv()}
	if host != "" {
		if strings.HasPrefix(host, "ssh://") {
			return nil, fault.WithHint(fault.Unsupported("docker engine %s: ssh is not supported", host),
				"forward its socket: ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock HOST, and use unix:///tmp/docker.sock")
		}
		setup = append(setup, client.WithHost(host))
	}
	api, err := client.New(setup...)
	if err != nil {
		return nil, fault.WithHint(fault.Usage("docker engine %s: %w", host, err),
			"an engine's address looks like unix:///var/run/docker.sock or tcp://host:2376; see DOCKER_HOST, DOCKER_CERT_PATH and DOCKER_API_VERSION")
	}
	e := &engine{api: api, host: api.DaemonHost(), exported: opts.Exported}
	if e.exported == nil {
		e.exported = func(int64) {}
	}
	info, err := api.Info(ctx, client.InfoOptions{})
	if err != nil {
		_ = api.Close() // nothing was sent over it that could be lost
		return nil, e.fail("connect", err)
	}
	e.platform = platform(info.Info)
	if inContainerd(info.Info) {
		_ = api.Close()
		return nil, fault.WithHint(fault.Unsupported("docker engine %s: images in containerd's store are not supported", e.host),
			"go through a registry, or switch the engine's feature containerd-snapshotter off")
	}
	return e, nil
}

// inContainerd reports whether images are in containerd's store. The engine
// says so in this one place only.
func inContainerd(info system.Info) bool {
	for _, s := range info.DriverStatus {
		if s[0] == "driver-type" && s[1] == "io.containerd.snapshotter.v1" {
			return true
		}
	}
	return false
}

// fail adds the engine and what was tried to an error of the client, and
// advice if there was no engine to talk to.
func (e *engine) fail(doing string, err error) error {
	out := fmt.Errorf("docker engine %s: %s: %w", e.host, doing, err)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || !client.IsErrConnectionFailed(err) {
		return out
	}
	if e.denied() {
		return fault.WithHint(out, "you may not use the engine's socket: run as root, or as a member of the socket's group (often docker)")
	}
	return fault.WithHint(out, "check that the engine runs and that this is its address; DOCKER_HOST names another")
}

// denied reports whether it is file permissions that keep the user from the
// engine's socket; the client's error has only words for it.
func (e *engine) denied() bool {
	path, ok := strings.CutPrefix(e.host, "unix://")
	if !ok {
		return false
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		return errors.Is(err, fs.ErrPermission)
	}
	_ = c.Close()
	return false
}

// inspect returns what the engine calls by a name or ID; ok is false if that
// is nothing.
func (e *engine) inspect(ctx context.Context, ref string) (res client.ImageInspectResult, ok bool, err error) {
	res, err = e.api.ImageInspect(ctx, ref)
	switch {
	case cerrdefs.IsNotFound(err):
		return res, false, nil
	case err != nil:
		return res, false, e.fail("inspect "+ref, err)
	}
	return res, true, nil
}
