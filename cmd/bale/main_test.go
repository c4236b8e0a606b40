package main

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"bale/transport/parts"
)

func TestMain(m *testing.M) {
	// Started under the name bale, the test binary is bale.
	testscript.Main(sharing{m}, map[string]func(){"bale": func() { os.Exit(realMain()) }})
}

// sharing ends the parts that tests share when all have run.
type sharing struct{ m *testing.M }

func (s sharing) Run() int {
	// What one test finds out another must not know, and the user's own folder
	// is none of ours.
	dir, err := os.MkdirTemp("", "bale-test-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // a few kilobytes
	keysDir = filepath.Join(dir, "keys")
	for name, value := range map[string]string{cacheEnv: noCache, stateEnv: noState, "XDG_CONFIG_HOME": filepath.Join(dir, "config")} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	return parts.Main(s.m)
}

// keysDir is where the test keys are as keys should be: for their owner only,
// which git does not keep.
var keysDir string

// copyKeys copies them when the first is needed.
var copyKeys = sync.OnceValue(func() error {
	if err := os.CopyFS(keysDir, os.DirFS(keysSource())); err != nil {
		return err
	}
	return filepath.WalkDir(keysDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o600)
	})
})

func keysSource() string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", "..", "testdata", "keys")
}

// testdata returns the absolute path of something in the project's testdata.
func testdata(t testing.TB, elem ...string) string {
	t.Helper()
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("no caller")
	}
	p := filepath.Join(append([]string{filepath.Dir(here), "..", "..", "testdata"}, elem...)...)
	if elem[0] == "keys" {
		if err := copyKeys(); err != nil {
			t.Fatal(err)
		}
		p = filepath.Join(append([]string{keysDir}, elem[1:]...)...)
	}
	if _, err := os.Stat(p); err != nil {
		t.Fatal(err)
	}
	return p
}

// outcome is what one command line came to.
type outcome struct {
	code        int
	out, errout string
}

// inProcess runs one command line in this process.
func inProcess(ctx context.Context, args ...string) outcome {
	var out, errout bytes.Buffer
	code := run(ctx, args, streams{in: strings.NewReader(""), out: &out, err: &errout})
	return outcome{code, out.String(), errout.String()}
}

// mustRun is inProcess for command lines that have to succeed.
func mustRun(t testing.TB, args ...string) outcome {
	t.Helper()
	o := inProcess(context.Background(), args...)
	if o.code != exitDone {
		t.Fatalf("bale %s: exit %d\n%s", strings.Join(args, " "), o.code, o.errout)
	}
	return o
}

// refusal returns what is wrong with the way in which a command line was
// refused, or "". A refusal has its exit code, no result, and ends with one
// line that says what is wrong and one that says what to do.
func (o outcome) refusal(code int) string {
	lines := strings.Split(strings.TrimSuffix(o.errout, "\n"), "\n")
	n := len(lines)
	switch {
	case o.code != code:
		return "the exit code"
	case o.out != "":
		return "there is a result"
	case strings.Count(o.errout, "bale: error: ") != 1 || strings.Count(o.errout, "bale: hint: ") != 1:
		return "not one error and one hint"
	case n < 2 || !strings.HasPrefix(lines[n-2], "bale: error: ") || !strings.HasPrefix(lines[n-1], "bale: hint: "):
		return "error and hint do not stand last"
	case strings.Contains(o.errout, "goroutine "):
		return "a panic"
	}
	for _, l := range lines[n-2:] {
		if strings.HasSuffix(strings.TrimSuffix(l, "..."), ".") || strings.HasSuffix(l, ": ") || len(l) > maxLine {
			return "a line that is too long, or ends oddly: " + l
		}
	}
	return ""
}

// maxLine is how long a line of an error may be: a few names and digests.
const maxLine = 500
