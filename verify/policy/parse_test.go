package policy_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"bale/bundle/fault"
	"bale/verify/policy"
)

// files returns the policies in a folder of testdata.
func files(t testing.TB, dir string, least int) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join("testdata", dir, "*.yaml"))
	if err != nil || len(list) < least {
		t.Fatalf("%d policies in %s, and there should be %d: %v", len(list), dir, least, err)
	}
	return list
}

func TestGood(t *testing.T) {
	for _, path := range files(t, "good", 8) {
		p, err := policy.Load(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if p.String() != path || len(p.Trust(nil).Alternatives) == 0 {
			t.Errorf("%s: %v, %+v", path, p, p.Trust(nil))
		}
		var out bytes.Buffer
		p.Summary().Print(&out)
		for _, want := range []string{path + " is in order", "are signed by", "any other bundle is refused"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: the summary does not say %q:\n%s", path, want, out.String())
			}
		}
	}
}

// wanted reads what stands at the top of a bad policy.
var wanted = regexp.MustCompile(`^# want: (.+)\n# schema: (refuses|passes|-)\n`)

// place is how messages begin that belong to a line.
var place = regexp.MustCompile(`^[^:]+\.yaml(:[0-9]+:[0-9]+)?: `)

func TestBad(t *testing.T) {
	for _, path := range files(t, "bad", 80) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m := wanted.FindSubmatch(data)
		if m == nil {
			t.Errorf("%s does not say what is wrong with it", path)
			continue
		}
		p, err := policy.Load(path)
		switch {
		case err == nil || p != nil:
			t.Errorf("%s is taken", path)
		case !errors.Is(err, fault.ErrUsage):
			t.Errorf("%s: of another kind: %v", path, err)
		case !strings.Contains(err.Error(), string(m[1])):
			t.Errorf("%s: %v\nwant %s", path, err, m[1])
		case strings.Contains(err.Error(), "\n"):
			t.Errorf("%s: more than one failure:\n%v", path, err)
		case !place.MatchString(err.Error()):
			t.Errorf("%s: does not begin with its place: %v", path, err)
		}
	}
}

func TestManyFailuresAreTold(t *testing.T) {
	_, err := policy.Parse("p.yaml", []byte("version: 1\nsigners: {a: {}, b: {}}\nroles: {r: {signers: [c]}}\nbundles: [{}]\n"), nothing)
	lines := strings.Split(err.Error(), "\n")
	want := []string{"p.yaml:2:14: signer a must", "p.yaml:2:21: signer b must", "p.yaml:3:23: there is no signer", "p.yaml:4:11: a rule of bundles does not say", "p.yaml:4:11: "}
	if len(lines) != len(want) {
		t.Fatalf("%d failures, want %d:\n%v", len(lines), len(want), err)
	}
	for i, w := range want {
		if !strings.HasPrefix(lines[i], w) {
			t.Errorf("%s, want %s", lines[i], w)
		}
	}
	many := "version: 1\nsigners:\n" + strings.Repeat("  -", 20) + " x\n"
	if _, err := policy.Parse("p.yaml", []byte(many), nothing); err == nil || strings.Count(err.Error(), "\n") > 10 {
		t.Errorf("more than is read: %v", err)
	}
}

// nothing is a folder without files.
func nothing(string) ([]byte, string, error) { return nil, "", fault.Missing("not there") }

