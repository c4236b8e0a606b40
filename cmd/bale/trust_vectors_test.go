package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"bale/sign"
	"bale/verify/attack"
)

const (
	minTrustCases = 90
	minTrustGood  = 12
	maxTrust      = 600 << 10 // bytes, all together
)

// The files beside a case's own.
const (
	trustBundle = "bundle.bale"
	trustTarget = "out"
	trustState  = "state.json"
	trustConfig = "config" // where the user's policy would be
)

// secrets are words that no output may have: passwords of test keys.
var secrets = []string{"bale-test", "geheim", "PRIVATE KEY-----"}

// TestTrustAttacks runs every case of testdata/trust through verify, also with
// --explain and --json, through load, and policy check where there is a policy.
func TestTrustAttacks(t *testing.T) {
	if *update {
		writeTrust(t)
	}
	names, err := attack.Names()
	if err != nil {
		t.Fatal(err)
	}
	size, good := 0, 0
	err = filepath.WalkDir(attack.Dir(), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		fi, err := e.Info()
		if err == nil {
			size += int(fi.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	reasons := make(map[string]string)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			c, err := attack.Read(name)
			if err != nil {
				t.Fatal(err)
			}
			if other := reasons[c.Reason]; other != "" {
				t.Errorf("has the reason of %s", other)
			}
			reasons[c.Reason] = name
			if strings.HasPrefix(name, "good-") != (c.Exit == exitDone && c.Load == exitDone) {
				t.Errorf("exit %d, load %d", c.Exit, c.Load)
			}
			if c.Exit == exitDone {
				good++
			}
			for _, wrong := range runTrust(t, c) {
				t.Error(wrong)
			}
		})
	}
	if n := len(names); n < minTrustCases || good < minTrustGood || size > maxTrust {
		t.Errorf("%d cases, %d of them good, in %d bytes; want at least %d and %d in at most %d", n, good, size, minTrustCases, minTrustGood, maxTrust)
	}
}

// TestTrustAttacksLater does the same when all certificates of signers have
// ended: what decides is when something was signed, or what lasts. The time is
// that of a bubble, which begins in 2000.
func TestTrustAttacksLater(t *testing.T) {
	names, err := attack.Names()
	if err != nil {
		t.Fatal(err)
	}
	var cases []*attack.Case
	for _, name := range names {
		c, err := attack.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2060, 1, 1, 0, 0, 0, 0, time.UTC)))
		for _, c := range cases {
			for _, wrong := range runTrust(t, c) {
				t.Errorf("%s: in %d: %s", c.Name, time.Now().Year(), wrong)
			}
		}
	})
}

// runTrust runs a case in a folder of its own, and returns what was otherwise
// than it says.
func runTrust(t *testing.T, c *attack.Case) (wrong []string) {
	t.Helper()
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	dir, err := os.MkdirTemp(t.TempDir(), "case")
	if err != nil {
		t.Fatal(err)
	}
	back, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chdir(dir); err != nil { // as a user who names files in a folder
		t.Fatal(err)
	}
	defer func() {
		if err := os.Chdir(back); err != nil {
			t.Fatal(err)
		}
	}()
	if unmade, err := layTrust(c); err != nil {
		t.Fatal(err)
	} else if unmade != "" {
		t.Log(unmade)
		return nil
	}
	hidden, err := hiddenText()
	if err != nil {
		t.Fatal(err)
	}
	restore := setenv(t, map[string]string{"XDG_CONFIG_HOME": filepath.Join(dir, trustConfig), stateEnv: trustStateOf(c, dir)})
	defer restore()

	before := treeOf(t, dir)
	check := func(o outcome, code int, args []string, plain bool) {
		for _, text := range append(hidden, secrets...) {
			if strings.Contains(o.out+o.errout, text) {
				bad("%s tells a secret: %.12s...", args[0], text)
			}
		}
		if i := strings.IndexFunc(o.out+o.errout, func(c rune) bool { return unicode.IsControl(c) && c != '\n' }); i >= 0 {
			bad("%s shows what a terminal acts on: %q", args[0], (o.out + o.errout)[i:])
		}
		switch {
		case o.code != code:
			bad("%s: exit %d, want %d: %s", args[0], o.code, code, o.errout)
			return
		case code == exitDone:
			return
		case !strings.Contains(o.errout, c.Error):
			bad("%s does not say %q but: %s", args[0], c.Error, o.errout)
		case o.out != "" && args[0] != "policy":
			bad("%s has a result: %s", args[0], o.out)
		}
		if text := o.refusal(code); plain && text != "" {
			bad("%s: %s\n%s", args[0], text, o.errout)
		}
		if text := changed(before, treeOf(t, dir)); text != "" {
			bad("%s wrote: %s", args[0], text)
		}
	}
	run := func(code int, plain bool, args ...string) {
		check(inProcess(context.Background(), args...), code, args, plain)
	}
	verify := append([]string{"verify"}, c.Verify...)
	run(c.Exit, true, append(slices.Clone(verify), trustBundle)...)
	run(c.Exit, false, append(slices.Clone(verify), "--explain", trustBundle)...)
	asJSON := append(slices.Clone(verify), "--json", trustBundle)
	o := inProcess(context.Background(), asJSON...)
	if c.Exit != exitDone {
		o.errout = lastError(o.errout)
	}
	check(o, c.Exit, asJSON, false)
	if n := len(c.Verify); n == 2 && c.Verify[0] == "--policy" && !needsContent(c) {
		run(c.Exit, false, "policy", "check", "--policy", c.Verify[1], trustBundle)
	}
	load := slices.DeleteFunc(slices.Clone(c.Verify), func(s string) bool { return s == "--images" }) // load always does
	run(c.Load, true, append(append([]string{"load"}, load...), "-i", trustBundle, "--to", "oci:"+trustTarget)...)
	if c.Load == exitDone {
		if _, err := os.Stat(filepath.Join(trustTarget, "index.json")); err != nil {
			bad("load: %v", err)
		}
	}
	return wrong
}

