// Package spill holds bytes that are few as a rule and many at times: in
// memory up to a limit, beyond it in a scratch file.
package spill

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"bale/bundle/commit"
)

// Limit is how many bytes a [Buffer] keeps in memory, unless told otherwise.
const Limit = 4 << 20

// Buffer is written once and then read as often as needed. It is not safe for
// concurrent use while it is written. The zero value is ready for use; a nil
// Buffer is an empty one that is only read.
type Buffer struct {
	Dir   string // for the scratch file; "" is the system's folder
	Limit int    // bytes kept in memory; 0 is the constant Limit

	mem  []byte
	file *os.File // takes all, once there is too much for memory
	size int64
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	if b.file == nil {
		if len(b.mem)+len(p) <= b.limit() {
			b.mem = append(b.mem, p...)
			b.size += int64(len(p))
			return len(p), nil
		}
		if err := b.spill(); err != nil {
			return 0, err
		}
	}
	n, err := b.file.Write(p)
	b.size += int64(n)
	if err != nil {
		return n, fmt.Errorf("write a temporary file: %w", err)
	}
	return n, nil
}

func (b *Buffer) limit() int {
	if b.Limit > 0 {
		return b.Limit
	}
	return Limit
}

// spill moves to a file what is in memory.
func (b *Buffer) spill() error {
	f, err := commit.Scratch(b.Dir)
	if err != nil {
		return err
	}
	if _, err := f.Write(b.mem); err != nil {
		_ = f.Close() // the first error says more
		return fmt.Errorf("write a temporary file: %w", err)
	}
	b.file, b.mem = f, nil
	return nil
}

// Len returns how many bytes were written.
func (b *Buffer) Len() int64 {
	if b == nil {
		return 0
	}
	return b.size
}

// Reader returns a reader of all bytes; several may be used at a time, until Close.
func (b *Buffer) Reader() io.Reader {
	if b == nil {
		return bytes.NewReader(nil)
	}
	if b.file != nil {
		return io.NewSectionReader(b.file, 0, b.size)
	}
	return bytes.NewReader(b.mem)
}

// Close frees memory and file.
func (b *Buffer) Close() error {
	if b == nil {
		return nil
	}
	b.mem, b.size = nil, 0
	if b.file == nil {
		return nil
	}
	f := b.file
	b.file = nil
	return f.Close()
}
