//go:build unix

package verify_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"bale/bundle/fault"
	"bale/verify"
)

func TestExposedState(t *testing.T) {
	for name, c := range map[string]struct {
		file, dir os.FileMode
		text      string
	}{
		"private":           {0o600, 0o700, ""},
		"others may read":   {0o644, 0o755, ""},
		"group writes":      {0o660, 0o700, "others may write"},
		"all write":         {0o602, 0o700, "others may write"},
		"no file":           {0, 0o700, ""},
		"folder of a group": {0o600, 0o770, "others may replace"},
		"folder for all":    {0, 0o777, "others may replace"},
		"sticky folder":     {0o600, 0o777 | os.ModeSticky, ""},
	} {
		dir := filepath.Join(t.TempDir(), "d")
		s := verify.NewState(filepath.Join(dir, "loaded.json"))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if c.file != 0 {
			record(t, s, edge(7))
			if err := os.Chmod(s.Path(), c.file); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(dir, c.dir); err != nil {
			t.Fatal(err)
		}
		if got := s.Exposed(); !strings.Contains(got, c.text) || c.text == "" && got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// A pipe would block, and a link would be replaced by a file.
func TestPipeAndLinkAreNoState(t *testing.T) {
	s := newState(t)
	record(t, s, edge(7))
	pipe := verify.NewState(filepath.Join(t.TempDir(), "pipe"))
	if err := syscall.Mkfifo(pipe.Path(), 0o600); err != nil {
		t.Fatal(err)
	}
	link := verify.NewState(filepath.Join(t.TempDir(), "link"))
	if err := os.Symlink(s.Path(), link.Path()); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*verify.State{pipe, link} {
		if _, _, err := s.Last("edge"); !errors.Is(err, fault.ErrDamaged) {
			t.Errorf("%s: %v", s.Path(), err)
		}
		if _, err := s.Record(t.Context(), edge(8), nil); !errors.Is(err, fault.ErrDamaged) {
			t.Errorf("%s: %v", s.Path(), err)
		}
	}
	last(t, s, edge(7))
}

func TestNewStateIsPrivate(t *testing.T) {
	s := newState(t)
	record(t, s, edge(7))
	if err := os.Chmod(s.Path(), 0o666); err != nil {
		t.Fatal(err)
	}
	record(t, s, edge(8)) // closes it again
	for path, want := range map[string]os.FileMode{s.Path(): 0o600, filepath.Dir(s.Path()): 0o700} {
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, fi.Mode(), err)
		}
	}
}
