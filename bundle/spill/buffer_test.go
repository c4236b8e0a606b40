package spill

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

func TestBuffer(t *testing.T) {
	data := make([]byte, 10_000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(data)
	for _, limit := range []int{1, 999, 1000, 1001, 9_999, 10_000, 0} {
		dir := t.TempDir()
		b := &Buffer{Dir: dir, Limit: limit}
		for rest := data; len(rest) > 0; rest = rest[1000:] {
			if n, err := b.Write(rest[:1000]); n != 1000 || err != nil {
				t.Fatal(n, err)
			}
		}
		if spilled := limit > 0 && limit < len(data); (b.file != nil) != spilled {
			t.Errorf("limit %d: spilled %v", limit, b.file != nil)
		}
		one, two := b.Reader(), b.Reader()
		if _, err := io.CopyN(io.Discard, one, 5); err != nil {
			t.Fatal(err)
		}
		for i, want := range [][]byte{data[5:], data} {
			got, err := io.ReadAll([]io.Reader{one, two}[i])
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("limit %d: %d bytes, %v", limit, len(got), err)
			}
		}
		if b.Len() != int64(len(data)) {
			t.Errorf("limit %d: length %d", limit, b.Len())
		}
		if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
			t.Errorf("limit %d: the folder has %v %v", limit, list, err)
		}
		for range 2 {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestEmptyBuffers(t *testing.T) {
	for _, b := range []*Buffer{nil, {}} {
		if got, err := io.ReadAll(b.Reader()); b.Len() != 0 || len(got) > 0 || err != nil {
			t.Errorf("%d %q %v", b.Len(), got, err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestNoScratchFolder(t *testing.T) {
	b := &Buffer{Dir: filepath.Join(t.TempDir(), "none"), Limit: 3}
	if _, err := b.Write([]byte("123")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Write([]byte("4")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if got, err := io.ReadAll(b.Reader()); string(got) != "123" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}
