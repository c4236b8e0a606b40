package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal with a bale at it.
type terminal struct {
	*process
	user *os.File // what a person types into and reads from
	tty  *os.File

	mu    sync.Mutex
	shown strings.Builder
	more  chan struct{} // one more thing was shown
}

func startAtTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	user, tty := openTerminal(t)
	x := &terminal{
		process: &process{t: t, cmd: exec.Command("bale", args...), ended: make(chan struct{})},
		user:    user, tty: tty, more: make(chan struct{}, 1),
	}
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = tty, &x.out, tty
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, passwordEnv+"=") {
			x.cmd.Env = append(x.cmd.Env, kv)
		}
	}
	go x.read()
	x.start()
	return x
}

func openTerminal(t *testing.T) (user, tty *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = user.Close() }) // ends read
	if err := unix.IoctlSetPointerInt(int(user.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(user.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tty.Close() })
	return user, tty
}

func (x *terminal) read() {
	buf := make([]byte, 4096)
	for {
		n, err := x.user.Read(buf)
		x.mu.Lock()
		x.shown.Write(buf[:n])
		x.mu.Unlock()
		select {
		case x.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// screen is what was shown so far.
func (x *terminal) screen() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.shown.String()
}

// expect waits until something is on the screen, so many times.
func (x *terminal) expect(what string, times int) {
	x.t.Helper()
	timeout := time.After(late)
	for strings.Count(x.screen(), what) < times {
		select {
		case <-x.more:
		case <-timeout:
			x.t.Fatalf("%q was not shown: %q", what, x.screen())
		}
	}
}

// echoes reports whether the terminal shows what is typed.
func (x *terminal) echoes() bool {
	x.t.Helper()
	s, err := unix.IoctlGetTermios(int(x.tty.Fd()), unix.TCGETS)
	if err != nil {
		x.t.Fatal(err)
	}
	return s.Lflag&unix.ECHO != 0
}

// answer types a line when bale has asked and nobody can look over the shoulder.
func (x *terminal) answer(text string) {
	x.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	timeout := time.After(late)
	for x.echoes() {
		select {
		case <-tick.C:
		case <-timeout:
			x.t.Fatalf("the password would be shown: %q", x.screen())
		}
	}
	if _, err := x.user.WriteString(text); err != nil {
		x.t.Fatal(err)
	}
}

const (
	newPrompt   = "Password for the private key (empty for none): "
	againPrompt = "The same once more: "
	oldPrompt   = "Password for the private key: "
)

func TestPasswordIsTyped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	prefix := filepath.Join(dir, "k")
	x := startAtTerminal(t, "keygen", "--output-key-prefix", prefix)
	x.expect(newPrompt, 1)
	x.answer("open sesame\n")
	x.expect(againPrompt, 1)
	x.answer("open sesame\n")
	if o := x.end(); o.code != exitDone {
		t.Fatalf("exit %d: %s", o.code, x.screen())
	}
	if strings.Contains(x.screen(), "sesame") {
		t.Error("the password was shown")
	}

	// It is asked for again, and what is typed counts.
	file := filepath.Join(dir, "b.bale")
	args := []string{"save", "-o", file, "--key", prefix + ".key", "oci:" + testdata(t, "images", "busybox")}
	x = startAtTerminal(t, args...)
	x.expect(oldPrompt, 1)
	x.answer("open barley\n")
	x.expect("wrong password", 1)
	if o := x.end(); o.code != exitUsage {
		t.Errorf("wrong password: exit %d: %s", o.code, x.screen())
	}
	if wrong := leftovers(dir, "k.key", "k.pub"); wrong != "" {
		t.Error(wrong)
	}
	x = startAtTerminal(t, args...)
	x.expect(oldPrompt, 1)
	x.answer("open sesame\n")
	if o := x.end(); o.code != exitDone {
		t.Fatalf("exit %d: %s", o.code, x.screen())
	}
	// Progress is drawn, over itself, and only on the terminal.
	x.expect("\ranalyse ", 1)
	if strings.Contains(x.out.String(), "\r") {
		t.Errorf("progress is in the result: %q", x.out.String())
	}
	mustRun(t, "verify", "--key", prefix+".pub", file)
}

func TestPasswordsDiffer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	x := startAtTerminal(t, "keygen", "--output-key-prefix", filepath.Join(dir, "k"))
	x.expect(newPrompt, 1)
	x.answer("one\n")
	x.expect(againPrompt, 1)
	x.answer("two\n")
	x.expect("bale: error: the two passwords differ\r\nbale: hint: ", 1)
	if o := x.end(); o.code != exitFailed {
		t.Errorf("exit %d: %q", o.code, x.screen())
	}
	if wrong := leftovers(dir); wrong != "" {
		t.Error(wrong)
	}
}

// Ctrl-C at the question leaves a terminal that shows what is typed.
func TestPasswordInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	x := startAtTerminal(t, "keygen", "--output-key-prefix", filepath.Join(dir, "k"))
	x.expect(newPrompt, 1)
	x.answer("\x03")
	x.expect("bale: error: interrupted", 1)
	if o := x.end(); o.code != exitBrokenOff {
		t.Errorf("exit %d: %q", o.code, x.screen())
	}
	if !x.echoes() {
		t.Error("the terminal does not show any more what is typed")
	}
	if wrong := leftovers(dir); wrong != "" {
		t.Error(wrong)
	}
}
