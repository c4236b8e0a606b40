package docker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/cli/cli/config"

	"bale/bundle/fault"
	"bale/transport/parts"
)

// settings makes an empty home, in which nothing of the machine's counts.
func settings(t *testing.T) (home string) {
	t.Helper()
	home, err := os.MkdirTemp("/tmp", "bale-home-") // sockets have short names
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	for _, name := range []string{"DOCKER_HOST", "DOCKER_CONTEXT", "CONTAINER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", home)
	t.Setenv("XDG_RUNTIME_DIR", filepath.Join(home, "run"))
	t.Setenv("DOCKER_CONFIG", filepath.Join(home, ".docker"))
	before := config.Dir() // which is looked for once
	config.SetDir(filepath.Join(home, ".docker"))
	t.Cleanup(func() { config.SetDir(before) })
	return home
}

// listen makes a socket that nobody answers at.
func listen(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return "unix://" + path
}

func TestDockerHost(t *testing.T) {
	home := settings(t)
	host := func() string {
		t.Helper()
		api, host, err := Options{}.client()
		if err != nil {
			t.Fatal(err)
		}
		_ = api.Close()
		return host
	}
	if _, err := os.Stat("/var/run/docker.sock"); err == nil {
		t.Log("this machine has a socket of its own, which goes first")
	} else {
		if got := host(); got != "unix:///var/run/docker.sock" {
			t.Errorf("without anything: %s", got)
		}
		desktop := listen(t, filepath.Join(home, ".docker", "run", "docker.sock"))
		if got := host(); got != desktop {
			t.Errorf("with %s: %s", desktop, got)
		}
		rootless := listen(t, filepath.Join(home, "run", "docker.sock"))
		if got := host(); got != rootless {
			t.Errorf("with %s: %s", rootless, got)
		}
	}
	// Contexts are written by docker itself.
	docker := parts.Tool(t, "docker")
	for _, args := range [][]string{
		{"context", "create", "near", "--docker", "host=unix:///near.sock"},
		{"context", "create", "far", "--docker", "host=tcp://far.example:2376"},
		{"context", "create", "shell", "--docker", "host=ssh://root@far.example"},
		{"context", "use", "near"},
	} {
		if out, err := exec.Command(docker, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	if got := host(); got != "unix:///near.sock" {
		t.Errorf("with a context in use: %s", got)
	}
	for name, want := range map[string]string{"far": "tcp://far.example:2376", "shell": "ssh://root@far.example"} {
		t.Setenv("DOCKER_CONTEXT", name)
		if got := host(); got != want {
			t.Errorf("with DOCKER_CONTEXT=%s: %s", name, got)
		}
	}
	t.Setenv("DOCKER_CONTEXT", "nowhere")
	if _, _, err := (Options{}).client(); !errors.Is(err, fault.ErrUsage) || !strings.Contains(err.Error(), "nowhere") || fault.Hint(err) == "" {
		t.Errorf("with a context that is not there: %v", err)
	}
	t.Setenv("DOCKER_HOST", "unix:///first.sock")
	if got := host(); got != "unix:///first.sock" {
		t.Errorf("with DOCKER_HOST: %s", got)
	}
}

// TestContextTLS takes the certificates of a context: the engine's CA, and those
// to show to it.
func TestContextTLS(t *testing.T) {
	d := parts.SharedDocker(t)
	settings(t)
	socket := strings.TrimPrefix(d.Host, "unix://")
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "docker"}) },
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "unix", socket)
		}},
	})
	front.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	front.StartTLS()
	t.Cleanup(front.Close)
	key, err := x509.MarshalPKCS8PrivateKey(front.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert := write("cert.pem", "CERTIFICATE", front.Certificate().Raw)
	host := "host=tcp://" + front.Listener.Addr().String()
	for name, more := range map[string]string{"tls": ",ca=" + cert + ",cert=" + cert + ",key=" + write("key.pem", "PRIVATE KEY", key), "half": ",ca=" + cert} {
		if out, err := exec.Command(parts.Tool(t, "docker"), "context", "create", name, "--docker", host+more).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	t.Setenv("DOCKER_CONTEXT", "tls")
	s, err := NewSource(t.Context(), Options{})
	if err != nil {
		t.Fatalf("with all certificates: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	t.Setenv("DOCKER_CONTEXT", "half")
	if s, err := NewSource(t.Context(), Options{}); err == nil {
		_ = s.Close()
		t.Error("an engine that wants a certificate was reached without one")
	}
}

// TestContextReal reads from an engine that a context names.
func TestContextReal(t *testing.T) {
	d := parts.SharedDocker(t)
	settings(t)
	if out, err := exec.Command(parts.Tool(t, "docker"), "context", "create", "real", "--docker", "host="+d.Host).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Setenv("DOCKER_CONTEXT", "real")
	if got := openSource(t, "").e.String(); got != "docker engine "+d.Host {
		t.Errorf("it is %s", got)
	}
}

// TestSSH reads from an engine by ssh, for which a program of that name stands in:
// it runs here what it was to run there.
func TestSSH(t *testing.T) {
	d := parts.SharedDocker(t)
	bin := t.TempDir()
	docker := parts.Tool(t, "docker")
	script := "#!/bin/sh\nfor last; do :; done\nset -- $last\nshift\nDOCKER_HOST= exec " + docker + " -H " + d.Host + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "ssh"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	src := openSource(t, "ssh://root@far.example")
	if _, err := src.Images(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if got := src.e.String(); got != "docker engine ssh://root@far.example" {
		t.Errorf("it is %s", got)
	}
}

func TestPodmanHost(t *testing.T) {
	home := settings(t)
	if got, err := (Options{Podman: true, Host: "unix:///one"}).podmanHost(); err != nil || got != "unix:///one" {
		t.Errorf("by option: %s, %v", got, err)
	}
	own := listen(t, filepath.Join(home, "run", "podman", "podman.sock"))
	if got, err := (Options{Podman: true}).podmanHost(); err != nil || got != own {
		t.Errorf("with %s: %s, %v", own, got, err)
	}
	t.Setenv("CONTAINER_HOST", "unix:///two")
	if got, err := (Options{Podman: true}).podmanHost(); err != nil || got != "unix:///two" {
		t.Errorf("by CONTAINER_HOST: %s, %v", got, err)
	}
	for host, kind := range map[string]error{"ssh://root@host/run/podman/podman.sock": fault.ErrUnsupported, "somewhere": fault.ErrUsage} {
		if _, err := NewSource(t.Context(), Options{Podman: true, Host: host}); !errors.Is(err, kind) || fault.Hint(err) == "" || !strings.Contains(err.Error(), "podman "+host) {
			t.Errorf("%s: %v (hint %q)", host, err, fault.Hint(err))
		}
	}
	dead := "unix://" + filepath.Join(home, "none")
	if _, err := NewSink(t.Context(), Options{Podman: true, Host: dead}); err == nil || !strings.Contains(err.Error(), "podman "+dead) || !strings.Contains(fault.Hint(err), "podman.socket") {
		t.Errorf("nobody there: %v (hint %q)", err, fault.Hint(err))
	}
}

// TestPodmanIsDocker asks for Podman where Docker listens.
func TestPodmanIsDocker(t *testing.T) {
	for name, shared := range map[string]func(testing.TB) *parts.DockerPart{"classic": parts.SharedDocker, "store": parts.SharedDockerCurrent} {
		t.Run(name, func(t *testing.T) {
			host := shared(t).Host
			for what, open := range map[string]func() (io.Closer, error){
				"source": func() (io.Closer, error) { return NewSource(t.Context(), Options{Podman: true, Host: host}) },
				"sink":   func() (io.Closer, error) { return NewSink(t.Context(), Options{Podman: true, Host: host}) },
			} {
				if _, err := open(); !errors.Is(err, fault.ErrUsage) || !strings.Contains(err.Error(), host) || !strings.Contains(fault.Hint(err), "docker-daemon:") {
					t.Errorf("%s: %v, hint %q", what, err, fault.Hint(err))
				}
			}
		})
	}
}

// TestHostPath names sockets by their paths.
func TestHostPath(t *testing.T) {
	docker, podman := parts.SharedDocker(t), parts.SharedPodman(t)
	for _, c := range []struct {
		host   string
		podman bool
		want   string
	}{
		{docker.Host, false, "docker engine " + docker.Host},
		{podman.Host, false, "podman " + podman.Host},
		{podman.Host, true, "podman " + podman.Host},
	} {
		src, err := NewSource(t.Context(), Options{Host: strings.TrimPrefix(c.host, "unix://"), Podman: c.podman})
		if err != nil {
			t.Errorf("%s: %v", c.host, err)
			continue
		}
		if got := src.(*classicSource).e.String(); got != c.want {
			t.Errorf("it is %s, want %s", got, c.want)
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestPodmanByDockerHost speaks to a Podman that stands in for Docker.
func TestPodmanByDockerHost(t *testing.T) {
	d := parts.SharedPodman(t)
	t.Setenv("DOCKER_HOST", d.Host)
	if got := openSource(t, "").e.String(); got != "podman "+d.Host {
		t.Errorf("it is %s", got)
	}
}