// lastError returns the error in the last line of JSON; "" if there is none.
func lastError(errout string) string {
	lines := strings.Split(strings.TrimSpace(errout), "\n")
	var v struct {
		Error string `json:"error"`
	}
	if json.Unmarshal([]byte(lines[len(lines)-1]), &v) != nil {
		return ""
	}
	return v.Error
}

// needsContent reports whether a case is about what policy check does not look
// at: content, and the images' own signatures.
func needsContent(c *attack.Case) bool {
	return c.Exit == exitDamaged || strings.HasPrefix(c.Name, "image-")
}

// trustStateOf names the state file of a case.
func trustStateOf(c *attack.Case, dir string) string {
	if _, err := os.Lstat(trustState); err != nil && !slices.Contains(c.Verify, "--name") {
		return noState
	}
	return filepath.Join(dir, trustState)
}

// layTrust puts the files of a case into the present folder. It says what this
// system has no way to make.
func layTrust(c *attack.Case) (unmade string, err error) {
	if err := os.CopyFS(attack.Keys, os.DirFS(attack.Dir(attack.Keys))); err != nil {
		return "", err
	}
	for _, f := range c.Files {
		if f.InBundle() {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(f.Name), 0o700); err != nil {
			return "", err
		}
		if err := os.WriteFile(f.Name, f.Data, 0o600); err != nil {
			return "", err
		}
	}
	for _, m := range c.Make {
		switch words := strings.Fields(m); {
		case len(words) == 2 && words[0] == "fifo":
			if runtime.GOOS != "linux" {
				return "there is no FIFO here to give", nil
			}
			err = makeFIFO(words[1])
		case len(words) == 2 && words[0] == "folder":
			err = os.Mkdir(words[1], 0o700)
		case len(words) == 3 && words[0] == "link":
			err = os.Symlink(words[2], words[1])
		case len(words) == 2 && words[0] == "large":
			err = os.WriteFile(words[1], bytes.Repeat([]byte("# large\n"), sign.MaxKeyFile/8+1), 0o600)
		default:
			err = fmt.Errorf("make: %s", m)
		}
		if err != nil {
			return "", err
		}
	}
	content, err := c.Bundle()
	if err != nil {
		return "", err
	}
	return "", os.WriteFile(trustBundle, content, 0o600)
}

// hiddenText returns lines of the private keys in the present folder.
func hiddenText() (lines []string, err error) {
	err = filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(data, []byte("PRIVATE KEY")) {
			return err
		}
		for line := range strings.Lines(string(data)) {
			if line = strings.TrimSpace(line); len(line) >= 24 && !strings.HasPrefix(line, "-----") {
				lines = append(lines, line, line[:24])
			}
		}
		return nil
	})
	return lines, err
}

// setenv is t.Setenv for as long as it takes.
func setenv(t *testing.T, vars map[string]string) (restore func()) {
	t.Helper()
	old := make(map[string]string)
	for k, v := range vars {
		if was, ok := os.LookupEnv(k); ok {
			old[k] = was
		}
		if err := os.Setenv(k, v); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		for k := range vars {
			err := os.Unsetenv(k)
			if was, ok := old[k]; ok {
				err = os.Setenv(k, was)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// treeOf lists what is in a folder, with the content of files.
func treeOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	tree := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		tree[path] = e.Type().String()
		if e.Type().IsRegular() {
			data, err := os.ReadFile(path)
			tree[path] = string(data)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// changed says what differs between two trees; "" if nothing.
func changed(before, after map[string]string) string {
	for path, is := range after {
		if was, ok := before[path]; !ok || was != is {
			return path
		}
	}
	if len(before) != len(after) {
		return "something is gone"
	}
	return ""
}
