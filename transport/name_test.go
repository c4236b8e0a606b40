package transport

import (
	"errors"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
)

const (
	sum256 = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	sum512 = "sha512:" + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

func TestParseName(t *testing.T) {
	for in, want := range map[string]Name{
		"busybox":                           {"docker.io", "library/busybox", "latest", ""},
		"busybox:1.36":                      {"docker.io", "library/busybox", "1.36", ""},
		"library/busybox":                   {"docker.io", "library/busybox", "latest", ""},
		"team/app":                          {"docker.io", "team/app", "latest", ""},
		"docker.io/busybox":                 {"docker.io", "library/busybox", "latest", ""},
		"index.docker.io/busybox":           {"docker.io", "library/busybox", "latest", ""},
		"docker.io/team/app:1":              {"docker.io", "team/app", "1", ""},
		"localhost/app":                     {"localhost", "app", "latest", ""},
		"localhost:5000/app":                {"localhost:5000", "app", "latest", ""},
		"host.example/app:v1":               {"host.example", "app", "v1", ""},
		"host.example:5000/a/b/c/d:v1":      {"host.example:5000", "a/b/c/d", "v1", ""},
		"Host.Example/app":                  {"Host.Example", "app", "latest", ""},
		"127.0.0.1:5000/app":                {"127.0.0.1:5000", "app", "latest", ""},
		"[::1]:5000/app":                    {"[::1]:5000", "app", "latest", ""},
		"app@" + sum256:                     {"docker.io", "library/app", "", sum256},
		"app@" + sum512:                     {"docker.io", "library/app", "", sum512},
		"host.example/app:1@" + sum256:      {"host.example", "app", "1", sum256},
		"host/app":                          {"docker.io", "host/app", "latest", ""}, // no dot, no port: no host
		"a-b.c/d--e__f.g:_x.Y-9":            {"a-b.c", "d--e__f.g", "_x.Y-9", ""},
		"app:" + strings.Repeat("t", 128):   {"docker.io", "library/app", strings.Repeat("t", 128), ""},
		"h.x/" + strings.Repeat("p", 255):   {"h.x", strings.Repeat("p", 255), "latest", ""},
		"x.example/deadbeef0123456789abcde": {"x.example", "deadbeef0123456789abcde", "latest", ""},
	} {
		got, err := ParseName(in)
		if err != nil || got != want {
			t.Errorf("%q: got %+v, %v; want %+v", in, got, err, want)
			continue
		}
		if again, err := ParseName(got.String()); err != nil || again != got {
			t.Errorf("%q: its string %q is %+v, %v", in, got, again, err)
		}
	}
}

func TestParseNameRefuses(t *testing.T) {
	for _, in := range []string{
		"", " ", "busybox ", " busybox", "bus ybox", "Busybox", "team/App", ":1", "@" + sum256, "busybox:", "busybox@", "busybox:a:b",
		"busybox:-x", "busybox:.x", "busybox:" + strings.Repeat("t", 129), "busybox@sha256:0123", "busybox@" + strings.ToUpper(sum256),
		"busybox@md5:0123456789abcdef0123456789abcdef", "busybox@" + sum256 + "0", "busybox@" + sum256 + ":1",
		"http://host.example/app", "docker://busybox", "/busybox", "busybox/", "a//b", "../etc", "host.example/../etc", "a/./b",
		"my_host.example/app", "host.example:port/app", "-app", "app-", "a___b", "a..b", "büsybox", "busybox:1\n", "busybox\x00", "\x1b[31mapp", "busybox:*",
		"h.x/" + strings.Repeat("p", 256), strings.Repeat("p", MaxName+1),
		strings.TrimPrefix(sum256, "sha256:"), // an ID by Docker's rules, and never a name
	} {
		got, err := ParseName(in)
		if !errors.Is(err, fault.ErrUsage) || got != (Name{}) {
			t.Errorf("%q: got %+v, %v", in, got, err)
		}
		if err != nil && fault.Hint(err) == "" && len(in) <= MaxName {
			t.Errorf("%q: no hint with %v", in, err)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\n\x00\x1b") {
			t.Errorf("%q: the error %q may upset a terminal", in, err)
		}
	}
}

func TestNameForms(t *testing.T) {
	for in, want := range map[string][2]string{
		"busybox":                  {"docker.io/library/busybox:latest", "docker.io/library/busybox"},
		"team/app:1":               {"docker.io/team/app:1", "docker.io/team/app"},
		"host.example:5000/app:1":  {"host.example:5000/app:1", "host.example:5000/app"},
		"busybox@" + sum256:        {"docker.io/library/busybox@" + sum256, "docker.io/library/busybox"},
		"localhost/a:1@" + sum256:  {"localhost/a:1@" + sum256, "localhost/a"},
		"docker.io/library/x:1.36": {"docker.io/library/x:1.36", "docker.io/library/x"},
	} {
		n, err := ParseName(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]string{n.String(), n.Repository()}; got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestNameWithDigest(t *testing.T) {
	d := digest.Digest(sum256)
	tagged, untagged := Name{"h", "a", "1", ""}, Name{"h", "a", "", ""}
	if got := tagged.WithDigest(d); got != tagged {
		t.Errorf("a tagged name became %s", got)
	}
	if got := untagged.WithDigest(d); got != (Name{"h", "a", "", d}) {
		t.Errorf("an untagged name became %s", got)
	}
	if untagged.Digest != "" {
		t.Error("the name itself was changed")
	}
}

// What is accepted can be written out and read again, and stands for the same;
// so it is with the names that a bundle carries.
func FuzzParseName(f *testing.F) {
	for _, s := range []string{
		"busybox", "busybox:1.36", "team/app@" + sum256, "host.example:5000/a/b:1@" + sum256, "[::1]:5000/app", "localhost/x", "app@" + sum512,
		"Busybox", "a//b", "busybox:", "http://x/y", "\x1b[0m", strings.Repeat("p", MaxName), "index.docker.io/x", "docker.io/docker.io/x",
		"my_host.example/app", strings.Repeat("p", 230) + ":" + strings.Repeat("t", 128) + "@" + sum512,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseName(s)
		if err != nil {
			if !errors.Is(err, fault.ErrUsage) || n != (Name{}) {
				t.Fatalf("%q: %+v, %v", s, n, err)
			}
			return
		}
		if n.Domain == "" || n.Path == "" || n.Tag == "" && n.Digest == "" {
			t.Fatalf("%q is incomplete: %+v", s, n)
		}
		out := n.String()
		if i := strings.IndexFunc(out, func(r rune) bool { return r <= ' ' || r > '~' }); i >= 0 {
			t.Fatalf("%q is written with odd characters: %q", s, out)
		}
		if again, err := ParseName(out); err != nil || again != n {
			t.Fatalf("%q is written %q, which is %+v, %v", s, out, again, err)
		}
	})
}
