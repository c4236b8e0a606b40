//go:build unix

package commit_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"bale/bundle/commit"
)

// The superuser hands on owner and group; others hand on what they may.
func TestOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("before"), 0o640); err != nil {
		t.Fatal(err)
	}
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = 12345, 12346
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	of, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := commit.Create(path, commit.Overwrite())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Discard()
	if !c.Owner(of) {
		t.Error("it has not the owner of the file before")
	}
	if err := c.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if s := fi.Sys().(*syscall.Stat_t); int(s.Uid) != uid || int(s.Gid) != gid || fi.Mode().Perm() != 0o640 || fi.Size() != 0 {
		t.Errorf("owner %d, group %d, mode %s, %d bytes", s.Uid, s.Gid, fi.Mode(), fi.Size())
	}
}
