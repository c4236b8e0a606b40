package parts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	dockerStart = 60 * time.Second // dockerd must answer within
	dockerStop  = 30 * time.Second // and be gone within
)

// DockerPart is a Docker engine of its own: a dockerd (and the containerd that
// it starts) with an empty data root, no bridge and no firewall rules.
// Containers run with --network none or host.
type DockerPart struct {
	Host string // unix://…, as DOCKER_HOST has it

	dir  string
	cmd  *exec.Cmd
	gone chan struct{} // closed when dockerd has ended
}

// Docker starts an engine that stops with the test.
func Docker(t testing.TB) *DockerPart {
	t.Helper()
	needDocker(t)
	d, err := startDocker()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.stop(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// sharedDocker is the engine of this test binary.
var sharedDocker struct {
	once sync.Once
	part *DockerPart
	err  error
}

// SharedDocker returns the one engine that all tests of a package use, and
// starts it for the first. The package's TestMain must call [Main]. A test
// names its images so that others do not meet them, and removes them.
func SharedDocker(t testing.TB) *DockerPart {
	t.Helper()
	needDocker(t)
	s := &sharedDocker
	s.once.Do(func() { s.part, s.err = startDocker() })
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.part
}

// Main runs a package's tests and then stops the shared parts:
//
//	func TestMain(m *testing.M) { os.Exit(parts.Main(m)) }
func Main(m *testing.M) int {
	code := m.Run()
	if d := sharedDocker.part; d != nil {
		if err := d.stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

func needDocker(t testing.TB) {
	t.Helper()
	for _, p := range []string{"dockerd", "containerd", "runc", "docker"} {
		Tool(t, p)
	}
	if os.Geteuid() != 0 {
		Missing(t, "root for dockerd")
	}
}

func startDocker() (*DockerPart, error) {
	dir, err := shortTemp()
	if err != nil {
		return nil, err
	}
	d := &DockerPart{Host: "unix://" + filepath.Join(dir, "docker.sock"), dir: dir, gone: make(chan struct{})}
	if err := d.start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := d.ready(); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		return nil, errors.Join(fmt.Errorf("%w\n%s", err, log[max(0, len(log)-4096):]), d.stop())
	}
	return d, nil
}

// shortTemp makes a folder for sockets, whose paths have 107 bytes at most.
func shortTemp() (string, error) {
	parent := os.TempDir()
	if len(parent) > 32 {
		parent = "/tmp"
	}
	return os.MkdirTemp(parent, "bale-docker-")
}

func (d *DockerPart) start() error {
	// A config of its own, so that the machine's does not count.
	config := filepath.Join(d.dir, "daemon.json")
	if err := os.WriteFile(config, []byte("{}\n"), 0o600); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(d.dir, "log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // dockerd has its own handle
	d.cmd = exec.Command("dockerd", "--config-file", config, "--iptables=false", "--bridge=none",
		"--data-root", filepath.Join(d.dir, "root"), "--exec-root", filepath.Join(d.dir, "exec"),
		"--pidfile", filepath.Join(d.dir, "pid"), "-H", d.Host)
	d.cmd.Env, d.cmd.Stdout, d.cmd.Stderr = d.env(), log, log
	return startChild(d.cmd, d.gone)
}

// ready waits until the engine answers.
func (d *DockerPart) ready() error {
	c := http.Client{
		Timeout: time.Second,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(d.Host, "unix://"))
			},
		},
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	late := time.After(dockerStart)
	for {
		select {
		case <-d.gone:
			return errors.New("dockerd ended at its start")
		case <-late:
			return fmt.Errorf("dockerd did not answer within %v", dockerStart)
		case <-tick.C:
		}
		res, err := c.Get("http://docker/_ping")
		if err != nil {
			continue
		}
		_ = res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return nil
		}
	}
}

// stop ends dockerd and removes all that it left.
func (d *DockerPart) stop() error {
	var errs []error
	_ = d.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case <-d.gone:
	case <-time.After(dockerStop):
		errs = append(errs, fmt.Errorf("dockerd did not end within %v", dockerStop))
		_ = killChild(d.cmd)
		<-d.gone
	}
	return errors.Join(append(errs, unmountBelow(d.dir), os.RemoveAll(d.dir))...)
}

// env is the environment without what steers Docker otherwise.
func (d *DockerPart) env() []string {
	env := []string{"DOCKER_CONFIG=" + filepath.Join(d.dir, "config"), "DOCKER_BUILDKIT=0"}
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "DOCKER_") {
			env = append(env, kv)
		}
	}
	return env
}

// Try runs the docker command against the engine and returns what it printed,
// without the last line break.
func (d *DockerPart) Try(args ...string) (string, error) {
	cmd := exec.Command("docker", append([]string{"-H", d.Host}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = d.env(), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSuffix(stdout.String(), "\n"), nil
}

// Run is Try for commands that must succeed.
func (d *DockerPart) Run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := d.Try(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
