package policy

import (
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

const (
	someDigest  = digest.Digest("sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	otherDigest = digest.Digest("sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
)

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern string
		fit     []string
		not     []string
	}{
		{"", []string{""}, []string{"a"}},
		{"*", []string{"", "a", "a/b", "*"}, nil},
		{"edge-*", []string{"edge-", "edge-1", "edge-a/b"}, []string{"edge", "Edge-1", "xedge-1", " edge-1"}},
		{"*-x", []string{"-x", "a-x", "-x-x"}, []string{"-xa", "x"}},
		{"a*b*c", []string{"abc", "aXbYc", "abbc", "abcbc"}, []string{"ab", "acb", "abcb"}},
		{"a*a", []string{"aa", "aba"}, []string{"a"}},
		{"ab*ba", []string{"abba"}, []string{"aba"}},
		{"*a*", []string{"a", "bab"}, []string{"", "b"}},
		{"a**b", []string{"ab", "axb"}, []string{"a"}},
		{"a?[b", []string{"a?[b"}, []string{"axb"}},
	} {
		for _, s := range c.fit {
			if !glob(c.pattern, s) {
				t.Errorf("%q does not fit %q", s, c.pattern)
			}
		}
		for _, s := range c.not {
			if glob(c.pattern, s) {
				t.Errorf("%q fits %q", s, c.pattern)
			}
		}
	}
	// Many stars take no time that matters: this would not end.
	if glob(strings.Repeat("a*", 300)+"b", strings.Repeat("a", 1000)) {
		t.Error("fits")
	}
}

