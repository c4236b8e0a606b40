package kms

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"bale/sign"
)

func TestClean(t *testing.T) {
	t.Setenv("BALE_TEST_TOKEN", "value-of-a-token")
	t.Setenv("BALE_TEST_SECRET", "short")
	t.Setenv("BALE_TEST_TOKEN_FILE", "/run/secrets/token")
	for text, want := range map[string]string{
		"plain words: nothing to hide":                  "plain words: nothing to hide",
		"two\nlines\tand \x1b[31mred\u2028":             "two lines and [31mred",
		"GET https://u:p@host:8200/v1/x failed":         "GET https://***@host:8200/v1/x failed",
		"GET http://token@host/ failed":                 "GET http://***@host/ failed",
		"PUT https://host/a?X-Amz-Signature=12&b=c: no": "PUT https://host/a?*** no",
		`"https://host/a?x=y" no`:                       `"https://host/a?***" no`,
		"Authorization: Bearer abc.def":                 "Authorization ***",
		"it was value-of-a-token, short":                "it was ***, short",
		"jwt eyJhbGciOi.eyJzdWIi.c2ln end":              "jwt *** end",
		"token hvs.CAESIJabcdefghijklmnopqrst end":      "token *** end",
		"open /run/secrets/token: not there":            "open /run/secrets/token: not there",
		"mail somebody@example.org":                     "mail somebody@example.org",
		"\xff\xfe":                                      "?",
	} {
		if got := clean(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	if got := clean(strings.Repeat("ä", 1000)); len(got) > maxText+3 || !utf8.ValidString(got) {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

// FuzzClean: whatever is around it, the user and password of a URL, its query
// and the values of the environment do not come through, and what comes out is
// one short line.
func FuzzClean(f *testing.F) {
	const secret, value = "p4ssw0rd-in-url", "value-of-a-token"
	f.Setenv("BALE_TEST_TOKEN", value)
	for _, s := range []string{"", " ", "GET ", "\n", "\xff", "\u009b31m", "\u202e", "://", "@", "https://", "?", "\"", "bearer ", strings.Repeat("x", maxText-8)} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		if strings.Contains(before, secret) || strings.Contains(after, secret) {
			t.Skip()
		}
		for _, text := range []string{
			before + " https://user:" + secret + "@host/path" + after,
			before + " https://host/path?token=" + secret + " " + after,
			before + value + after,
		} {
			got := clean(text)
			if strings.Contains(got, secret) || strings.Contains(got, value) {
				t.Errorf("%q becomes %q", text, got)
			}
			if len(got) > maxText+3 || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) || !utf8.ValidString(got) {
				t.Errorf("%q becomes %q", text, got)
			}
		}
	})
}

// FuzzURI: what is taken for a URI names a program in PATH and nothing else.
func FuzzURI(f *testing.F) {
	for _, s := range []string{"hashivault://key", "pkcs11:x", "../x://y", "a/b://c", "A://b", "://", "", "x\n://y", "awskms:///alias/a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		err := check(s)
		if err != nil {
			return
		}
		if !IsURI(s) {
			t.Fatalf("%q is taken", s)
		}
		name := sign.URIScheme(s)
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789+-") != "" || !strings.HasPrefix(s, name+"://") {
			t.Fatalf("%q has the name %q", s, name)
		}
	})
}
