package ssh

import (
	"strings"
	"testing"
	"time"
)

func TestMatchList(t *testing.T) {
	for _, c := range []struct {
		list string
		want bool
	}{
		{"file", true}, {"git", false}, {"git,file", true}, {"f*", true}, {"*", true}, {"f?le", true}, {"????", true},
		{"?????", false}, {"*e", true}, {"*le*", true}, {"f*l*e", true}, {"*f", false}, {"*,!file", false},
		{"!file,*", false}, {"!git,*", true}, {"!git", false}, {"!f*,file", false}, {"", false}, {",", false},
		{"FILE", false}, {"file ", false}, {"[f]ile", false}, {"file*", true}, {"file?", false}, {"**", true}, {"!", false},
	} {
		if got := matchList("file", c.list); got != c.want {
			t.Errorf("%q takes file: %v", c.list, got)
		}
	}
	// No pattern takes forever.
	if match(strings.Repeat("a", 1<<12), strings.Repeat("*a", 1<<11)+"b") {
		t.Error("matches")
	}
}

func TestParseTime(t *testing.T) {
	local := func(y int, m time.Month, d, h, min, s int) time.Time {
		return time.Date(y, m, d, h, min, s, 0, time.Local)
	}
	for text, want := range map[string]time.Time{
		"20240229":          local(2024, 2, 29, 0, 0, 0),
		"202402291530":      local(2024, 2, 29, 15, 30, 0),
		"20240229153059":    local(2024, 2, 29, 15, 30, 59),
		"20240229Z":         time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC),
		"20240229153059z":   time.Date(2024, 2, 29, 15, 30, 59, 0, time.UTC),
		"202402291530UTC":   time.Date(2024, 2, 29, 15, 30, 0, 0, time.UTC),
		"20240229153059utc": time.Date(2024, 2, 29, 15, 30, 59, 0, time.UTC),
	} {
		if got, err := parseTime(text); err != nil || !got.Equal(want) {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "Z", "2024", "20230229", "20241301", "202402292460", "2024-02-29", "+20240229", "19700101Z", "19600101", "2024022915305", "20240229ZZ", "20240229 Z", "forever"} {
		if got, err := parseTime(text); err == nil {
			t.Errorf("%q is %s", text, got)
		}
	}
}

func TestPermits(t *testing.T) {
	at := func(text string) time.Time {
		got, err := parseTime(text)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	k := one(t, `alice valid-after="20240101Z",valid-before="20250101Z" `+bare(t, "ed25519"))
	for text, want := range map[string]string{
		"20231231235959Z": "not valid before 2024-01-01T00:00:00Z",
		"20240101Z":       "",
		"20240601Z":       "",
		"20250101Z":       "", // as in OpenSSH
		"20250101000001Z": "not valid after 2025-01-01T00:00:00Z",
	} {
		err := k.Permits(at(text))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := one(t, `alice namespaces="git,mail" `+bare(t, "ed25519")).Permits(time.Now()); err == nil || !strings.Contains(err.Error(), `"git,mail"`) {
		t.Error(err)
	}
}

func TestSplitOptions(t *testing.T) {
	for text, want := range map[string]string{
		`a`:               `a`,
		`a,b`:             `a|b`,
		`a="x,y",b`:       `a="x,y"|b`,
		`a="x\",y",b="z"`: `a="x\",y"|b="z"`,
	} {
		got, err := splitOptions(text)
		if err != nil || strings.Join(got, "|") != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{`"x"`: `x`, `""`: ``, `"a\"b"`: `a"b`, `"a\b"`: `a\b`} {
		if got, err := unquote(text); err != nil || got != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{``, `"`, `x`, `x"`, `"x`, `"x\"`, `"x"y`, `"x"y"`} {
		if got, err := unquote(text); err == nil {
			t.Errorf("%s: %q", text, got)
		}
	}
}
