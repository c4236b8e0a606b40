// Package commit is the one way in which bale publishes a file.
//
// A [File] is written under a temporary name in the folder of its final name
// and takes that name only when it is complete and on disk: flushed, closed
// without error, renamed, and the folder flushed too. Until then, and after
// any failure, nothing is at the final name that was not there before, and
// nothing is left beside it.
package commit

import (
	"context"
	_ "crypto/sha256" // digests are one of these two
	_ "crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
)

// File is a file on its way. The zero value is of no use; call [Create].
// It is not safe for concurrent use.
type File struct {
	f         *os.File
	path      string
	overwrite bool
	perm      fs.FileMode
	keep      fs.FileMode // of the file that is replaced; 0 if there is none
	want      digest.Digest
	wantSize  int64
	sum       hash.Hash // nil if nothing is expected
	size      int64
	done      bool
}

// Option changes how a file is created.
type Option func(*File)

// Overwrite lets Commit replace a file that is already at the path. Without
// it, Create and Commit fail with an error that wraps [fs.ErrExist].
func Overwrite() Option { return func(f *File) { f.overwrite = true } }

// Perm sets the permission bits of the file before umask; the default is 0666,
// as everywhere. A file that is replaced hands on its own bits, as far as these go.
func Perm(p fs.FileMode) Option { return func(f *File) { f.perm = p } }

// Expect lets Commit publish the file only if its content has this digest,
// which must be valid, and this size in bytes; else it fails with a
// [fault.ErrDamaged].
func Expect(d digest.Digest, size int64) Option {
	return func(f *File) { f.want, f.wantSize, f.sum = d, size, d.Algorithm().Hash() }
}

// Create starts a file that will be at path once it is committed.
func Create(path string, opts ...Option) (*File, error) {
	c := &File{path: path, perm: 0o666}
	for _, o := range opts {
		o(c)
	}
	if err := c.refuseExisting(); err != nil {
		return nil, err
	}
	f, err := createTemp(path, c.perm)
	if err != nil {
		return nil, fault.WithHint(fmt.Errorf("create %s: %w", path, errors.Unwrap(err)),
			"check that the folder exists and that you may write to it")
	}
	c.f = f
	return c, nil
}

// createTemp makes the temporary file. Unlike os.CreateTemp it leaves the
// permissions to umask.
func createTemp(path string, perm fs.FileMode) (*os.File, error) {
	for try := 0; ; try++ {
		name := fmt.Sprintf(".%s.tmp-%08x", filepath.Base(path), rand.Uint32())
		f, err := os.OpenFile(filepath.Join(filepath.Dir(path), name), os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
		if errors.Is(err, fs.ErrExist) && try < maxTries {
			continue
		}
		return f, err
	}
}

// maxTries is how often another temporary name is tried.
const maxTries = 1000

func (c *File) refuseExisting() error {
	fi, err := os.Lstat(c.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("create %s: %w", c.path, errors.Unwrap(err))
	case fi.IsDir():
		return fmt.Errorf("create %s: %w", c.path, syscall.EISDIR)
	case !c.overwrite:
		return fmt.Errorf("create %s: %w", c.path, fs.ErrExist)
	case fi.Mode().IsRegular():
		c.keep = fi.Mode().Perm()
	default:
		// A rename would put a file in the place of a device, pipe or link.
		return fault.WithHint(fmt.Errorf("create %s: it is there, and not a regular file", c.path), "choose another name")
	}
	return nil
}

// Write implements io.Writer.
func (c *File) Write(p []byte) (int, error) {
	n, err := c.f.Write(p)
	if c.sum != nil {
		c.sum.Write(p[:n])
	}
	c.size += int64(n)
	if err != nil {
		return n, fmt.Errorf("write %s: %w", c.path, errors.Unwrap(err))
	}
	return n, nil
}

// ReadAt implements io.ReaderAt on what was written. It may be called while
// another goroutine writes.
func (c *File) ReadAt(p []byte, off int64) (int, error) { return c.f.ReadAt(p, off) }

// Commit publishes the file and ends its use. After an error, or if ctx has
// ended, nothing is published; with one exception: if the folder cannot be
// flushed, the file is there and whole, but may not survive a power cut.
func (c *File) Commit(ctx context.Context) (err error) {
	if c.done {
		return fmt.Errorf("commit %s: already ended", c.path)
	}
	defer func() {
		if err != nil {
			c.Discard()
		}
	}()
	if c.sum != nil {
		if got := digest.NewDigest(c.want.Algorithm(), c.sum); got != c.want || c.size != c.wantSize {
			return fault.Damaged("%s: has digest %s and %d bytes, not %s and %d", c.path, got, c.size, c.want, c.wantSize)
		}
	}
	if c.keep != 0 {
		if err := c.f.Chmod(c.keep & c.perm); err != nil {
			return fmt.Errorf("commit %s: %w", c.path, err)
		}
	}
	if err := c.f.Sync(); err != nil {
		return fmt.Errorf("commit %s: %w", c.path, err)
	}
	if err := c.f.Close(); err != nil {
		return fmt.Errorf("commit %s: %w", c.path, err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.publish(); err != nil {
		return err
	}
	c.done = true
	return syncDir(filepath.Dir(c.path))
}

// publish gives the file its name. Without Overwrite it uses link, which
// fails where rename would replace a file made in the meantime.
func (c *File) publish() error {
	if c.overwrite {
		if err := os.Rename(c.f.Name(), c.path); err != nil {
			return fmt.Errorf("commit %s: %w", c.path, err)
		}
		return nil
	}
	err := os.Link(c.f.Name(), c.path)
	switch {
	case err == nil:
		// The temporary name is only a second name now. If it cannot be
		// removed, neither is to stay.
		if err := os.Remove(c.f.Name()); err != nil {
			return errors.Join(fmt.Errorf("commit %s: %w", c.path, err), os.Remove(c.path))
		}
		return nil
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("commit %s: %w", c.path, fs.ErrExist)
	}
	// File systems without hard links (FAT on a USB stick) get a plain rename.
	if err := c.refuseExisting(); err != nil {
		return err
	}
	if err := os.Rename(c.f.Name(), c.path); err != nil {
		return fmt.Errorf("commit %s: %w", c.path, err)
	}
	return nil
}

// Discard removes what was written; it does nothing after Commit, so it can
// be deferred. An error is of no use to the caller: the file has no name that
// anybody looks for.
func (c *File) Discard() {
	if c.done {
		return
	}
	c.done = true
	_ = c.f.Close() // a second Close after a failed Commit
	_ = os.Remove(c.f.Name())
}

// WriteFile publishes data at path in one step.
func WriteFile(ctx context.Context, path string, data []byte, opts ...Option) error {
	c, err := Create(path, opts...)
	if err != nil {
		return err
	}
	defer c.Discard()
	if _, err := c.Write(data); err != nil {
		return err
	}
	return c.Commit(ctx)
}

// syncDir makes a rename in dir durable. Some file systems (SMB, some FUSE
// ones) cannot flush a folder and say so with EINVAL or ENOTSUP; there the
// rename is as durable as that system makes it.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("flush folder: %w", err)
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("flush folder: %w", err)
	}
	return nil
}

var _ io.Writer = (*File)(nil)
