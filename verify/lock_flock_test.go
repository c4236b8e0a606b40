//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package verify_test

import "testing"

// A process that was killed holds nothing.
func TestKilledProcessHoldsNothing(t *testing.T) {
	s := newState(t)
	record(t, s, edge(7))
	cmd, out, _ := helper(t, "reserve", s.Path())
	if line, err := out.ReadString('\n'); err != nil || line != "reserved\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	release, err := s.Reserve(t.Context(), "edge", nil)
	if err != nil {
		t.Fatal(err)
	}
	release()
	onlyFile(t, s)
}
