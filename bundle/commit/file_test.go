package commit

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
)

// names returns what is in a folder, hidden files included.
func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

func create(t *testing.T, path string, opts ...Option) *File {
	t.Helper()
	f, err := Create(path, opts...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestCommitPublishesWhole(t *testing.T) {
	for name, opts := range map[string][]Option{"new": nil, "overwrite": {Overwrite()}, "private": {Perm(0o600)}} {
		dir := t.TempDir()
		path := filepath.Join(dir, "f")
		f := create(t, path, append(opts, Expect(digest.FromString("hello"), 5))...)
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: there before Commit: %v", name, err)
		}
		if err := f.Commit(context.Background()); err != nil {
			t.Fatal(err)
		}
		f.Discard() // does nothing now
		b, err := os.ReadFile(path)
		if err != nil || string(b) != "hello" || len(names(t, dir)) != 1 {
			t.Errorf("%s: %q %v %v", name, b, err, names(t, dir))
		}
		want := fs.FileMode(0o666) &^ umask(t)
		if name == "private" {
			want = 0o600
		}
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: mode %v %v", name, fi.Mode(), err)
		}
	}
}

// umask returns what the system takes from the bits of new files.
func umask(t *testing.T) fs.FileMode {
	t.Helper()
	path := filepath.Join(t.TempDir(), "probe")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return 0o666 &^ fi.Mode().Perm()
}

func TestFailuresLeaveNothing(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		opts []Option
		want error
	}{
		"wrong digest": {context.Background(), []Option{Expect(digest.FromString("x"), 5)}, fault.ErrDamaged},
		"wrong size":   {context.Background(), []Option{Expect(digest.FromString("hello"), 6)}, fault.ErrDamaged},
		"cancelled":    {cancelled, nil, context.Canceled},
		"discarded":    {nil, nil, nil},
	} {
		dir := t.TempDir()
		f := create(t, filepath.Join(dir, "f"), c.opts...)
		end := func() error { return f.Commit(c.ctx) }
		if c.ctx == nil {
			end = func() error { f.Discard(); return nil }
		}
		if err := end(); !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
		if n := names(t, dir); len(n) > 0 {
			t.Errorf("%s: left %v", name, n)
		}
		if err := f.Commit(context.Background()); err == nil {
			t.Errorf("%s: committed afterwards", name)
		}
	}
}

func TestExistingFileIsKept(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create: %v", err)
	}
	create(t, path, Overwrite()).Discard()
	if b, _ := os.ReadFile(path); string(b) != "old" {
		t.Errorf("discarded overwrite left %q", b)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := create(t, path, Overwrite()).Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o640 {
		t.Errorf("replaced, the file has mode %v %v", fi.Mode(), err)
	}
	if b, _ := os.ReadFile(path); string(b) != "hello" {
		t.Errorf("overwrite gave %q", b)
	}
}

// Somebody else may have made the file while we wrote ours.
func TestFileMadeMeanwhileIsKept(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	f := create(t, path)
	if err := os.WriteFile(path, []byte("theirs"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(context.Background()); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "theirs" || len(names(t, dir)) != 1 {
		t.Errorf("%q %v", b, names(t, dir))
	}
}

func TestCreateRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("file", link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, link, filepath.Join(dir, "no", "f"), filepath.Join(dir, "file", "f")} {
		if f, err := Create(path, Overwrite()); err == nil || f != nil {
			t.Errorf("%s: created", path)
		}
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := WriteFile(context.Background(), path, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(context.Background(), path, []byte("other")); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "hello" {
		t.Errorf("%q", b)
	}
}