func mustPattern(t *testing.T, s string) *pattern {
	t.Helper()
	p, err := parsePattern(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return p
}

func TestPatternFits(t *testing.T) {
	pinned := "@" + someDigest.String()
	for _, c := range []struct {
		pattern string
		fit     []string
		not     []string
	}{
		{"docker.io/library/nginx",
			[]string{"docker.io/library/nginx:1.27", "docker.io/library/nginx:latest", "docker.io/library/nginx" + pinned},
			[]string{
				"nginx.evil.example/library/nginx:1.27", "docker.io.evil.example/library/nginx:1", "docker.io/library/nginx-evil:1",
				"docker.io/library/nginx/x:1", "docker.io/evil/library/nginx:1", "docker.io:443/library/nginx:1", "evil.example/docker.io/library/nginx:1",
			}},
		{"registry.example/team/**",
			[]string{"registry.example/team/a:1", "registry.example/team/a/b/c:1", "REGISTRY.example/team/a:1", "registry.example/team/a" + pinned},
			[]string{
				"registry.example/team:1", "registry.example/teams/a:1", "registry.example/other/team/a:1", "registry.example:5000/team/a:1",
				"registry.example.evil.example/team/a:1", "xregistry.example/team/a:1",
			}},
		{"registry.example/team/*",
			[]string{"registry.example/team/a:1", "registry.example/team/a" + pinned},
			[]string{"registry.example/team/a/b:1", "registry.example/team:1"}},
		{"registry.example/**/app",
			[]string{"registry.example/a/app:1", "registry.example/a/b/app:1"},
			[]string{"registry.example/app:1", "registry.example/a/myapp:1", "registry.example/a/app/x:1"}},
		{"registry.example:5000/*/app-*:1.*",
			[]string{"registry.example:5000/t/app-x:1.2", "registry.example:5000/t/app-x:1."},
			[]string{
				"registry.example/t/app-x:1.2", "registry.example:5000/t/app-x:1", "registry.example:5000/t/app-x:2.1.0",
				"registry.example:50001/t/app-x:1.2", "registry.example:5000/t/app:1.2", "registry.example:5000/t/app-x" + pinned,
			}},
		{"[2001:db8::1]:5000/a", []string{"[2001:db8::1]:5000/a:1"}, []string{"[2001:db8::1]/a:1", "[2001:db8::2]:5000/a:1"}},
		{"localhost/a", []string{"localhost/a:1"}, []string{"localhost:5000/a:1", "docker.io/localhost/a:1"}},
		{"registry.example/a" + pinned, []string{"registry.example/a:1", "registry.example/a" + pinned}, nil},
		{"registry.example/a@" + otherDigest.String(), nil, []string{"registry.example/a:1", "registry.example/a" + pinned}},
		{"registry.example/a:1" + pinned, []string{"registry.example/a:1"}, []string{"registry.example/a:2", "registry.example/a" + pinned}},
		{"**", []string{"docker.io/library/nginx:1", "a.b/c/d/e" + pinned}, nil},
		{"**:latest", []string{"docker.io/library/nginx:latest"}, []string{"docker.io/library/nginx:1", "docker.io/library/nginx" + pinned}},
	} {
		p := mustPattern(t, c.pattern)
		look := func(s string) bool {
			n, err := parseName(Image{Name: s, Digest: someDigest})
			if err != nil {
				t.Fatalf("%s: %v", s, err)
			}
			return p.fits(n, false)
		}
		for _, s := range c.fit {
			if !look(s) {
				t.Errorf("%q does not fit %q", s, c.pattern)
			}
		}
		for _, s := range c.not {
			if look(s) {
				t.Errorf("%q fits %q", s, c.pattern)
			}
		}
	}
}

func TestDenying(t *testing.T) {
	for _, c := range []struct {
		pattern, name    string
		attached, denied bool
	}{
		{"evil.example/**", "evil.example/a:1", false, true},
		{"evil.example/**", "EVIL.example:443/a:1", false, true},
		{"evil.example/**", "evil.example:5000/a:1", false, true},
		{"evil.example:5000/**", "evil.example/a:1", false, false},
		{"[2001:db8::1]/**", "[2001:db8::1]:5000/a:1", false, true},
		{"evil.example/**", "evil.example/a:sha256-x.sig", true, true},
		{"**:latest", "good.example/a:latest", true, false},
		{"**:latest", "good.example/a:latest", false, true},
	} {
		n, err := parseName(Image{Name: c.name, Digest: someDigest, Attached: c.attached})
		if err != nil {
			t.Fatal(err)
		}
		if got := mustPattern(t, c.pattern).fits(n, true); got != c.denied {
			t.Errorf("%s denies %s: %v", c.pattern, c.name, got)
		}
	}
}

// Names that are not written out in full are no names of a bundle.
func TestNamesInFull(t *testing.T) {
	for _, s := range []string{"", "nginx", "library/nginx:1", "docker.io/nginx:1", "registry.example/../a:1", "registry.example/A:1", "registry.example/a:1 ", "https://registry.example/a"} {
		if n, err := parseName(Image{Name: s, Digest: someDigest}); err == nil {
			t.Errorf("%q is a name: %+v", s, n)
		}
	}
}

func TestCovers(t *testing.T) {
	pinned := "@" + someDigest.String()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"**", "a.b/c", true},
		{"**", "**:1", true},
		{"**:1", "**", false},
		{"a.b/**", "**", false},
		{"a.b/**", "a.b/c/*", true},
		{"a.b/*", "a.b/**", false},
		{"a.b/**", "a.b/**", true},
		{"a.b/*", "a.b/c", true},
		{"a.b/c*", "a.b/cd*", true},
		{"a.b/cd*", "a.b/c*", false},
		{"a.b/**", "a.b:5000/c", false},
		{"a.b/c", "a.b/c:1", true},
		{"a.b/c:1", "a.b/c", false},
		{"a.b/c:*", "a.b/c", false},
		{"a.b/c:1*", "a.b/c:1.2*", true},
		{"a.b/c", "a.b/c" + pinned, true},
		{"a.b/c" + pinned, "a.b/c", false},
	} {
		if got := mustPattern(t, c.a).covers(mustPattern(t, c.b)); got != c.want {
			t.Errorf("%s covers %s: %v", c.a, c.b, got)
		}
	}
}
