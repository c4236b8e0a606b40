package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"bale/bundle/fault"
)

// Entry is one entry of a container.
type Entry struct {
	Name   string
	Offset int64 // of the first byte of content
	Size   int64
}

// Reader gives access to the entries of a container. It is safe for
// concurrent use if the underlying io.ReaderAt is.
type Reader struct {
	r        io.ReaderAt
	entries  []Entry
	modified time.Time
}

// Scan goes from header to header, without reading content, and refuses
// whatever is not exactly what a [Writer] writes: entries out of order or
// twice, odd headers, padding that is not zero, a missing end, bytes after it.
// Entries of kinds that this version does not know are let pass, since only
// bale.json can tell whether the bundle is newer; see [IsKnown].
func Scan(ctx context.Context, r io.ReaderAt, size int64) (*Reader, error) {
	c := &Reader{r: r}
	seen := make(map[string]bool)
	var off, pad int64 // pad: zero bytes expected before the next header
	last, signatures := 0, 0
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		block, err := c.block(off, pad, size)
		if err != nil {
			return nil, err
		}
		off += pad
		if isZero(block) {
			if err := c.end(off, size); err != nil {
				return nil, err
			}
			return c, nil
		}
		name, n, mod, err := parseHeader(block, c.modified)
		switch {
		case err != nil && len(c.entries) == 0:
			return nil, notABundle(err)
		case err != nil:
			return nil, fmt.Errorf("byte %d, after %s: %w", off, c.entries[len(c.entries)-1].Name, err)
		case !safeName.MatchString(name):
			return nil, fault.Damaged("byte %d: entry name %q is not one of a bundle", off, name)
		case len(c.entries) == 0 && name != HeaderName:
			return nil, notABundle(fmt.Errorf("first entry is %s, not %s", name, HeaderName))
		case seen[name]:
			return nil, fault.Damaged("entry %s is there twice", name)
		case len(c.entries) >= MaxEntries:
			return nil, fault.Damaged("more than %d entries", MaxEntries)
		}
		if k := rank(name); k > 0 {
			if k < last || k == unknownForm && k == last && name < c.entries[len(c.entries)-1].Name {
				return nil, fault.Damaged("entry %s is out of order", name)
			}
			last = k
		}
		if IsSignature(name) {
			if signatures++; signatures > MaxSignatureEntries {
				return nil, fault.Damaged("more than %d signatures", MaxSignatureEntries)
			}
		}
		c.modified = mod
		seen[name] = true
		off += BlockSize
		if n > size-off {
			return nil, truncated(size, "in "+name, n-(size-off))
		}
		c.entries = append(c.entries, Entry{Name: name, Offset: off, Size: n})
		off, pad = off+n, padding(n)
	}
}

// block reads the padding before a header, checks it, and returns the header.
func (c *Reader) block(off, pad, size int64) ([]byte, error) {
	where := "before the first entry"
	if n := len(c.entries); n > 0 {
		where = "after " + c.entries[n-1].Name
	}
	if off+pad+BlockSize > size {
		if len(c.entries) == 0 {
			return nil, notABundle(fmt.Errorf("it has only %d bytes", size))
		}
		return nil, truncated(size, where, 0)
	}
	buf := make([]byte, pad+BlockSize)
	if err := readAt(c.r, buf, off); err != nil {
		return nil, err
	}
	if !isZero(buf[:pad]) {
		return nil, fault.Damaged("byte %d: padding %s is not zero", off, where)
	}
	return buf[pad:], nil
}

// end checks what follows the last entry.
func (c *Reader) end(off, size int64) error {
	switch {
	case len(c.entries) == 0:
		return notABundle(errors.New("it is empty"))
	case size-off < trailerSize:
		return truncated(size, "in the end mark", trailerSize-(size-off))
	case size-off > trailerSize:
		return fault.Damaged("%d bytes follow the end of the bundle", size-off-trailerSize)
	}
	buf := make([]byte, trailerSize)
	if err := readAt(c.r, buf, off); err != nil {
		return err
	}
	if !isZero(buf) {
		return fault.Damaged("byte %d: the end mark is not zero", off)
	}
	return nil
}

// Entries returns all entries in order. The slice must not be changed.
func (c *Reader) Entries() []Entry { return c.entries }

// Modified returns the modification time that all headers carry.
func (c *Reader) Modified() time.Time { return c.modified }

// Find returns an entry by name.
func (c *Reader) Find(name string) (Entry, bool) {
	for _, e := range c.entries {
		if e.Name == name {
			return e, true
		}
	}
	return Entry{}, false
}

// Open returns the content of an entry, unchecked.
func (c *Reader) Open(e Entry) *io.SectionReader {
	return io.NewSectionReader(c.r, e.Offset, e.Size)
}

// ReadFile reads a whole entry of at most limit bytes into memory, unchecked.
func (c *Reader) ReadFile(e Entry, limit int64) ([]byte, error) {
	if e.Size > limit {
		return nil, fault.Damaged("entry %s has %d bytes, over its limit of %d", e.Name, e.Size, limit)
	}
	b := make([]byte, e.Size)
	if err := readAt(c.r, b, e.Offset); err != nil {
		return nil, fmt.Errorf("read entry %s: %w", e.Name, err)
	}
	return b, nil
}

// ReadAt fills p from an offset; a file that has become shorter since the
// scan is damaged, other errors of the medium stay what they are.
func (c *Reader) ReadAt(p []byte, off int64) error { return readAt(c.r, p, off) }

func readAt(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case errors.Is(err, io.EOF):
		return fault.Damaged("ends at byte %d", off+int64(n))
	}
	return fmt.Errorf("byte %d: %w", off+int64(n), err)
}

func truncated(size int64, where string, missing int64) error {
	more := ""
	if missing > 0 {
		more = fmt.Sprintf("; at least %d bytes are missing", missing)
	}
	return fault.WithHint(fault.Damaged("truncated: the file ends at byte %d, %s%s", size, where, more),
		"copy the bundle again and compare its size with the sender's")
}

func notABundle(err error) error {
	return fault.WithHint(fault.Damaged("not a bale bundle: %w", err),
		"a bundle is a tar whose first entry is %s; see what the file is with: tar tvf FILE", HeaderName)
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
