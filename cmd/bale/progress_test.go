package main

import (
	"strings"
	"testing"
	"time"
)

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 9940: "9.9 kB", 9960: "10 kB", 999_499: "999 kB", 999_500: "1.0 MB",
		2_120_192: "2.1 MB", 1_500_000_000: "1.5 GB", 1 << 62: "4611686 TB",
	} {
		if got := size(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

// In a log there is a line for each phase, and in long ones a line now and
// then with rate and time left.
func TestPlainProgress(t *testing.T) {
	var b strings.Builder
	now := time.Unix(0, 0)
	a := &app{streams: streams{err: &b}}
	m := a.progress()
	m.now = func() time.Time { return now }
	m.Phase("plan", 0)
	m.Phase("copy", 100_000_000)
	for range 100 { // 1 MB a second
		now = now.Add(time.Second)
		m.Add(1_000_000)
	}
	m.Phase("commit", 0)
	m.finish()
	m.Add(1) // after the end, which nobody should see
	got := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(got) != 2+10+1 || got[0] != "plan" || got[1] != "copy: 100 MB" || got[12] != "commit" {
		t.Fatalf("%q", got)
	}
	if want := "copy: 50 MB of 100 MB (50 %), 1.0 MB/s, 50s left"; got[6] != want {
		t.Errorf("%q, want %q", got[6], want)
	}

	// However slow it is, there is a line a minute.
	b.Reset()
	m.Phase("analyse", 1_000_000_000)
	for range 180 {
		now = now.Add(time.Second)
		m.Add(1000)
	}
	m.finish()
	if got := strings.Count(b.String(), "\n"); got != 1+3 || !strings.Contains(b.String(), "analyse: 120 kB of 1.0 GB (0 %), 1.0 kB/s, ") {
		t.Errorf("%q", b.String())
	}

	// Nothing of that with --quiet, nor beside JSON.
	for _, a := range []*app{{quiet: true}, {json: true}} {
		b.Reset()
		a.err = &b
		m := a.progress()
		m.Phase("copy", 10)
		m.Add(10)
		m.finish()
		if b.Len() > 0 {
			t.Errorf("%+v: %q", a, b.String())
		}
	}
}
