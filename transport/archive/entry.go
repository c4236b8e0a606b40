package archive

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"bale/bundle/fault"
)

// entry is a file in the tar: where its bytes are, or what it is a link to.
type entry struct {
	off, size int64
	link      string // clean name, "" for a file
}

// table finds entries by clean name. As with a tar that is unpacked, the last
// of several entries with one name counts.
type table map[string]entry

// scan reads the headers of the tar in r and seeks over everything else.
func scan(r io.ReaderAt, size int64) (table, error) {
	sec := io.NewSectionReader(r, 0, size)
	tr := tar.NewReader(sec)
	entries, names := table{}, 0
	for n := 0; ; n++ {
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		if err != nil {
			return nil, tarError(err)
		}
		names += len(hdr.Name) + len(hdr.Linkname)
		if n == MaxEntries || names > MaxNames {
			return nil, fault.Damaged("docker-archive: more than %d entries, or %d bytes of names", MaxEntries, MaxNames)
		}
		name := clean(hdr.Name)
		if _, dup := entries[name]; dup && name == listName {
			// Tools differ in which of two they believe.
			return nil, fault.Damaged("docker-archive: %s is there twice", listName)
		}
		e, err := newEntry(hdr, name)
		if err != nil {
			return nil, err
		}
		if e == nil {
			continue
		}
		if e.off, err = sec.Seek(0, io.SeekCurrent); err != nil {
			return nil, fmt.Errorf("docker-archive: %w", err)
		}
		if e.size < 0 || e.size > size-e.off {
			return nil, fault.Damaged("docker-archive: %q is cut short", name)
		}
		entries[name] = *e
	}
}

// newEntry returns nil for what holds no content, such as a folder.
func newEntry(hdr *tar.Header, name string) (*entry, error) {
	switch hdr.Typeflag {
	case tar.TypeReg:
		for k := range hdr.PAXRecords {
			if strings.HasPrefix(k, "GNU.sparse.") {
				return nil, sparse(name)
			}
		}
		return &entry{size: hdr.Size}, nil
	case tar.TypeGNUSparse:
		return nil, sparse(name)
	case tar.TypeLink:
		return &entry{link: clean(hdr.Linkname)}, nil
	case tar.TypeSymlink:
		if path.IsAbs(hdr.Linkname) {
			return &entry{link: clean(hdr.Linkname)}, nil
		}
		return &entry{link: clean(path.Dir(name) + "/" + hdr.Linkname)}, nil
	}
	return nil, nil
}

func sparse(name string) error {
	return fault.WithHint(fault.Unsupported("docker-archive: %q is a sparse file", name),
		"pack the archive again without tar's --sparse")
}

// tarError tells a damaged tar from one that cannot be read just now.
func tarError(err error) error {
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, tar.ErrFieldTooLong) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.Damaged("docker-archive: not a whole tar: %w", err)
	}
	return fmt.Errorf("docker-archive: %w", err)
}

// clean makes a name relative to the archive's root, which it cannot leave.
func clean(name string) string { return path.Clean("/" + name)[1:] }

// file finds the content behind a name from manifest.json, through links.
func (t table) file(name string) (entry, error) {
	at := clean(name)
	for range maxLinks {
		e, ok := t[at]
		if !ok {
			return entry{}, fault.Damaged("docker-archive: entry %q is not there", name)
		}
		if e.link == "" {
			return e, nil
		}
		at = e.link
	}
	return entry{}, fault.Damaged("docker-archive: entry %q is behind more than %d links", name, maxLinks)
}
