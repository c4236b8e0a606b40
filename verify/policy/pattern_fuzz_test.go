package policy

import (
	"strings"
	"testing"
)

// FuzzPattern makes sure that a rule which is called unreachable is, that a name
// fits itself, and that no pattern reaches beyond its host.
func FuzzPattern(f *testing.F) {
	for _, s := range [][3]string{
		{"**", "a.b/**:1*", "a.b/c/d:1.2"},
		{"a.b/**", "a.b/c*/**", "a.b/cd/e:1"},
		{"a.b/*/x", "a.b/**/x", "a.b/c/x:1"},
		{"a.b:5000/*:*", "a.b:5000/c:1", "a.b:5000/c:1"},
		{"docker.io/library/*", "docker.io/library/n*x:1.*", "docker.io/library/nginx:1.27"},
		{"[2001:db8::1]:5000/**", "[2001:db8::1]:5000/a", "[2001:db8::1]:5000/a:1"},
	} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, a, b, text string) {
		if len(a)+len(b)+len(text) > 4096 {
			return
		}
		n, err := parseName(Image{Name: text, Digest: someDigest})
		if err != nil {
			return
		}
		if p, err := parsePattern(text); err == nil && !strings.Contains(text, "@") && !p.fits(n, false) {
			t.Errorf("%q does not fit itself", text)
		}
		p, err := parsePattern(a)
		if err != nil {
			return
		}
		if p.fits(n, false) && !p.any && !strings.EqualFold(p.host, n.host) {
			t.Errorf("%q fits %q", text, a)
		}
		if p.fits(n, false) && !p.fits(n, true) {
			t.Errorf("%q allows %q, and does not deny it", a, text)
		}
		q, err := parsePattern(b)
		if err != nil {
			return
		}
		if p.covers(q) && q.fits(n, false) && !p.fits(n, false) {
			t.Errorf("%q covers %q, and %q fits only that", a, b, text)
		}
	})
}
