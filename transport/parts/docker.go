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

// DockerPart is an engine of its own that answers as Docker does: a dockerd (and
// the containerd that it starts) with an empty data root, no bridge and no
// firewall rules, or a Podman. Containers run with --network none or host.
type DockerPart struct {
	Host string // unix://…, as DOCKER_HOST has it

	dir    string
	daemon *daemon
	below  *daemon // the containerd that it works with, if that is one apart
}

// Docker starts an engine that stops with the test.
func Docker(t testing.TB) *DockerPart {
	t.Helper()
	needDocker(t)
	return own(t, startDocker)
}

// own starts an engine that stops with the test.
func own(t testing.TB, start func() (*DockerPart, error)) *DockerPart {
	t.Helper()
	d, err := start()
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

// shared is one engine of this test binary.
type shared struct {
	once sync.Once
	part *DockerPart
	err  error
}

var sharedDocker, sharedDockerCurrent, sharedPodman shared

// get starts the engine for the first that wants it.
func (s *shared) get(t testing.TB, start func() (*DockerPart, error)) *DockerPart {
	t.Helper()
	s.once.Do(func() { s.part, s.err = start() })
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.part
}

// SharedDocker returns the one engine that all tests of a package use, and
// starts it for the first. The package's TestMain must call [Main]. A test
// names its images so that others do not meet them, and removes them.
func SharedDocker(t testing.TB) *DockerPart {
	t.Helper()
	needDocker(t)
	return sharedDocker.get(t, startDocker)
}

// Main runs a package's tests and then stops the shared parts:
//
//	func TestMain(m *testing.M) { os.Exit(parts.Main(m)) }
func Main(m *testing.M) int {
	code := m.Run()
	for _, s := range []*shared{&sharedDocker, &sharedDockerCurrent, &sharedPodman} {
		if s.part == nil {
			continue
		}
		if err := s.part.stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

func needDocker(t testing.TB) {
	t.Helper()
	need(t, "dockerd", "dockerd", "containerd", "runc", "docker")
}

// need skips a test without the programs that an engine takes.
func need(t testing.TB, engine string, programs ...string) {
	t.Helper()
	for _, p := range programs {
		Tool(t, p)
	}
	if os.Geteuid() != 0 {
		Missing(t, "root for "+engine)
	}
}

func startDocker() (*DockerPart, error) {
	return startEngine(func(d *DockerPart) error {
		config, err := d.config("{}")
		if err != nil {
			return err
		}
		return d.start("dockerd", d.dockerd(config)...)
	})
}

// startEngine makes a folder for an engine, starts it there and waits until it
// answers.
func startEngine(start func(d *DockerPart) error) (*DockerPart, error) {
	dir, err := shortTemp()
	if err != nil {
		return nil, err
	}
	d := &DockerPart{Host: "unix://" + filepath.Join(dir, "docker.sock"), dir: dir}
	err = start(d)
	if err == nil {
		err = d.ready()
	}
	if err != nil {
		logs, _ := filepath.Glob(filepath.Join(dir, "*.log"))
		for _, l := range logs {
			text, _ := os.ReadFile(l)
			err = fmt.Errorf("%w\n%s: %s", err, filepath.Base(l), text[max(0, len(text)-4096):])
		}
		return nil, errors.Join(err, d.stop())
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

// config writes a configuration of the engine's own, so that the machine's does
// not count, and returns its name.
func (d *DockerPart) config(content string) (string, error) {
	name := filepath.Join(d.dir, "daemon.json")
	return name, os.WriteFile(name, []byte(content+"\n"), 0o600)
}

// dockerd is what every dockerd is started with.
func (d *DockerPart) dockerd(config string) []string {
	return []string{
		"--config-file", config, "--iptables=false", "--bridge=none",
		"--data-root", filepath.Join(d.dir, "root"), "--exec-root", filepath.Join(d.dir, "exec"),
		"--pidfile", filepath.Join(d.dir, "pid"), "-H", d.Host,
	}
}

func (d *DockerPart) start(program string, args ...string) (err error) {
	d.daemon, err = startDaemon(d.dir, d.env(), program, args...)
	return err
}

// daemon is a program that runs until it is stopped.
type daemon struct {
	name string
	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended
}

// startDaemon starts a program that writes its log to dir.
func startDaemon(dir string, env []string, program string, args ...string) (*daemon, error) {
	d := &daemon{name: filepath.Base(program), gone: make(chan struct{})}
	log, err := os.Create(filepath.Join(dir, d.name+".log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the program has its own handle
	d.cmd = exec.Command(program, args...)
	d.cmd.Env, d.cmd.Stdout, d.cmd.Stderr = env, log, log
	if err := startChild(d.cmd, d.gone); err != nil {
		return nil, err
	}
	return d, nil
}

// stop ends the program; it may have ended already, or never begun.
func (d *daemon) stop() error {
	if d == nil {
		return nil
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-d.gone:
		return nil
	case <-time.After(dockerStop):
		_ = killChild(d.cmd)
		<-d.gone
		return fmt.Errorf("%s did not end within %v", d.name, dockerStop)
	}
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
		case <-d.daemon.gone:
			return fmt.Errorf("%s ended at its start", d.daemon.name)
		case <-late:
			return fmt.Errorf("%s did not answer within %v", d.daemon.name, dockerStart)
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

// stop ends the engine and removes all that it left.
func (d *DockerPart) stop() error {
	err := errors.Join(d.daemon.stop(), d.below.stop())
	awaitUnused(d.dir)
	return errors.Join(err, unmountBelow(d.dir), os.RemoveAll(d.dir))
}

// awaitUnused waits until no process has been started with files of dir, as those
// are that clean up after containers when their engine has gone.
func awaitUnused(dir string) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(dockerStop)
	for used(dir) {
		select {
		case <-tick.C:
		case <-late:
			return // what cannot be removed then is told
		}
	}
}

func used(dir string) bool {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, l := range lines {
		if b, err := os.ReadFile(l); err == nil && bytes.Contains(b, []byte(dir+"/")) {
			return true
		}
	}
	return false
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
