package transport

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"bale/bundle/commit"
	"bale/bundle/fault"
)

// inMemory is up to which size a blob is kept in memory instead of a file.
const inMemory = 1 << 20

// spool holds a blob that was fetched: in memory if it is small, else in a
// file without a name.
type spool struct {
	data []byte
	file *os.File
	size int64
}

// fill reads a blob to its verified end.
func (s *spool) fill(ctx context.Context, i *item, dir string, t *tally) error {
	rc, err := i.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = rc.Close() }() // only read from
	in := counting{rc, func(n int64) { t.count(n, i.desc.Size, fetchPasses) }}
	s.size = i.desc.Size
	if s.size <= inMemory {
		s.data, err = io.ReadAll(in)
		return err
	}
	if s.file, err = commit.Scratch(dir); err != nil {
		return spoolError(dir, err)
	}
	_, err = io.Copy(spoolWriter{s.file, dir}, in)
	return err
}

// open reads what is there, from its beginning, as often as is wanted.
func (s *spool) open() io.ReadCloser {
	if s.file != nil {
		return io.NopCloser(io.NewSectionReader(s.file, 0, s.size))
	}
	return io.NopCloser(bytes.NewReader(s.data))
}

func (s *spool) free() {
	if s.file != nil {
		_ = s.file.Close() // an unnamed file that nobody needs any more
		s.file = nil
	}
	s.data = nil
}

// spoolWriter tells errors of writing a spool from those of the source.
type spoolWriter struct {
	f   *os.File
	dir string
}

func (w spoolWriter) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	return n, spoolError(w.dir, err)
}

func spoolError(dir string, err error) error {
	if err == nil {
		return nil
	}
	if dir == "" {
		dir = os.TempDir()
	}
	return &Error{Side: AtSpool, Object: dir, Err: fault.WithHint(fmt.Errorf("keep what is fetched ahead: %w", err),
		"make sure that %s can be written to and has room", dir)}
}
