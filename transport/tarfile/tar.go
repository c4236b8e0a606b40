package tarfile

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"bale/bundle/fault"
)

// Tar is a tar whose headers were read. Its methods may be called from several
// goroutines at once.
type Tar struct {
	r       io.ReaderAt
	where   string
	entries map[string]entry // by clean name; the last of several counts
}

// File is where a file's content lies in a tar.
type File struct {
	Offset int64 // tells files apart: a link has that of what it leads to
	Size   int64
}

// entry is what the tar has under a name.
type entry struct {
	File
	link  string // clean name that a link leads to, "" for all else
	other bool   // a folder, or something else without content
}

// Open reads the headers of the tar of size bytes in r and seeks over all else.
// where is what errors call it. As with a tar that is unpacked, the last of
// several entries with one name counts; but a second one of a name in once is
// a [fault.ErrDamaged], as is a tar that makes no sense. One with sparse files
// is a [fault.ErrUnsupported].
func Open(ctx context.Context, r io.ReaderAt, size int64, where string, once ...string) (*Tar, error) {
	t := &Tar{r: r, where: where, entries: map[string]entry{}}
	sec := io.NewSectionReader(r, 0, size)
	tr := tar.NewReader(sec)
	names := 0
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return nil, tarError(where, err)
		}
		names += len(hdr.Name) + len(hdr.Linkname)
		if n == MaxEntries || names > MaxNames {
			return nil, fault.Damaged("%s: more than %d entries, or %d bytes of names", where, MaxEntries, MaxNames)
		}
		name := clean(hdr.Name)
		if _, dup := t.entries[name]; dup && slices.Contains(once, name) {
			// Tools differ in which of two they believe.
			return nil, fault.Damaged("%s: %s is there twice", where, name)
		}
		e, err := newEntry(hdr, name, where)
		if err != nil {
			return nil, err
		}
		if e.Offset, err = sec.Seek(0, io.SeekCurrent); err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		if e.Size < 0 || e.Size > size-e.Offset {
			return nil, fault.Damaged("%s: %q is cut short", where, name)
		}
		t.entries[name] = e
	}
}

func newEntry(hdr *tar.Header, name, where string) (entry, error) {
	switch hdr.Typeflag {
	case tar.TypeReg:
		for k := range hdr.PAXRecords {
			if strings.HasPrefix(k, "GNU.sparse.") {
				return entry{}, sparse(where, name)
			}
		}
		return entry{File: File{Size: hdr.Size}}, nil
	case tar.TypeGNUSparse:
		return entry{}, sparse(where, name)
	case tar.TypeLink:
		return entry{link: clean(hdr.Linkname)}, nil
	case tar.TypeSymlink:
		if path.IsAbs(hdr.Linkname) {
			return entry{link: clean(hdr.Linkname)}, nil
		}
		return entry{link: clean(path.Dir(name) + "/" + hdr.Linkname)}, nil
	}
	return entry{other: true}, nil
}

func sparse(where, name string) error {
	return fault.WithHint(fault.Unsupported("%s: %q is a sparse file", where, name),
		"pack the archive again without tar's --sparse")
}

// tarError tells a damaged tar from one that cannot be read just now.
func tarError(where string, err error) error {
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, tar.ErrFieldTooLong) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.Damaged("%s: not a whole tar: %w", where, err)
	}
	return fmt.Errorf("%s: %w", where, err)
}

// clean makes a name relative to the tar's root, which it cannot leave.
func clean(name string) string { return path.Clean("/" + name)[1:] }

// Has reports whether there is anything under a name.
func (t *Tar) Has(name string) bool {
	_, ok := t.entries[clean(name)]
	return ok
}

// Find finds the file that has a name, through links; ok is false if there is
// none. Something else than a file, or too many links, is a [fault.ErrDamaged].
func (t *Tar) Find(name string) (f File, ok bool, err error) {
	at := clean(name)
	for range maxLinks {
		e, ok := t.entries[at]
		switch {
		case !ok:
			return File{}, false, nil
		case e.other:
			return File{}, false, fault.Damaged("%s: %q is not a file", t.where, name)
		case e.link == "":
			return e.File, true, nil
		}
		at = e.link
	}
	return File{}, false, fault.Damaged("%s: %q is behind more than %d links", t.where, name, maxLinks)
}

// Section reads a file from its beginning.
func (t *Tar) Section(f File) *io.SectionReader { return io.NewSectionReader(t.r, f.Offset, f.Size) }
