package container

import (
	"fmt"
	"io"
	"time"
)

// Writer writes a container front to back. It is not safe for concurrent use.
// After an error it must not be used further.
type Writer struct {
	w        io.Writer
	modified time.Time
	size     int64
}

// NewWriter returns a Writer whose entries all carry one modification time, of
// which whole seconds count.
func NewWriter(w io.Writer, modified time.Time) (*Writer, error) {
	modified = modified.UTC().Truncate(time.Second)
	if s := modified.Unix(); s < 0 || s > MaxTime {
		return nil, fmt.Errorf("time %s cannot be written to a tar header", modified.Format(time.RFC3339))
	}
	return &Writer{w: w, modified: modified}, nil
}

// Add writes one entry.
func (w *Writer) Add(name string, data []byte) error {
	h, err := header(name, int64(len(data)), w.modified)
	if err != nil {
		return err
	}
	for _, p := range [][]byte{h, data, make([]byte, padding(int64(len(data))))} {
		if err := w.write(p); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the archive. It does not close the underlying writer.
func (w *Writer) Close() error { return w.write(make([]byte, trailerSize)) }

// Size returns how many bytes were written.
func (w *Writer) Size() int64 { return w.size }

func (w *Writer) write(p []byte) error {
	n, err := w.w.Write(p)
	w.size += int64(n)
	return err
}
