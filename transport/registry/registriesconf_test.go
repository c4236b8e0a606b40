package registry

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bale/bundle/fault"
	"bale/transport"
)

func parseName(t testing.TB, s string) transport.Name {
	t.Helper()
	n, err := transport.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// confOf is a client's view of one registries.conf.
func confOf(t testing.TB, content string) *places {
	t.Helper()
	return newTestClient(t, Options{RegistriesConf: put(t, t.TempDir(), "registries.conf", content)}).places
}

const someConf = `
unqualified-search-registries = ["search.example"]
short-name-mode = "enforcing"
[[registry]]
prefix = "docker.io"
location = "cache.example/hub/"
[[registry.mirror]]
location = "one.example/docker"
[[registry.mirror]]
location = "two.example"
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "three.example"
pull-from-mirror = "tag-only"
[[registry]]
prefix = "docker.io/library/busybox"
blocked = true
[[registry]]
location = "plain.example:5000"
insecure = true
mirror-by-digest-only = true
[[registry.mirror]]
location = "mirror.example/plain"
[[registry]]
prefix = "*.wild.example"
location = "tame.example/wild"
[[registry]]
prefix = "*.evil.example"
blocked = true
[[registry]]
prefix = "example.com/team/app:secret"
blocked = true
[[registry]]
prefix = "example.com/team/app:moved"
location = "moved.example/app:moved"
[aliases]
"shell" = "registry.example/tools/shell"
"team/tool" = "registry.example/tool"
`

func TestRegistriesConf(t *testing.T) {
	p := confOf(t, someConf)
	pin := "@sha256:" + strings.Repeat("a", 64)
	for image, want := range map[string]string{
		"alpine":                         "one.example/docker/library/alpine three.example/library/alpine | cache.example/hub/library/alpine",
		"me/app" + pin:                   "one.example/docker/me/app two.example/me/app | cache.example/hub/me/app",
		"busybox":                        " | blocked",
		"busybox:1":                      " | blocked",
		"docker.io/library/busyboxes":    "one.example/docker/library/busyboxes three.example/library/busyboxes | cache.example/hub/library/busyboxes",
		"docker.io/library/busybox/x":    " | blocked",
		"plain.example:5000/a":           " | plain.example:5000/a",
		"plain.example:5000/a" + pin:     "mirror.example/plain/a | plain.example:5000/a",
		"plain.example:6000/a":           " | plain.example:6000/a",
		"plain.example/a":                " | plain.example/a",
		"a.wild.example/x/y":             " | tame.example/wild/x/y",
		"b.a.wild.example/x":             " | tame.example/wild/x",
		"b.a.wild.example:5000/x":        " | b.a.wild.example:5000/x",
		"wild.example/x":                 " | wild.example/x",
		"a.evil.example:5000/x":          " | blocked",
		"example.com/team/app:secret":    " | blocked",
		"example.com/team/app:moved":     " | moved.example/app",
		"example.com/team/app:secrets":   " | example.com/team/app",
		"example.com/team/app":           " | example.com/team/app",
		"example.com/team/app/secret":    " | example.com/team/app/secret",
		"elsewhere.example/docker.io/x":  " | elsewhere.example/docker.io/x",
		"docker.io.example/library/test": " | docker.io.example/library/test",
	} {
		n := parseName(t, image)
		mirrors, err := p.mirrors(n)
		if err != nil {
			t.Errorf("%s: %v", image, err)
		}
		var got []string
		for _, m := range mirrors {
			got = append(got, m.name.Repository())
			if m.name.Tag != n.Tag || m.name.Digest != n.Digest {
				t.Errorf("%s: %s", image, m.name)
			}
		}
		origin, err := p.origin(n)
		at := origin.name.Repository()
		if err != nil {
			at = "blocked"
			if !errors.Is(err, fault.ErrUsage) || !strings.Contains(err.Error(), "blocked in ") || fault.Hint(err) == "" {
				t.Errorf("%s: %v", image, err)
			}
		}
		if (p.target(n) != nil) != (err != nil) {
			t.Errorf("%s may be written to, or not: %v", image, p.target(n))
		}
		if s := strings.Join(got, " ") + " | " + at; s != want {
			t.Errorf("%s: %s instead of %s", image, s, want)
		}
	}
}

func TestRegistriesConfMalformed(t *testing.T) {
	dir := t.TempDir()
	for content, says := range map[string]string{
		"x":                                    "expected",
		"[[registry]]":                         "neither prefix nor location",
		"[[registry]]\nprefix='a b'":           "no name",
		"[[registry]]\nprefix='*.a.example/x'": "cannot have a path",
		"[[registry]]\nlocation='https://a'":   "no name",
		"[[registry]]\nprefix='a.example'\nlocation='b.example?'":                                                                         "location",
		"[[registry]]\nprefix='a.example'\nblocked='yes'":                                                                                 "blocked",
		"[[registry]]\nprefix='a.example'\n[[registry.mirror]]":                                                                           "mirror",
		"[[registry]]\nprefix='a.example'\n[[registry.mirror]]\nlocation='b.example'\npull-from-mirror='never'":                           "pull-from-mirror",
		"[[registry]]\nprefix='a.example'\nmirror-by-digest-only=true\n[[registry.mirror]]\nlocation='b.example'\npull-from-mirror='all'": "exclude",
		"[[registry]]\nprefix='a.example'\n" + strings.Repeat("[[registry.mirror]]\nlocation='b.example'\n", maxMirrors+1):                "more than 32 mirrors",
		strings.Repeat("[[registry]]\nprefix='a.example'\n", maxConfEntries+1):                                                            "more than 4096 entries",
		"[[registry]]\nprefix='a.example/b:1'\nlocation='c.example/b:2'":                                                                  "another tag",
		"unqualified-search-registries=['a b']":                                                                                           "no registry",
		"[aliases]\n'a.example/x'='b.example/x'":                                                                                          "no short name",
		"[aliases]\n'x:1'='b.example/x'":                                                                                                  "no short name",
		"[aliases]\n'x'='y'":                                                                                                              "no full name",
		"[aliases]\n'x'='b.example/y:1'":                                                                                                  "no full name",
		"[aliases]\n'X'='b.example/y'":                                                                                                    "lowercase",
		"[registries.search]\nregistries=['a.example']\n[[registry]]\nlocation='b.example'":                                               "mixes",
		"a=" + strings.Repeat("[", 1000):                                                                                                  "brackets",
		strings.Repeat("#", maxRegistriesConf+1):                                                                                          "larger than",
	} {
		file := put(t, dir, "registries.conf", content)
		_, err := newTestClient(t, Options{RegistriesConf: file}).Source().Images(t.Context(), "a.invalid/app:1")
		if !errors.Is(err, fault.ErrUsage) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), says) {
			t.Errorf("%.100q: %v", content, err)
		}
	}
	_, err := newTestClient(t, Options{RegistriesConf: filepath.Join(dir, "none")}).Source().Images(t.Context(), "a.invalid/app:1")
	if !errors.Is(err, os.ErrNotExist) || !errors.Is(err, fault.ErrUsage) {
		t.Errorf("%v", err)
	}
}

