//go:build unix

package tarfile_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"bale/transport/tarfile"
)

func TestPipe(t *testing.T) {
	content := oneFile(t, "a", []byte("content"))
	path := filepath.Join(t.TempDir(), "pipe")
	must(t, syscall.Mkfifo(path, 0o600))
	done := make(chan error)
	go func() {
		w, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err == nil {
			_, err = w.Write(content)
			err = errors.Join(err, w.Close())
		}
		done <- err
	}()
	f, size, err := tarfile.OpenFile(t.Context(), path, nil, "test")
	must(t, err)
	defer func() { _ = f.Close() }()
	if got, err := io.ReadAll(io.NewSectionReader(f, 0, size)); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes of other content, %v", len(got), err)
	}
	must(t, <-done)
}

// Nobody writes into the pipe, not even after breaking off.
func TestPipeWithoutWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	must(t, syscall.Mkfifo(path, 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, _, err := tarfile.OpenFile(ctx, path, nil, "test")
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
	// Whoever still waits for a writer is let go.
	w, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	must(t, w.Close())
}