func TestExampleIsInOrder(t *testing.T) {
	n := 0
	keys, err := filepath.Glob("testdata/keys/*.pub")
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Parse("example.yaml", policy.Example, func(name string) ([]byte, string, error) {
		// Any keys will do, each another.
		for n++; ; n++ {
			k := keys[n%len(keys)]
			if strings.Contains(k, "two") || strings.Contains(k, "dave-ssh") || strings.Contains(k, "-ssh") {
				continue
			}
			data, err := os.ReadFile(k)
			return data, name, err
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 3 || len(p.Files()) != 3 {
		t.Errorf("files %v", p.Files())
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		path string
		kind error
	}{
		"missing": {filepath.Join(dir, "none.yaml"), fault.ErrMissing},
		"folder":  {dir, fault.ErrUsage},
		"device":  {os.DevNull, fault.ErrUsage},
	} {
		_, err := policy.Load(c.path)
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.path) || strings.Contains(fault.Hint(err), "key") {
			t.Errorf("%s: %v (%s)", name, err, fault.Hint(err))
		}
	}
	big := filepath.Join(dir, "big.yaml")
	if err := os.WriteFile(big, bytes.Repeat([]byte("# nothing\n"), 10000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := policy.Load(big); !errors.Is(err, fault.ErrUsage) {
		t.Errorf("big: %v", err)
	}
}

func TestPrivateKeyIsNotRepeated(t *testing.T) {
	secret, err := os.ReadFile("../../testdata/keys/sec1.pem")
	if err != nil {
		t.Fatal(err)
	}
	_, err = policy.Parse("p.yaml", secret, nothing)
	if err == nil {
		t.Fatal("a key is taken for a policy")
	}
	for _, line := range strings.Split(string(secret), "\n") {
		if line != "" && !strings.HasPrefix(line, "-") && strings.Contains(err.Error(), line) {
			t.Errorf("the error repeats the key: %v", err)
		}
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	mine := filepath.Join(dir, "bale", "policy.yaml")
	if path, found, err := policy.Find(); err != nil || path == mine {
		t.Errorf("nothing there: %q, %v, %v", path, found, err)
	}
	if err := os.Mkdir(filepath.Dir(mine), 0o700); err != nil {
		t.Fatal(err)
	}
	// A link that leads nowhere must not be passed over.
	if err := os.Symlink("nowhere", mine); err != nil {
		t.Fatal(err)
	}
	path, found, err := policy.Find()
	if err != nil || !found || path != mine {
		t.Errorf("%q, %v, %v", path, found, err)
	}
	if _, err := policy.Load(path); !errors.Is(err, fault.ErrMissing) {
		t.Errorf("a link that leads nowhere: %v", err)
	}
	// What cannot be looked at may demand something.
	blocked := filepath.Join(dir, "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CONFIG_HOME", blocked)
	if _, _, err := policy.Find(); err == nil {
		t.Error("a folder that is a file is passed over")
	}
	t.Setenv("XDG_CONFIG_HOME", "relative")
	if _, _, err := policy.Find(); !errors.Is(err, fault.ErrUsage) {
		t.Errorf("a relative folder: %v", err)
	}
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("HOME", filepath.Join(dir, "home"))
	at := filepath.Join(dir, "home", ".config", "bale", "policy.yaml")
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if path, found, err := policy.Find(); err != nil || !found || path != at {
		t.Errorf("%q, %v, %v", path, found, err)
	}
}

func TestExposed(t *testing.T) {
	dir := t.TempDir()
	key, err := os.ReadFile("testdata/keys/dave.pub")
	if err != nil {
		t.Fatal(err)
	}
	path, pub := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "dave.pub")
	for p, data := range map[string][]byte{pub: key, path: []byte("version: 1\nsigners: {dave: {key: dave.pub}}\nbundles: [{name: x, signedBy: [dave]}]\n")} {
		if err := os.WriteFile(p, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := policy.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if text := p.Exposed(); len(text) != 0 {
		t.Errorf("nobody can write it: %v", text)
	}
	for _, f := range []string{path, pub} {
		if err := os.Chmod(f, 0o666); err != nil {
			t.Fatal(err)
		}
		if text := p.Exposed(); len(text) != 1 || !strings.Contains(text[0], f) {
			t.Errorf("%s may be written: %v", f, text)
		}
		if err := os.Chmod(f, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := policy.Load(link); err == nil { // its key is beside the file
		t.Error("a key beside the link's target is found")
	}
}
