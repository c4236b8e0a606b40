package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/verify"
)

// A bundle's number is above those of its bases of the same name.
func TestPlaceNumber(t *testing.T) {
	base := func(name string, n uint64) bundle.Header { return bundle.Header{Name: name, Sequence: n} }
	for name, c := range map[string]struct {
		flags placeFlags
		bases []bundle.Header
		want  uint64
		fails bool
	}{
		"no name":                 {placeFlags{}, []bundle.Header{base("edge", 7), base("", 0)}, 0, false},
		"alone":                   {placeFlags{name: "edge"}, nil, 1, false},
		"after a base":            {placeFlags{name: "edge"}, []bundle.Header{base("edge", 7)}, 8, false},
		"after the highest":       {placeFlags{name: "edge"}, []bundle.Header{base("edge", 7), base("edge", 9), base("edge", 3)}, 10, false},
		"bases of other names":    {placeFlags{name: "edge"}, []bundle.Header{base("core", 7), base("", 0)}, 1, false},
		"as given":                {placeFlags{name: "edge", sequence: 12}, []bundle.Header{base("edge", 7), base("core", 70)}, 12, false},
		"as given, like a base":   {placeFlags{name: "edge", sequence: 7}, []bundle.Header{base("edge", 7)}, 0, true},
		"as given, below a base":  {placeFlags{name: "edge", sequence: 6}, []bundle.Header{base("core", 1), base("edge", 7)}, 0, true},
		"after the greatest":      {placeFlags{name: "edge"}, []bundle.Header{base("edge", bundle.MaxSequence)}, 0, true},
		"after a greater one yet": {placeFlags{name: "edge"}, []bundle.Header{base("edge", 1<<64-1)}, 0, true},
		"the greatest":            {placeFlags{name: "edge"}, []bundle.Header{base("edge", bundle.MaxSequence-1)}, bundle.MaxSequence, false},
	} {
		n, err := c.flags.number(c.bases)
		if n != c.want || c.fails != errors.Is(err, fault.ErrUsage) || !c.fails && err != nil {
			t.Errorf("%s: %d, %v, want %d", name, n, err, c.want)
		}
	}
}

// named is a bundle of the name edge.
func named(t *testing.T, dir, sequence string) string {
	t.Helper()
	file := filepath.Join(dir, sequence+".bale")
	mustRun(t, "save", "-q", "-o", file, "--key", testdata(t, "keys", forgeKey), "--name", "edge", "--sequence", sequence,
		"oci:"+testdata(t, "images", "busybox"))
	return file
}

// listener closes a channel when a text has been written to it.
type listener struct {
	text  string
	sofar strings.Builder
	heard chan struct{}
	done  bool
}

func (l *listener) Write(p []byte) (int, error) {
	l.sofar.Write(p)
	if !l.done && strings.Contains(l.sofar.String(), l.text) {
		l.done = true
		close(l.heard)
	}
	return len(p), nil
}

// Of two loads of one name the second waits, says so, and then knows what the
// first has loaded.
func TestLoadWaitsForAnother(t *testing.T) {
	dir := t.TempDir()
	six, seven := named(t, dir, "6"), named(t, dir, "7")
	state := filepath.Join(dir, "state", "loaded.json")
	t.Setenv(stateEnv, state)
	s := verify.NewState(state)
	release, err := s.Reserve(t.Context(), "edge", nil)
	if err != nil {
		t.Fatal(err)
	}
	// load starts one that has to wait, and returns when it says so.
	load := func() *process {
		p := &process{t: t, ended: make(chan struct{})}
		p.cmd = exec.Command("bale", "load", "-i", six, "--key", testdata(t, "keys", forgePub), "--name", "edge", "--to", "oci:"+filepath.Join(dir, "out"))
		said := &listener{text: "note: another bale loads edge", heard: make(chan struct{})}
		p.cmd.Stdout, p.cmd.Stderr = &p.out, io.MultiWriter(&p.errout, said)
		p.start()
		p.until("saying that it waits", said.heard)
		return p
	}

	brokenOff(t, load().signal(os.Interrupt))
	waits := load()
	// As the other load does in the end.
	mustRun(t, "load", "-q", "-i", seven, "--key", testdata(t, "keys", forgePub), "--to", "oci:"+filepath.Join(dir, "other"))
	release()
	o := waits.end()
	if o.refusal(exitUntrusted) != "" || strings.Count(o.errout, "note: another bale loads edge") != 1 {
		t.Errorf("exit %d, %s\n%s", o.code, o.refusal(exitUntrusted), o.errout)
	}
	if wrong := leftovers(filepath.Join(dir, "out")); wrong != "" {
		t.Error(wrong)
	}
	if wrong := leftovers(filepath.Dir(state), "loaded.json"); wrong != "" {
		t.Error(wrong)
	}
}

// Ctrl-C while images are loaded, or before they have names: nothing is
// remembered, and the bundle can be loaded again.
func TestInterruptedLoadIsNotRemembered(t *testing.T) {
	dir := t.TempDir()
	file := named(t, dir, "7")
	state := filepath.Join(dir, "state", "loaded.json")
	t.Setenv(stateEnv, state)
	far := newGate(t, moment{method: "PUT", path: `/manifests/[^/:]+$`})
	far.arm()
	args := []string{"load", "-i", file, "--key", testdata(t, "keys", forgePub), "--name", "edge", "--to", "docker://" + far.Addr}
	p := startBale(t, args...)
	p.until("the name", far.reached)
	brokenOff(t, p.signal(os.Interrupt))
	far.disarm()
	if wrong := leftovers(filepath.Dir(state)); wrong != "" {
		t.Error(wrong)
	}
	mustRun(t, args...)
	if l, ok, err := verify.NewState(state).Last("edge"); err != nil || !ok || l.Sequence != 7 {
		t.Errorf("remembered %+v, %v, %v", l, ok, err)
	}
}
