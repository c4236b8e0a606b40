// Package container reads and writes the archive that a bundle lies in: a
// POSIX tar in one canonical form (FORMAT.md, section 2), so that no byte of
// it can change without being noticed.
package container

import (
	"archive/tar"
	"bytes"
	"fmt"
	"time"

	"bale/bundle/fault"
)

const (
	// BlockSize is the unit of a tar: headers are one block, content is
	// padded to full blocks.
	BlockSize = 512
	// MaxEntries bounds how many entries a bundle may have.
	MaxEntries = 1 << 20
	// MaxEntrySize is the greatest size that a ustar header can say.
	MaxEntrySize = 1<<33 - 1
	// MaxTime is the last second since 1970 that a ustar header can say.
	MaxTime = 1<<33 - 1
	// trailerSize is the two zero blocks at the end.
	trailerSize = 2 * BlockSize
)

// header encodes the one header that an entry may have.
func header(name string, size int64, modified time.Time) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg,
		Name:     name,
		Size:     size,
		Mode:     0o644,
		ModTime:  modified,
		Format:   tar.FormatUSTAR,
	})
	if err != nil {
		return nil, fmt.Errorf("tar header of %s: %w", name, err)
	}
	if b.Len() != BlockSize {
		return nil, fmt.Errorf("tar header of %s takes %d bytes", name, b.Len())
	}
	return b.Bytes(), nil
}

// parseHeader reads one header block and refuses all but the canonical form.
// modified is what the headers before it said, or the zero time for the first.
func parseHeader(block []byte, modified time.Time) (name string, size int64, mod time.Time, err error) {
	h, err := tar.NewReader(bytes.NewReader(block)).Next()
	if err != nil {
		return "", 0, mod, fault.Damaged("tar header is broken: %w", err)
	}
	if h.Size < 0 || h.Size > MaxEntrySize {
		return "", 0, mod, fault.Damaged("tar header of %q says %d bytes", h.Name, h.Size)
	}
	if modified.IsZero() {
		modified = h.ModTime
	}
	want, err := header(h.Name, h.Size, modified)
	if err != nil {
		return "", 0, mod, fault.Damaged("tar header of %q: %w", h.Name, err)
	}
	if !bytes.Equal(want, block) {
		return "", 0, mod, fault.Damaged("tar header of %q is not as bale writes it", h.Name)
	}
	return h.Name, h.Size, h.ModTime, nil
}

// padding is how many zero bytes follow content of a size.
func padding(size int64) int64 { return (BlockSize - size%BlockSize) % BlockSize }
