package bale

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"bale/bundle"
	"bale/bundle/fault"
)

// Resign writes the bundle to out with these signatures in place of its own;
// they must be arranged, see [bundle.ArrangeSignatures]. What was written is
// looked at again: its SHA256SUMS is the one that was signed.
func (f *File) Resign(ctx context.Context, out interface {
	io.Writer
	io.ReaderAt
	Size() int64
}, arranged []bundle.Signature) error {
	if err := f.envelope.Resign(ctx, out, arranged); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	e, err := bundle.Scan(ctx, out, out.Size())
	if err != nil {
		return fmt.Errorf("%s: read back what was written: %w", f.name, err)
	}
	same := func(a, b bundle.Signature) bool { return a.Entry == b.Entry && bytes.Equal(a.Data, b.Data) }
	if !bytes.Equal(e.Sums(), f.envelope.Sums()) || !slices.EqualFunc(e.Signatures(), arranged, same) {
		return errChanged(f.name)
	}
	return nil
}

// Unchanged fails if there is another file at the path now, or this one was
// written to since it was opened.
func (f *File) Unchanged() error {
	now, err := os.Stat(f.name)
	if err != nil {
		return err
	}
	if !os.SameFile(now, f.info) || now.Size() != f.info.Size() || !now.ModTime().Equal(f.info.ModTime()) {
		return errChanged(f.name)
	}
	return nil
}

// Info returns what the system said of the file when it was opened.
func (f *File) Info() os.FileInfo { return f.info }

func errChanged(name string) error {
	return fault.WithHint(fmt.Errorf("%s: somebody else wrote to it meanwhile", name), "run the command again")
}
