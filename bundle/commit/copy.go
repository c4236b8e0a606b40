package commit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ReadFrom implements io.ReaderFrom. What comes from a file the system copies by
// itself where it can; on some file systems old and new share their blocks then.
func (c *File) ReadFrom(r io.Reader) (int64, error) {
	if c.sum != nil { // which has to see it
		return io.Copy(struct{ io.Writer }{c}, r)
	}
	n, err := c.f.ReadFrom(r)
	c.size += n
	if err != nil {
		return n, fmt.Errorf("write %s: %w", c.path, pathless(err))
	}
	return n, nil
}

// Owner gives the file the owner and group that another one has, as far as the
// system lets us. It reports whether it has them now.
func (c *File) Owner(of fs.FileInfo) bool { return chown(c.f, of) }

// Size returns how many bytes were written.
func (c *File) Size() int64 { return c.size }

// pathless takes operation and temporary path out of err.
func pathless(err error) error {
	var p *fs.PathError
	var s *os.SyscallError
	switch {
	case errors.As(err, &p):
		return p.Err
	case errors.As(err, &s):
		return s.Err
	}
	return err
}
