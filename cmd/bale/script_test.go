package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"bale/transport/parts"
)

// TestScripts runs testdata/script: a file for each behaviour of the command
// line. Beside testscript's own there are these commands:
//
//	bale ARG...              must succeed; see also exec
//	fails CODE ARG...        bale must refuse with this exit code, one error and one hint
//	exitcode CODE PROGRAM …  any program, any output
//	clean DIR [NAME...]      the folder holds these names and nothing else, hidden or not
//	json stdout|stderr [PATH=VALUE...]  is one JSON value and has these
//	tool NAME VAR            puts the path of a real tool into a variable
//	tmpfs DIR SIZE [ro]      mounts a file system of so many bytes
//	mkfifo FILE              makes a named pipe
//	cut FILE SIZE            cuts a file down; a negative size takes bytes off its end
//	registry VAR [OPTION...] starts a registry; see cmdRegistry
//	login ADDR USER:PASSWORD does what docker login does
//	push ADDR [USER:PASSWORD] puts testdata's images into a registry
//	tags ADDR [NAME:TAG...]  a registry has these tags and no other
//	release DIR NAME NUMBER  makes a layout with a release of a program; see cmdRelease
//	flip FILE OFFSET         changes a bit; a negative offset counts from the end
//	sigstore VAR EMAIL       starts a private Sigstore; see cmdSigstore
//	same PLACE PLACE         two images are the same, byte for byte
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                "testdata/script",
		WorkdirRoot:        t.TempDir(), // which goes away also when only some scripts run
		RequireUniqueNames: true,
		Setup:              setupScript,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fails": cmdFails, "exitcode": cmdExitcode, "clean": cmdClean, "json": cmdJSON, "tool": cmdTool,
			"tmpfs": cmdTmpfs, "mkfifo": cmdMkfifo, "cut": cmdCut,
			"registry": cmdRegistry, "login": cmdLogin, "push": cmdPush, "tags": cmdTags, "same": cmdSame,
			"release": cmdRelease, "flip": cmdFlip, "sigstore": cmdSigstore,
		},
	})
}

// testKey is under which a script's test is kept.
type testKey struct{}

func setupScript(e *testscript.Env) error {
	t, ok := e.T().(testing.TB)
	if !ok {
		return errors.New("no testing.TB")
	}
	e.Values[testKey{}] = t
	e.Setenv("IMAGES", testdata(t, "images"))
	e.Setenv("KEYS", testdata(t, "keys"))
	e.Setenv("COSIGN_PASSWORD", "bale-test")       // of the keys in testdata
	e.Setenv("DOCKER_CONFIG", e.WorkDir+"/docker") // not this machine's
	e.Setenv("HOME", e.WorkDir+"/home")
	e.Setenv(cacheEnv, noCache) // what a script finds out it finds out itself
	e.Defer(func() {
		if wrong := leftovers(e.WorkDir + "/.tmp"); wrong != "" { // TMPDIR
			t.Error(wrong)
		}
	})
	return nil
}

func testOf(ts *testscript.TestScript) testing.TB { return ts.Value(testKey{}).(testing.TB) }

// exitStatus runs a program and returns its exit code.
func exitStatus(ts *testscript.TestScript, program string, args ...string) int {
	err := ts.Exec(program, args...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	ts.Check(err)
	return 0
}

func wantedCode(ts *testscript.TestScript, neg bool, args []string) int {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: fails|exitcode CODE ARG...")
	}
	code, err := strconv.Atoi(args[0])
	ts.Check(err)
	return code
}

func cmdExitcode(ts *testscript.TestScript, neg bool, args []string) {
	want := wantedCode(ts, neg, args)
	if got := exitStatus(ts, args[1], args[2:]...); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func cmdFails(ts *testscript.TestScript, neg bool, args []string) {
	want := wantedCode(ts, neg, args)
	o := outcome{code: exitStatus(ts, "bale", args[1:]...)}
	o.out, o.errout = ts.ReadFile("stdout"), ts.ReadFile("stderr")
	if wrong := o.refusal(want); wrong != "" {
		ts.Fatalf("exit code %d, want %d: %s", o.code, want, wrong)
	}
}

func cmdClean(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: clean DIR [NAME...]")
	}
	if wrong := leftovers(ts.MkAbs(args[0]), args[1:]...); wrong != "" {
		ts.Fatalf("%s", wrong)
	}
}

// leftovers tells how the content of a folder differs from the names; a folder
// that does not exist is empty.
func leftovers(dir string, want ...string) string {
	list, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err.Error()
	}
	have := []string{} // in order
	for _, e := range list {
		have = append(have, e.Name())
	}
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(have, want) {
		return fmt.Sprintf("%s holds %q, want %q", dir, have, want)
	}
	return ""
}

func cmdTool(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: tool NAME VAR")
	}
	ts.Setenv(args[1], parts.Tool(testOf(ts), args[0]))
}

// cmdTmpfs mounts a small file system that goes away with the script.
func cmdTmpfs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 || len(args) == 3 && args[2] != "ro" {
		ts.Fatalf("usage: tmpfs DIR SIZE [ro]")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Defer(mountTmpfs(testOf(ts), dir, args[1], len(args) == 3))
}

func cmdMkfifo(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: mkfifo FILE")
	}
	ts.Check(makeFIFO(ts.MkAbs(args[0])))
}

func cmdCut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: cut FILE SIZE")
	}
	file := ts.MkAbs(args[0])
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	if n < 0 {
		fi, err := os.Stat(file)
		ts.Check(err)
		n += fi.Size()
	}
	ts.Check(os.Truncate(file, n))
}

func cmdFlip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: flip FILE OFFSET")
	}
	file := ts.MkAbs(args[0])
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	b, err := os.ReadFile(file)
	ts.Check(err)
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 1
	ts.Check(os.WriteFile(file, b, 0o644))
}
