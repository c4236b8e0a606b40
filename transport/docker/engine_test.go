package docker

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/moby/api/types/system"

	"bale/bundle/fault"
	"bale/transport/parts"
)

func TestPlatform(t *testing.T) {
	for _, c := range []struct{ os, arch, want string }{
		{"linux", "x86_64", "linux/amd64/"},
		{"linux", "amd64", "linux/amd64/"}, // as Podman has it
		{"linux", "aarch64", "linux/arm64/"},
		{"linux", "armv7l", "linux/arm/v7"},
		{"linux", "armv6l", "linux/arm/v6"},
		{"linux", "i686", "linux/386/"},
		{"linux", "s390x", "linux/s390x/"},
		{"linux", "ppc64le", "linux/ppc64le/"},
		{"linux", "riscv64", "linux/riscv64/"},
		{"windows", "x86_64", "windows/amd64/"},
	} {
		p := platform(system.Info{OSType: c.os, Architecture: c.arch})
		if got := p.OS + "/" + p.Architecture + "/" + p.Variant; got != c.want {
			t.Errorf("%s %s: %s, want %s", c.os, c.arch, got, c.want)
		}
	}
}

func TestConnect(t *testing.T) {
	d := parts.SharedDocker(t)
	t.Run("by option", func(t *testing.T) {
		t.Setenv("DOCKER_HOST", "unix:///nowhere")
		src := openSource(t, d.Host)
		if src.e.api.ClientVersion() >= "1.56" {
			t.Errorf("API version %s was not negotiated", src.e.api.ClientVersion())
		}
	})
	t.Run("by DOCKER_HOST", func(t *testing.T) {
		t.Setenv("DOCKER_HOST", d.Host)
		openSource(t, "")
	})
}

func TestConnectRefused(t *testing.T) {
	const noHint = ""
	dead := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(dead, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	serves := func(handler http.HandlerFunc) string {
		s := httptest.NewServer(handler)
		t.Cleanup(s.Close)
		return "tcp://" + s.Listener.Addr().String()
	}
	for _, c := range []struct {
		name, host string
		kind       error // nil for a plain failure
		hint       string
	}{
		{"no socket", "unix://" + dead + "-none", nil, "DOCKER_HOST"},
		{"no engine behind it", "unix://" + dead, nil, "DOCKER_HOST"},
		{"nobody listens", "tcp://" + parts.FreeAddr(t), nil, "DOCKER_HOST"},
		{"no address", "somewhere", fault.ErrUsage, "unix://"},
		{"no ssh address", "ssh://", fault.ErrUsage, "ssh://user@host"},
		{"images in containerd, old", fakeEngine(t, `{"Driver":"overlayfs","DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]],"OSType":"linux"}`, nil),
			fault.ErrUnsupported, "registry"},
		{"a registry", "tcp://" + parts.Registry(t).Addr, nil, "no Docker engine"},
		{"a registry with TLS", "tcp://" + parts.Registry(t, parts.WithTLS()).Addr, nil, "DOCKER_TLS_VERIFY"},
		{"a web page", serves(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }), nil, "no Docker engine"},
		{"a proxy that refuses", serves(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }), nil, noHint},
		{"an engine in trouble", serves(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Api-Version", "1.41")
			w.WriteHeader(http.StatusInternalServerError)
		}), nil, noHint},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("DOCKER_HOST", c.host)
			for what, open := range map[string]func() (io.Closer, error){
				"source": func() (io.Closer, error) { return NewSource(t.Context(), Options{}) },
				"sink":   func() (io.Closer, error) { return NewSink(t.Context(), Options{}) },
			} {
				_, err := open()
				if hint := fault.Hint(err); err == nil || !strings.Contains(err.Error(), c.host) || !strings.Contains(hint, c.hint) || (c.hint == noHint) != (hint == "") {
					t.Errorf("%s: %v, hint %q", what, err, fault.Hint(err))
				}
				if c.kind != nil && !errors.Is(err, c.kind) {
					t.Errorf("%s: %v, want kind %v", what, err, c.kind)
				}
			}
		})
	}
}

// TestConnectDenied runs itself as a user who may not use the socket.
func TestConnectDenied(t *testing.T) {
	if host := os.Getenv("BALE_TEST_DENIED"); host != "" {
		_, err := NewSource(t.Context(), Options{Host: host})
		if err == nil || !strings.Contains(err.Error(), host) || !strings.Contains(fault.Hint(err), "member of the socket's group") {
			t.Fatalf("%v, hint %q", err, fault.Hint(err))
		}
		return
	}
	d := parts.SharedDocker(t)
	self, err := os.Open("/proc/self/exe") // its folder is closed to others
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = self.Close() }()
	cmd := exec.Command("/proc/self/fd/3", "-test.run=^TestConnectDenied$", "-test.v")
	cmd.ExtraFiles, cmd.Dir = []*os.File{self}, "/"
	cmd.Env = []string{"BALE_TEST_DENIED=" + d.Host}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestConnectDenied") {
		t.Errorf("%v\n%s", err, out)
	}
}
