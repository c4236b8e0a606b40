package recipe

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// mount puts a small file system in the place of a folder.
func mount(t *testing.T, dir, size string) (readOnly func()) {
	t.Helper()
	skip := t.Skipf
	if os.Getenv("BALE_TEST_REQUIRE") == "all" {
		skip = t.Fatalf
	}
	if os.Geteuid() != 0 {
		skip("missing part: root for mounting a file system")
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		skip("missing part: the right to mount a file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return func() {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
	}
}

// A full disk costs nothing but what would have been remembered.
func TestFullDisk(t *testing.T) {
	top := t.TempDir()
	mount(t, top, "64k")
	dir, key := filepath.Join(top, "recipes"), filepath.Join(top, "key")
	s := again(t, dir, key)
	put(t, s, d1, 1, nil)
	for range 2 {
		if err := s.Put(context.Background(), d2, 1, entry(t, "p", 1, bytes.Repeat([]byte("full"), 50_000))); !errors.Is(err, syscall.ENOSPC) {
			t.Error(err)
		}
	}
	if n := names(t, dir); len(n) != 1 || get(t, s, d1, 1) != "true\n" {
		t.Errorf("left %v", n)
	}
}

func TestReadOnlyFolder(t *testing.T) {
	top := t.TempDir()
	readOnly := mount(t, top, "64k")
	dir, key := filepath.Join(top, "recipes"), filepath.Join(top, "key")
	put(t, again(t, dir, key), d1, 1, nil)
	if err := os.WriteFile(filepath.Join(dir, entryName(d2)), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	readOnly()
	s := again(t, dir, key)
	if got := get(t, s, d1, 1); got != "true\n" {
		t.Error(got)
	}
	if got := get(t, s, d2, 1); got != "false\n" {
		t.Error(got)
	}
	for range 2 {
		if err := s.Put(context.Background(), d2, 1, nil); !errors.Is(err, syscall.EROFS) {
			t.Error(err)
		}
	}
	if s, err := Open(filepath.Join(top, "other"), key); s != nil || err == nil {
		t.Errorf("%v %v", s, err)
	}
}

// A pipe would never end.
func TestPipeInTheFolder(t *testing.T) {
	s, _, _ := open(t)
	if err := syscall.Mkfifo(s.path(d1), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, d1, 1); got != "false\n" {
		t.Error(got)
	}
}
