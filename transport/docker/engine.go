// Package docker is the places docker-daemon: and containers-storage:, engines
// that are spoken to through Docker's API: Docker, and Podman.
//
// They keep images in one of three ways, which each have a source and a sink.
// Docker's classic store (graph drivers) knows an image by the digest of its
// config, the image ID, and keeps neither manifests nor compressed layers: what is
// read from it has a manifest that bale makes, and what is written to it keeps its
// image ID but not its manifest's digest. Podman's store unpacks layers too, but
// remembers the manifest an image came with. Docker with containerd's store,
// which is what a new engine has, keeps everything as it was.
package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
)

// Options says which engine to use.
type Options struct {
	// Host is the engine's address: unix://PATH, npipe://PATH, tcp://HOST:PORT or
	// ssh://HOST; an absolute path is that of a socket. Without it the environment counts as it does for the engine's own
	// command: for Docker DOCKER_HOST, DOCKER_CONTEXT and the context in use; for
	// Podman CONTAINER_HOST. Then come the usual sockets.
	Host string

	// Podman is set to look for Podman and not for Docker. Another engine that
	// answers is refused then; the other way round Podman may stand in for Docker.
	Podman bool

	// Exported, if not nil, is called with the bytes that came in since the
	// call before while the engine exports images.
	Exported func(bytes int64)
}

// store is how an engine keeps images.
type store int

const (
	classicStore store = iota
	containerdStore
	podmanStore
)

// engine is a connection to an engine that has answered.
type engine struct {
	api      *client.Client
	host     string
	podman   bool
	store    store
	unpacks  bool // tells by how much it has unpacked whether it could
	platform v1.Platform
	exported func(int64) // never nil
}

// String returns what to call the engine in a message.
func (e *engine) String() string {
	if e.podman {
		return "podman " + e.host
	}
	return "docker engine " + e.host
}

// oldestContainerd is the first version of the API that tells what an engine with
// containerd's store has of an image (Docker 28).
const oldestContainerd = "1.48"

// connect finds the engine and asks what it is.
func connect(ctx context.Context, opts Options) (*engine, error) {
	api, host, err := opts.client()
	if err != nil {
		return nil, err
	}
	e := &engine{api: api, host: host, podman: opts.Podman, exported: opts.Exported}
	if e.exported == nil {
		e.exported = func(int64) {}
	}
	if err := e.ask(ctx); err != nil {
		_ = api.Close() // nothing was sent over it that could be lost
		return nil, err
	}
	return e, nil
}

// ask finds out what the engine is.
func (e *engine) ask(ctx context.Context) error {
	info, err := e.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return e.stranger(ctx, e.fail("connect", err))
	}
	version, err := e.api.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return e.fail("ask its version", err)
	}
	e.platform = platform(info.Info)
	wanted := e.podman
	e.podman = slices.ContainsFunc(version.Components, func(c system.ComponentVersion) bool { return c.Name == "Podman Engine" })
	switch {
	case wanted && !e.podman:
		return fault.WithHint(fault.Usage("podman %s: it is a Docker engine, not Podman", e.host), "write docker-daemon: for it")
	case e.podman:
		e.store = podmanStore
	case !inContainerd(info.Info):
		e.store = classicStore
	case versions.LessThan(e.api.ClientVersion(), oldestContainerd):
		return fault.WithHint(fault.Unsupported("%s: it keeps images in containerd's store and its API is %s, older than %s", e, e.api.ClientVersion(), oldestContainerd),
			"update it to Docker 28, go through a registry, or switch its feature containerd-snapshotter off")
	default:
		e.store = containerdStore
		// Others unpack layers when they are needed (stargz, nydus, soci).
		e.unpacks = info.Info.Driver == "overlayfs" || info.Info.Driver == "native"
	}
	return nil
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
	out := fmt.Errorf("%s: %s: %w", e, doing, err)
	switch {
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || !client.IsErrConnectionFailed(err):
		return out
	case e.denied() && e.podman:
		return fault.WithHint(out, "you may not use the socket: it is another user's; your own Podman has one below XDG_RUNTIME_DIR")
	case e.denied():
		return fault.WithHint(out, "you may not use the engine's socket: run as root, or as a member of the socket's group (often docker)")
	case e.podman:
		return fault.WithHint(out, "check that its service runs (systemctl --user start podman.socket); CONTAINER_HOST names another")
	}
	return fault.WithHint(out, "check that the engine runs and that this is its address; DOCKER_HOST names another")
}

// stranger adds advice to an error of the first request if what answered it does not
// speak as an engine does: those tell the version of their API, whatever else is wrong
// with them.
func (e *engine) stranger(ctx context.Context, err error) error {
	if client.IsErrConnectionFailed(err) {
		return err
	}
	ping, perr := e.api.Ping(ctx, client.PingOptions{})
	switch {
	case ping.APIVersion != "" || client.IsErrConnectionFailed(perr) || ctx.Err() != nil:
		return err
	case cerrdefs.IsUnauthorized(perr) || cerrdefs.IsPermissionDenied(perr): // something before the engine
		return err
	case cerrdefs.IsInvalidArgument(perr): // as a server says that is spoken to without TLS
		return fault.WithHint(err, "an engine with TLS needs DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH; if none is there, check the address")
	case e.podman:
		return fault.WithHint(err, "what answers there is not Podman: check the address; CONTAINER_HOST names another")
	}
	return fault.WithHint(err, "what answers there is no Docker engine: check the address (a registry is docker://HOST/NAME); DOCKER_HOST names another")
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
	res, err = e.api.ImageInspect(ctx, ref, client.ImageInspectWithManifests(e.store == containerdStore))
	switch {
	case cerrdefs.IsNotFound(err):
		return res, false, nil
	case err != nil:
		return res, false, e.fail("inspect "+ref, err)
	}
	return res, true, nil
}
