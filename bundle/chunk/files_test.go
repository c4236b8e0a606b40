package chunk

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// oddTar has entries of all sorts, in one of the tar formats.
func oddTar(t testing.TB, f tar.Format) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	long := strings.Repeat("folder/", 20) + "file"
	deep := strings.Repeat("0123456789/", 14) + "in-the-prefix"
	for _, h := range []tar.Header{
		{Name: "dir/", Typeflag: tar.TypeDir},
		{Name: "dir/file", Typeflag: tar.TypeReg, Size: 1000},
		{Name: "empty", Typeflag: tar.TypeReg},
		{Name: "link", Typeflag: tar.TypeSymlink, Linkname: strings.Repeat("to", 40)},
		{Name: deep, Typeflag: tar.TypeReg, Size: 512},
		{Name: "dir/hard", Typeflag: tar.TypeLink, Linkname: "dir/file"},
		{Name: long, Typeflag: tar.TypeReg, Size: 100_000},
		{Name: "dev", Typeflag: tar.TypeChar},
		{Name: "after", Typeflag: tar.TypeReg, Size: 1},
	} {
		h.Format, h.ModTime = f, time.Unix(1, 0)
		if f == tar.FormatUSTAR && h.Name == long {
			continue // too long for it
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(bytes.Repeat([]byte{'x'}, int(h.Size))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// found is a file and how much of its content there was.
type found struct {
	File
	size int64
}

// filesOf returns the structure lane, and the files that the Splitter gives.
func filesOf(t testing.TB, s *Splitter, b []byte) (structure []byte, files []found) {
	t.Helper()
	var last *File
	if _, err := s.Split(bytes.NewReader(b), func(p Piece) error {
		if p.Lane == Structure {
			structure = append(structure, p.Data...)
			return nil
		}
		if p.File != nil && p.File != last {
			files = append(files, found{File: *p.File})
		}
		if last = p.File; last != nil {
			files[len(files)-1].size += int64(len(p.Data))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return structure, files
}

// list returns what Files finds in a lane.
func list(t testing.TB, r io.Reader) []File {
	t.Helper()
	var out []File
	if err := Files(r, func(f File) error { out = append(out, f); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

// The structure alone tells the same files as the whole tar.
func TestFilesOfStructure(t *testing.T) {
	s, err := NewSplitter()
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]tar.Format{"ustar": tar.FormatUSTAR, "pax": tar.FormatPAX, "gnu": tar.FormatGNU} {
		b := oddTar(t, f)
		structure, files := filesOf(t, s, b)
		var want []File
		for r := tar.NewReader(bytes.NewReader(b)); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if h.Size > 0 {
				want = append(want, File{h.Name, h.Size})
			}
		}
		for _, r := range []io.Reader{bytes.NewReader(structure), iotest.OneByteReader(bytes.NewReader(structure))} {
			if got := list(t, r); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
		}
		if len(files) != len(want) {
			t.Errorf("%s: the Splitter has %d files, want %d", name, len(files), len(want))
		}
	}
}

func TestFilesFails(t *testing.T) {
	s, err := NewSplitter()
	if err != nil {
		t.Fatal(err)
	}
	structure, _ := filesOf(t, s, oddTar(t, tar.FormatPAX))
	no := errors.New("no")
	if err := Files(iotest.ErrReader(no), func(File) error { return nil }); !errors.Is(err, no) {
		t.Errorf("of the reader: %v", err)
	}
	if err := Files(bytes.NewReader(structure), func(File) error { return no }); !errors.Is(err, no) {
		t.Errorf("of the caller: %v", err)
	}
	for n := range structure {
		if n%100 == 0 {
			list(t, bytes.NewReader(structure[:n])) // ends where the lane does
		}
	}
}

// Whatever the content is, Files finds what the Splitter gave, and no more than
// one file that had no content any more.
func FuzzFiles(f *testing.F) {
	for _, format := range []tar.Format{tar.FormatUSTAR, tar.FormatPAX, tar.FormatGNU} {
		b := oddTar(f, format)
		f.Add(b)
		f.Add(b[:len(b)/2])
		f.Add(append(bytes.Clone(b[:3*blockSize]), bytes.Repeat([]byte("no header"), 300)...))
	}
	f.Add([]byte{})
	s, err := NewSplitter()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		structure, files := filesOf(t, s, mended(b))
		got := list(t, bytes.NewReader(structure))
		for i, w := range files {
			if i >= len(got) || got[i] != w.File {
				t.Fatalf("file %d of %d is %v, Files finds %v", i, len(files), w.File, got)
			}
			if i < len(files)-1 && w.size != w.Size {
				t.Fatalf("file %d has %d bytes of %d, and more follow", i, w.size, w.Size)
			}
		}
		if len(got) > len(files)+1 {
			t.Fatalf("Files finds %d files, there are %d", len(got), len(files))
		}
		list(t, bytes.NewReader(b)) // not even a lane
	})
}

// mended gives all blocks that might be headers the right checksum, so that the
// fuzzer gets past it.
func mended(b []byte) []byte {
	b = bytes.Clone(b)
	for i := 0; i+blockSize <= len(b); i += blockSize {
		block := b[i : i+blockSize]
		if string(block[magicOff:magicOff+5]) != "ustar" {
			continue
		}
		sum := int64(0)
		for j, c := range block {
			if j >= sumOff && j < sumOff+sumLen {
				c = ' '
			}
			sum += int64(c)
		}
		for j := sumOff + 5; j >= sumOff; j-- {
			block[j] = byte('0' + sum&7)
			sum >>= 3
		}
		block[sumOff+6], block[sumOff+7] = 0, ' '
	}
	return b
}
