package verify_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bale/verify"
)

// late is when a test gives up on another process.
const late = time.Minute

// helperEnv tells the test program that it is another process of a test, and
// what it is to do.
const helperEnv = "BALE_TEST_STATE"

// helper starts another process. It gets the words of its task, one of them the
// path of a state file.
func helper(t *testing.T, task ...string) (*exec.Cmd, *bufio.Reader, io.Closer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), late)
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestHelper$")
	cmd.Env = append(os.Environ(), helperEnv+"="+strings.Join(task, "\n"))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // as a rule it has ended
	})
	return cmd, bufio.NewReader(out), in
}

// rounds is how many bundles each process remembers.
const rounds = 40

// TestHelper is what other processes run; without a task it does nothing.
func TestHelper(t *testing.T) {
	task := strings.Split(os.Getenv(helperEnv), "\n")
	switch task[0] {
	case "record": // its own name, and one that it shares
		s := verify.NewState(task[1])
		for n := range rounds {
			own := edge(uint64(n + 1))
			own.Name = task[2]
			for _, l := range []verify.Loaded{own, edge(uint64(n + 1))} {
				if _, err := s.Record(t.Context(), l, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
	case "reserve": // until its input ends
		release, err := verify.NewState(task[1]).Reserve(t.Context(), "edge", nil)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("reserved")
		_, _ = io.Copy(io.Discard, os.Stdin) // there is none, only its end
		release()
	}
}

// What two processes remember at the same time is all remembered.
func TestTwoProcessesRecord(t *testing.T) {
	s := newState(t)
	var processes []*exec.Cmd
	for _, name := range []string{"a", "b", "c"} {
		cmd, _, _ := helper(t, "record", s.Path(), name)
		processes = append(processes, cmd)
	}
	for _, p := range processes {
		if err := p.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a", "b", "c", "edge"} {
		want := edge(rounds)
		want.Name = name
		last(t, s, want)
	}
	onlyFile(t, s)
}

// Who reserves a name keeps other processes from it, and from nothing else.
func TestReserve(t *testing.T) {
	s := newState(t)
	release, err := s.Reserve(t.Context(), "edge", nil)
	if err != nil {
		t.Fatal(err)
	}
	core, err := s.Reserve(t.Context(), "core", nil)
	if err != nil {
		t.Fatal(err)
	}
	core()
	record(t, s, edge(7))

	cmd, out, in := helper(t, "reserve", s.Path())
	reserved := make(chan string)
	go func() {
		line, _ := out.ReadString('\n')
		reserved <- line
	}()
	select {
	case line := <-reserved:
		t.Fatalf("two have reserved it: %q", line)
	case <-time.After(300 * time.Millisecond): // any time will do
	}
	release()
	if line := <-reserved; line != "reserved\n" {
		t.Fatalf("got %q", line)
	}

	// The other way round: we wait, are told so once, and may give up.
	ctx, cancel := context.WithCancel(t.Context())
	var told atomic.Int32
	_, err = s.Reserve(ctx, "edge", func(path string) {
		if _, err := os.Stat(path); err != nil || filepath.Dir(path) != filepath.Dir(s.Path()) {
			t.Errorf("the lock file %s: %v", path, err)
		}
		told.Add(1)
		time.AfterFunc(100*time.Millisecond, cancel)
	})
	if !errors.Is(err, context.Canceled) || told.Load() != 1 {
		t.Fatalf("told %d times, %v", told.Load(), err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	release, err = s.Reserve(t.Context(), "edge", nil)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	onlyFile(t, s)
}
