package commit_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/bundle/commit"
	"bale/bundle/fault"
)

// From whatever it is read, the file has all of it, and behind what was written
// before.
func TestReadFrom(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	dir := t.TempDir()
	from := filepath.Join(dir, "from")
	if err := os.WriteFile(from, content, 0o600); err != nil {
		t.Fatal(err)
	}
	want := append(append([]byte("begin"), content...), "end"...)
	for name, expect := range map[string]digest.Digest{
		"file": "", "file, expected": digest.FromBytes(want), "memory": "", "memory, expected": digest.FromBytes(want),
		"another, expected": digest.FromString("another"),
	} {
		t.Run(name, func(t *testing.T) {
			var r io.Reader = bytes.NewReader(content)
			if strings.HasPrefix(name, "file") {
				f, err := os.Open(from)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = f.Close() }()
				r = f
			}
			path := filepath.Join(t.TempDir(), "to")
			var opts []commit.Option
			if expect != "" {
				opts = append(opts, commit.Expect(expect, int64(len(want))))
			}
			c, err := commit.Create(path, opts...)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Discard()
			if _, err := c.Write([]byte("begin")); err != nil {
				t.Fatal(err)
			}
			if n, err := io.CopyN(c, r, int64(len(content))); err != nil || n != int64(len(content)) {
				t.Fatalf("%d bytes, %v", n, err)
			}
			if _, err := c.Write([]byte("end")); err != nil {
				t.Fatal(err)
			}
			if c.Size() != int64(len(want)) {
				t.Errorf("has %d bytes, want %d", c.Size(), len(want))
			}
			err = c.Commit(t.Context())
			if strings.HasPrefix(name, "another") {
				if !errors.Is(err, fault.ErrDamaged) {
					t.Errorf("committed: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

// An error names the file, not its temporary name.
func TestReadFromFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "to")
	c, err := commit.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	c.Discard()
	if _, err := c.ReadFrom(strings.NewReader("x")); err == nil || strings.Contains(err.Error(), ".tmp-") || !strings.Contains(err.Error(), path) {
		t.Errorf("after the end: %v", err)
	}
}