// TestRegistriesConfFiles checks which of the machine's files count.
func TestRegistriesConfFiles(t *testing.T) {
	home := alone(t)
	to := func(s string) string {
		return fmt.Sprintf("[[registry]]\nprefix='a.example'\nlocation='%s.example'\n", s)
	}
	expect := func(image, want string) {
		t.Helper()
		at, err := newPlaces(Options{DaemonConfig: os.DevNull}, nil).origin(parseName(t, image))
		if err != nil || at.name.Repository() != want {
			t.Errorf("%s: %s instead of %s, %v", image, at.name.Repository(), want, err)
		}
	}
	expect("a.example/x", "a.example/x")
	dir := filepath.Join(home, ".config/containers")
	put(t, dir, "registries.conf", to("main")+"[[registry]]\nprefix='b.example'\nlocation='main.example'\n")
	expect("a.example/x", "main.example/x")
	put(t, dir, "registries.conf.d/10-a.conf", to("ten"))
	put(t, dir, "registries.conf.d/20-a.conf", to("twenty"))
	put(t, dir, "registries.conf.d/30-a.txt", to("thirty"))
	expect("a.example/x", "twenty.example/x")
	expect("b.example/x", "main.example/x")
	t.Setenv("CONTAINERS_REGISTRIES_CONF", put(t, home, "env.conf", to("env")))
	expect("b.example/x", "b.example/x")
	expect("a.example/x", "twenty.example/x")
	// Broken rules are no rules to go without.
	broken := put(t, dir, "registries.conf.d/40-a.conf", "x")
	_, err := newPlaces(Options{}, nil).origin(parseName(t, "c.example/x"))
	if !errors.Is(err, fault.ErrUsage) || !strings.Contains(err.Error(), broken) || !strings.Contains(fault.Hint(err), "--registries-conf") {
		t.Errorf("%v (%s)", err, fault.Hint(err))
	}
	if at, err := newPlaces(Options{RegistriesConf: os.DevNull}, nil).origin(parseName(t, "a.example/x")); err != nil || at.name.Domain != "a.example" {
		t.Errorf("%v, %v", at, err)
	}
}

func TestRegistriesConfOld(t *testing.T) {
	p := confOf(t, "[registries.search]\nregistries=['a.example']\n[registries.insecure]\nregistries=['b.example','c.example']\n[registries.block]\nregistries=['c.example']\n")
	s, err := p.load()
	if err != nil {
		t.Fatal(err)
	}
	if len(s.conf.search) != 1 || s.conf.search[0] != "a.example" || len(s.conf.entries) != 2 {
		t.Errorf("%+v", s.conf)
	}
	if _, err := p.origin(parseName(t, "c.example/x")); err == nil {
		t.Error("not blocked")
	}
	if _, err := p.origin(parseName(t, "b.example/x")); err != nil || !p.lanes.isInsecure("b.example") {
		t.Errorf("%v", err)
	}
}

