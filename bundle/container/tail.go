package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"bale/bundle/fault"
)

// Body returns how many bytes there are before the signatures: all up to
// SHA256SUMS and its padding. Between signatures nothing else may stand.
func (c *Reader) Body() (int64, error) {
	sums, ok := c.Find(SumsName)
	if !ok {
		return 0, fault.Damaged("the bundle has no %s", SumsName)
	}
	for _, e := range c.entries {
		if e.Offset > sums.Offset && !IsSignature(e.Name) {
			return 0, fault.Damaged("entry %s stands after %s", e.Name, SumsName)
		}
	}
	return sums.Offset + sums.Size + padding(sums.Size), nil
}

// copyStep is how much is copied before it is looked whether somebody wants to
// stop.
const copyStep = 64 << 20

// CopyBody copies what [Reader.Body] counts to w. From file to file the system
// does it, where it can without reading anything: w must read from an *os.File
// then, as those do themselves.
func (c *Reader) CopyBody(ctx context.Context, w io.Writer) error {
	n, err := c.Body()
	if err != nil {
		return err
	}
	var from io.Reader = io.NewSectionReader(c.r, 0, n)
	if f, ok := c.r.(*os.File); ok {
		// A section hides from the library that there is a file behind it.
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("read bundle: %w", err)
		}
		from = f
	}
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		done, err := io.CopyN(w, from, min(n, copyStep))
		n -= done
		switch {
		case errors.Is(err, io.EOF):
			return fault.Damaged("ends although %d bytes are left", n)
		case err != nil:
			return err
		}
	}
	return nil
}
