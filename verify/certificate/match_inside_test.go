package certificate

import "testing"

// All of a text must match, whatever the expression tries.
func TestRegexpIsAnchored(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"alice", "alice", true},
		{"alice", "malice", false},
		{"alice", "alice2", false},
		{"alice|bob", "bob", true},
		{"alice|bob", "bobby", false},
		{"alice|bob", "malice", false},
		{"^alice$", "alice", true},
		{"(?m)^alice$", "x\nalice\ny", false},
		{"alice", "alice\n", false},
		{"(?m)alice$", "alice\n", false},
		{"(?i)alice", "ALICE", true},
		{".*", "", true},
		{".*", "a\nb", false},
		{"a*?", "aaa", true},
	} {
		match, err := compile("identity", "", c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if match(c.text) != c.want {
			t.Errorf("%q and %q: %v", c.pattern, c.text, !c.want)
		}
	}
}