// TestInsecure obeys it only where the user has named the file.
func TestInsecure(t *testing.T) {
	home := alone(t)
	file := put(t, home, ".config/containers/registries.conf", "[[registry]]\nlocation='b.example'\ninsecure=true\n")
	for _, named := range []bool{false, true} {
		o := Options{DaemonConfig: os.DevNull, CertDirs: []string{}}
		if named {
			o.RegistriesConf = file
		}
		c, err := NewClient(o)
		if err != nil {
			t.Fatal(err)
		}
		at, err := c.places.origin(parseName(t, "b.example/x"))
		if err != nil || at.denied == named || c.places.lanes.isInsecure("b.example") != named {
			t.Errorf("named %t: %+v, %v", named, at, err)
		}
		l, err := c.wire.lanes.of("b.example")
		if err != nil || l.asking.TLSClientConfig.InsecureSkipVerify != named || l.plain != named {
			t.Errorf("named %t: %v", named, err)
		}
		if l, err := c.wire.lanes.of("a.example"); err != nil || l.asking.TLSClientConfig.InsecureSkipVerify || l.plain {
			t.Errorf("others: %v", err)
		}
	}
}

func TestShortNames(t *testing.T) {
	c := newTestClient(t, Options{RegistriesConf: put(t, t.TempDir(), "registries.conf", someConf)})
	pin := "@sha256:" + strings.Repeat("a", 64)
	for s, want := range map[string]string{
		"shell":               "registry.example/tools/shell:latest",
		"shell:1":             "registry.example/tools/shell:1",
		"shell" + pin:         "registry.example/tools/shell" + pin,
		"shell:1" + pin:       "registry.example/tools/shell:1" + pin,
		"team/tool:2":         "registry.example/tool:2",
		"busybox":             "search.example/busybox:latest",
		"team/app:1":          "search.example/team/app:1",
		"docker.io/shell":     "docker.io/library/shell:latest",
		"localhost/shell":     "localhost/shell:latest",
		"registry.test/shell": "registry.test/shell:latest",
	} {
		if n, err := c.ParseName(s); err != nil || n.String() != want {
			t.Errorf("%s: %s, %v", s, n, err)
		}
	}
	// Without a file of the user's, Docker's meaning holds.
	home := alone(t)
	put(t, home, ".config/containers/registries.conf", someConf)
	for _, o := range []Options{{}, {RegistriesConf: os.DevNull}} {
		c, err := NewClient(o)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := c.ParseName("shell:1"); err != nil || n.String() != "docker.io/library/shell:1" {
			t.Errorf("%s, %v", n, err)
		}
	}
	c = newTestClient(t, Options{RegistriesConf: put(t, t.TempDir(), "registries.conf", "unqualified-search-registries=['a.example','b.example']")})
	if _, err := c.ParseName("shell"); !errors.Is(err, fault.ErrUsage) || !strings.Contains(err.Error(), "a.example, b.example") {
		t.Errorf("%v", err)
	}
}

func FuzzRegistriesConf(f *testing.F) {
	for _, s := range []string{
		someConf, "", "x", "[[registry]]", "[registries.block]\nregistries=['a.example']\n[registries.insecure]\nregistries=['a.example']",
		"[[registry]]\nprefix='example.com/team/app:secret@sha256:" + strings.Repeat("a", 64) + "'\nlocation='b'",
		"[[registry]]\nprefix='*.com'\n[[registry.mirror]]\nlocation='b:5000/x'", "a=" + strings.Repeat("[", 100),
	} {
		f.Add([]byte(s))
	}
	var names []transport.Name
	for _, s := range []string{"busybox", "example.com/team/app:secret", "a.example:5000/x/y@sha256:" + strings.Repeat("a", 64), "[::1]:5000/x"} {
		names = append(names, parseName(f, s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if len(content) > maxRegistriesConf {
			return
		}
		file, err := parseRegistriesConf(content)
		if err != nil {
			return
		}
		c := &registriesConf{}
		for i := range file.Registry {
			c.entries = append(c.entries, &file.Registry[i])
		}
		for _, n := range names {
			e := c.find(n)
			if e == nil {
				continue
			}
			locations := []string{e.Location}
			for _, m := range e.Mirrors {
				locations = append(locations, m.Location)
			}
			for _, l := range locations {
				if l == "" {
					continue
				}
				at, err := e.at(l, n)
				if err != nil {
					continue
				}
				if at.Tag != n.Tag || at.Digest != n.Digest || at.Path == "" || !strings.HasPrefix(at.Repository(), l) || strings.Contains(at.Path, "//") {
					t.Errorf("%s at %q: %+v", n, l, at)
				}
			}
		}
	})
}
