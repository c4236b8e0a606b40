package tarfile

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"bale/bundle/commit"
	"bale/bundle/fault"
)

const block = 512 // of a tar, in bytes

// Stdin is the path that stands for what comes through a pipe.
const Stdin = "-"

// OpenFile opens a tar, which may be compressed by gzip or Zstandard, to be read
// anywhere in it, and returns how many bytes it has. With the path [Stdin] it is
// what stdin gives. What is compressed, or no regular file, is copied first, as
// [Spool] does. where is what errors call it. A file that is not there is a
// [fault.ErrMissing].
func OpenFile(ctx context.Context, path string, stdin io.Reader, where string) (*os.File, int64, error) {
	if path == Stdin {
		if stdin == nil {
			return nil, 0, fault.Usage("%s: there is no standard input to read", where)
		}
		return Spool(ctx, stdin, where)
	}
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, 0, fault.WithHint(fault.Missing("%s: there is no such file", where), "check the path")
	case err != nil:
		return nil, 0, fmt.Errorf("%s: %w", where, err)
	case fi.IsDir():
		return nil, 0, fault.WithHint(fault.Usage("%s: a folder", where), "an OCI layout in a folder is written oci:DIR")
	case !fi.Mode().IsRegular():
		return spool(ctx, where, func() (io.ReadCloser, error) { return os.Open(path) })
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", where, err)
	}
	packed, err := isPacked(f)
	if err == nil && !packed {
		return f, fi.Size(), nil
	}
	defer func() { _ = f.Close() }() // only read from
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", where, err)
	}
	return Spool(ctx, f, where)
}

func isPacked(f *os.File) (bool, error) {
	head := make([]byte, HeadSize)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return Detect(head[:n]) != None, nil
}

// Spool copies a tar, which may be compressed, to a file that has no name in
// the system's folder for temporary files. The caller closes that; r stays open.
// If ctx ends, r may be read from once more.
func Spool(ctx context.Context, r io.Reader, where string) (*os.File, int64, error) {
	return spool(ctx, where, func() (io.ReadCloser, error) { return io.NopCloser(r), nil })
}

// spool copies what open opens. That, and each read, may wait for whoever
// writes into a pipe; we do not, once ctx has ended.
func spool(ctx context.Context, where string, open func() (io.ReadCloser, error)) (*os.File, int64, error) {
	type result struct {
		f    *os.File
		size int64
		err  error
	}
	done := make(chan result)
	go func() {
		f, size, err := copied(ctx, where, open)
		select {
		case done <- result{f, size, err}:
		case <-ctx.Done():
			if f != nil {
				_ = f.Close() // nobody wants its content any more
			}
		}
	}()
	select {
	case r := <-done:
		return r.f, r.size, r.err
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
}

func copied(ctx context.Context, where string, open func() (io.ReadCloser, error)) (*os.File, int64, error) {
	r, err := open()
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", where, err)
	}
	defer func() { _ = r.Close() }() // only read from
	f, err := commit.Scratch("")
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", where, err)
	}
	size, err := fill(ctx, f, r, where)
	if err != nil {
		_ = f.Close() // its content is of no use any more
		return nil, 0, err
	}
	return f, size, nil
}

// fill writes to f the tar that r is, unpacked.
func fill(ctx context.Context, f *os.File, r io.Reader, where string) (int64, error) {
	return unpack(ctx, f, r, where, func(first []byte) error {
		// Not everything that was compressed is a tar, and it may be long.
		if _, err := tar.NewReader(bytes.NewReader(first)).Next(); errors.Is(err, tar.ErrHeader) {
			return fault.Damaged("%s: not a tar: %w", where, err)
		}
		return nil
	})
}

// Unpack writes to w, a temporary file, what r decompresses to; r is read to its
// end. where is what errors call it.
func Unpack(ctx context.Context, w io.Writer, r io.Reader, where string) (int64, error) {
	return unpack(ctx, w, r, where, func([]byte) error { return nil })
}

func unpack(ctx context.Context, w io.Writer, r io.Reader, where string, check func(first []byte) error) (int64, error) {
	packed := &watched{ctx: ctx, r: r}
	in := bufio.NewReader(packed)
	head, err := in.Peek(HeadSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("%s: %w", where, err)
	}
	raw := &watched{ctx: ctx, r: in}
	switch c := Detect(head); c {
	case None:
	case Gzip, Zstd:
		z, err := c.Unpack(in)
		if err != nil {
			return 0, unpackError(where, packed, err)
		}
		defer func() { _ = z.Close() }() // only read from
		raw.r = z
	default:
		return 0, fault.WithHint(fault.Unsupported("%s: compressed by bzip2 or xz", where),
			"unpack it first, with bzip2 -d or xz -d, or compress it with gzip or zstd")
	}
	first := make([]byte, block)
	n, _ := io.ReadFull(raw, first) // it may be shorter; raw keeps what is an error
	if raw.err == nil {
		if err := check(first[:n]); err != nil {
			return 0, err
		}
	}
	whole := io.LimitReader(io.MultiReader(bytes.NewReader(first[:n]), raw), MaxSpooled+1)
	size, err := io.Copy(w, whole)
	if err == nil && size <= MaxSpooled {
		_, err = io.Copy(io.Discard, in) // a decompressor may stop early
	}
	switch {
	case raw.err != nil:
		return 0, unpackError(where, packed, raw.err)
	case packed.err != nil:
		return 0, unpackError(where, packed, packed.err)
	case err != nil:
		return 0, fault.WithHint(fmt.Errorf("%s: keep it unpacked: %w", where, err),
			"set TMPDIR to a folder with more room than %s has", os.TempDir())
	case size > MaxSpooled:
		return 0, fault.Unsupported("%s: more than %d bytes", where, int64(MaxSpooled))
	}
	return size, nil
}

// unpackError tells an archive that is damaged from one that cannot be read.
func unpackError(where string, packed *watched, err error) error {
	if packed.err != nil {
		return fmt.Errorf("%s: read: %w", where, packed.err)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fault.Damaged("%s: unpack: %w", where, err)
}

// watched ends with its context, and remembers how reading failed.
type watched struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		w.err = err
		return 0, err
	}
	n, err := w.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}
