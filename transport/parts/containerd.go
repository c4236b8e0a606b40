package parts

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	// containerdStart is how long containerd may take to answer.
	containerdStart = 60 * time.Second
	// containerdPoll is the time between two questions whether it answers.
	containerdPoll = 50 * time.Millisecond
)

// ContainerdPart is a containerd of its own, with an empty root.
type ContainerdPart struct {
	Address string // its socket, as CONTAINERD_ADDRESS has it

	dir    string
	daemon *daemon
	ctr    string
}

// ContainerdOption changes how containerd is started.
type ContainerdOption func(*containerdConfig)

type containerdConfig struct {
	isolated    bool
	pause, shim string // for CRI
}

// WithIsolatedContent keeps the content of namespaces apart: what one has is not
// at hand for another.
func WithIsolatedContent() ContainerdOption { return func(c *containerdConfig) { c.isolated = true } }

// WithCRI lets it answer as kubelet asks. Its pods have no network but the
// machine's, and keep their namespaces by a container of the image pause.
func WithCRI(t testing.TB, pause string) ContainerdOption {
	t.Helper()
	need(t, "pods", "runc")
	shim := Shim(t)
	return func(c *containerdConfig) { c.pause, c.shim = pause, shim }
}

// Shim returns the path of the program that containerd starts for each
// container: that of another version may not do.
func Shim(t testing.TB) string {
	t.Helper()
	return Tool(t, "containerd-shim-runc-v2-current")
}

// Containerd starts a current containerd that stops with the test. ctr's
// containers run with --net-host.
func Containerd(t testing.TB, opts ...ContainerdOption) *ContainerdPart {
	t.Helper()
	need(t, "containerd", "containerd-current", "ctr-current")
	var config containerdConfig
	for _, o := range opts {
		o(&config)
	}
	c, err := startContainerd(Tool(t, "containerd-current"), Tool(t, "ctr-current"), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func startContainerd(program, ctr string, config containerdConfig) (*ContainerdPart, error) {
	dir, err := shortTemp()
	if err != nil {
		return nil, err
	}
	c := &ContainerdPart{Address: filepath.Join(dir, "cd.sock"), dir: dir, ctr: ctr}
	file := filepath.Join(dir, "config.toml")
	err = os.WriteFile(file, []byte(config.toml(dir)), 0o600)
	if err == nil {
		c.daemon, err = startDaemon(dir, c.env(), program, "--config", file, "--root", filepath.Join(dir, "root"),
			"--state", filepath.Join(dir, "state"), "--address", c.Address)
	}
	if err == nil {
		err = c.ready()
	}
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, filepath.Base(program)+".log"))
		return nil, errors.Join(fmt.Errorf("%w\n%s", err, log[max(0, len(log)-4096):]), c.stop())
	}
	return c, nil
}

// toml is containerd's configuration: nothing of it lies outside of dir, and
// what tests do not need is off.
func (c containerdConfig) toml(dir string) string {
	var b strings.Builder
	off := []string{"io.containerd.nri.v1.nri"}
	if c.pause == "" {
		off = append(off, "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime")
	}
	fmt.Fprintf(&b, "version = 3\nimports = []\ndisabled_plugins = ['%s']\n", strings.Join(off, "', '"))
	fmt.Fprintf(&b, "[plugins.'io.containerd.internal.v1.opt']\n  path = %q\n", filepath.Join(dir, "opt"))
	if c.isolated {
		fmt.Fprintf(&b, "[plugins.'io.containerd.metadata.v1.bolt']\n  content_sharing_policy = 'isolated'\n")
	}
	if c.pause != "" {
		fmt.Fprintf(&b, "[plugins.'io.containerd.cri.v1.images']\n  snapshotter = 'native'\n")
		fmt.Fprintf(&b, "[plugins.'io.containerd.cri.v1.images'.pinned_images]\n  sandbox = %q\n", c.pause)
		fmt.Fprintf(&b, "[plugins.'io.containerd.cri.v1.runtime']\n  restrict_oom_score_adj = true\n") // root in a container may not lower it
		fmt.Fprintf(&b, "[plugins.'io.containerd.cri.v1.runtime'.cni]\n  conf_dir = %q\n", filepath.Join(dir, "cni"))
		fmt.Fprintf(&b, "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]\n")
		fmt.Fprintf(&b, "  runtime_type = 'io.containerd.runc.v2'\n  runtime_path = %q\n", c.shim)
	}
	return b.String()
}

// ready waits until containerd answers.
func (c *ContainerdPart) ready() error {
	tick := time.NewTicker(containerdPoll)
	defer tick.Stop()
	late := time.After(containerdStart)
	for {
		select {
		case <-c.daemon.gone:
			return errors.New("containerd ended at its start")
		case <-late:
			return fmt.Errorf("containerd did not answer within %v", containerdStart)
		case <-tick.C:
		}
		if _, err := os.Stat(c.Address); err != nil {
			continue
		}
		if _, err := c.Try("version"); err == nil {
			return nil
		}
	}
}

// Stop ends containerd before the test does.
func (c *ContainerdPart) Stop(t testing.TB) {
	t.Helper()
	if err := c.daemon.stop(); err != nil {
		t.Error(err)
	}
}

// stop ends containerd and removes all that it left.
func (c *ContainerdPart) stop() error {
	return errors.Join(c.daemon.stop(), unmountBelow(c.dir), os.RemoveAll(c.dir))
}

// env is the environment without what steers containerd otherwise.
func (c *ContainerdPart) env() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "CONTAINERD_") {
			env = append(env, kv)
		}
	}
	return env
}

// Try runs ctr against containerd and returns what it printed, without the last
// line break.
func (c *ContainerdPart) Try(args ...string) (string, error) {
	cmd := exec.Command(c.ctr, append([]string{"--address", c.Address}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = c.env(), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("ctr %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSuffix(stdout.String(), "\n"), nil
}

// Export has ctr write images of a namespace to the file at path; args are its
// further options and the images' names. It exports by itself (--local): through
// the transfer service ctr 2.4 does not wait for the end of the stream, and now
// and then leaves a file that is cut off, with exit code 0.
func (c *ContainerdPart) Export(t testing.TB, namespace, path string, args ...string) {
	t.Helper()
	options := []string{"--namespace", namespace, "images", "export", "--local"}
	for len(args) > 0 && strings.HasPrefix(args[0], "--") {
		options, args = append(options, args[0]), args[1:]
	}
	c.Run(t, append(append(options, path), args...)...)
}

// Run is Try for commands that must succeed.
func (c *ContainerdPart) Run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := c.Try(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
