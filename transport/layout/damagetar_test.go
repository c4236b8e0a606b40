package layout_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"bale/bundle/fault"
	"bale/transport/conformance"
	"bale/transport/tarfile"
)

// tarEntry is one entry of a tar that a test takes to pieces.
type tarEntry struct {
	tar.Header
	content []byte
}

func tarEntries(t *testing.T, content []byte) []tarEntry {
	t.Helper()
	var list []tarEntry
	for r := tar.NewReader(bytes.NewReader(content)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		must(t, err)
		b, err := io.ReadAll(r)
		must(t, err)
		list = append(list, tarEntry{*h, b})
	}
}

func tarOfEntries(t testing.TB, list []tarEntry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range list {
		if e.Typeflag == tar.TypeReg {
			e.Size = int64(len(e.content))
		}
		if err := w.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write(b)
	must(t, err)
	must(t, z.Close())
	return out.Bytes()
}

func zstdOf(t *testing.T, b []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	must(t, err)
	return z.EncodeAll(b, nil)
}

// TestDamagedTar reads a good tar after one change to it.
func TestDamagedTar(t *testing.T) {
	set := conformance.New(t, team).Only("plain")
	img := set.Images[0]
	g := set.Graph(t, img)
	layer := "blobs/sha256/" + g.Layers[0].Digest.Encoded()
	good := tarOf(t, set)
	// change gives one entry to f, which returns what is to be in its place.
	change := func(name string, f func(e tarEntry) []tarEntry) []byte {
		var list []tarEntry
		for _, e := range tarEntries(t, good) {
			if e.Name == name {
				list = append(list, f(e)...)
			} else {
				list = append(list, e)
			}
		}
		return tarOfEntries(t, list)
	}
	gone := func(tarEntry) []tarEntry { return nil }
	twice := func(e tarEntry) []tarEntry { return []tarEntry{e, e} }
	link := func(kind byte, to string) func(tarEntry) []tarEntry {
		return func(e tarEntry) []tarEntry {
			moved := e
			moved.Name = "moved"
			return []tarEntry{moved, {Header: tar.Header{Typeflag: kind, Name: e.Name, Linkname: to}}}
		}
	}
	content := func(f func(b []byte) []byte) func(tarEntry) []tarEntry {
		return func(e tarEntry) []tarEntry {
			e.content = f(bytes.Clone(e.content))
			return []tarEntry{e}
		}
	}
	for _, c := range []struct {
		name string
		data []byte
		want error // nil if the change does no harm
	}{
		{"as it was", good, nil},
		{"empty", nil, fault.ErrMissing},
		{"no tar", []byte(strings.Repeat("no tar ", 1000)), fault.ErrDamaged},
		{"cut short in a blob", good[:3*512+100], fault.ErrDamaged},
		{"cut short in a header", good[:len(good)/2/512*512+100], fault.ErrDamaged},
		{"without its end", good[:len(good)-1024], nil}, // a formality
		{"no oci-layout", change("oci-layout", gone), fault.ErrMissing},
		{"two oci-layouts", change("oci-layout", twice), fault.ErrDamaged},
		{"no index.json", change("index.json", gone), fault.ErrMissing},
		{"two of index.json", change("index.json", twice), fault.ErrDamaged},
		{"index.json by another name, too", change("index.json", func(e tarEntry) []tarEntry {
			other := e
			other.Name = "./blobs/../index.json"
			return []tarEntry{e, other}
		}), fault.ErrDamaged},
		{"index.json is a link inside", change("index.json", link(tar.TypeSymlink, "moved")), nil},
		{"index.json is a hard link inside", change("index.json", link(tar.TypeLink, "moved")), nil},
		{"index.json is a link that leads out", change("index.json", link(tar.TypeSymlink, "../../etc/passwd")), fault.ErrMissing},
		{"index.json is an absolute link", change("index.json", link(tar.TypeSymlink, "/etc/passwd")), fault.ErrMissing},
		{"index.json is a link to itself", change("index.json", link(tar.TypeSymlink, "index.json")), fault.ErrDamaged},
		{"index.json is a folder", change("index.json", func(tarEntry) []tarEntry {
			return []tarEntry{{Header: tar.Header{Typeflag: tar.TypeDir, Name: "index.json/"}}}
		}), fault.ErrDamaged},
		{"names with a dot before", func() []byte {
			list := tarEntries(t, good)
			for i := range list {
				list[i].Name = "./" + list[i].Name
			}
			return tarOfEntries(t, list)
		}(), nil},
		{"layer gone", change(layer, gone), fault.ErrMissing},
		{"layer twice, the last is good", change(layer, func(e tarEntry) []tarEntry {
			return []tarEntry{{Header: e.Header, content: []byte("not this")}, e}
		}), nil},
		{"layer cut short", change(layer, content(func(b []byte) []byte { return b[:len(b)-1] })), fault.ErrDamaged},
		{"layer too long", change(layer, content(func(b []byte) []byte { return append(b, 0) })), fault.ErrDamaged},
		{"layer altered", change(layer, content(func(b []byte) []byte { b[len(b)/2] ^= 1; return b })), fault.ErrDamaged},
		{"manifest altered", change("blobs/sha256/"+img.Root.Digest.Encoded(), content(func(b []byte) []byte { b[9] ^= 1; return b })), fault.ErrDamaged},
		{"layer outside of the tar", change(layer, func(e tarEntry) []tarEntry {
			e.Name = "../" + e.Name
			return []tarEntry{e} // which is inside all the same
		}), nil},
		{"sparse entry", sparseTar(t, good, layer), fault.ErrUnsupported},
		{"gzip cut short", gzipped(t, good)[:4000], fault.ErrDamaged},
		{"gzip with a bit turned over", flip(gzipped(t, good), 5000), fault.ErrDamaged},
		{"zstd cut short", zstdOf(t, good)[:4000], fault.ErrDamaged},
		{"gzip of something else", gzipped(t, []byte(strings.Repeat("no tar ", 1000))), fault.ErrDamaged},
		{"gzip of nothing", gzipped(t, nil), fault.ErrMissing},
		{"bzip2", []byte("BZh91AY&SY"), fault.ErrUnsupported},
		{"xz", []byte("\xfd7zXZ\x00\x00\x04"), fault.ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "images.tar")
			put(t, path, string(c.data))
			err := readArchive(t.Context(), g, path)
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if errors.Is(err, io.EOF) {
				t.Errorf("%v is an io.EOF", err)
			}
		})
	}
}

func flip(b []byte, at int) []byte {
	b[at] ^= 4
	return b
}

// sparseTar marks an entry as GNU tar --sparse does.
func sparseTar(t *testing.T, content []byte, name string) []byte {
	t.Helper()
	b := bytes.Clone(content)
	i := 0
	for !bytes.HasPrefix(b[i:], []byte(name+"\x00")) {
		i += 512
	}
	h := b[i : i+512]
	h[156] = tar.TypeGNUSparse
	copy(h[257:], "ustar  \x00")
	copy(h[148:156], "        ")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// A tar cut short at every block never reads as something else than damaged or
// incomplete.
func TestTarCutShort(t *testing.T) {
	set := conformance.New(t, team).Only("artifact")
	g := set.Graph(t, set.Images...)
	good := tarOf(t, set)
	path := filepath.Join(t.TempDir(), "images.tar")
	for n := 0; n < len(good)-1024; n += 128 {
		put(t, path, string(good[:n]))
		err := readArchive(t.Context(), g, path)
		if !errors.Is(err, fault.ErrDamaged) && !errors.Is(err, fault.ErrMissing) {
			t.Errorf("cut at %d of %d: %v", n, len(good), err)
		}
	}
}

// There is an end to how many entries, and how long names, are taken in.
func TestTarBomb(t *testing.T) {
	header := func(name string) []byte {
		var b bytes.Buffer
		must(t, tar.NewWriter(&b).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name}))
		return b.Bytes()
	}
	for name, h := range map[string][]byte{
		"entries": header("a"), "names": header(strings.Repeat("a/", 400_000) + "a"),
	} {
		r := &repeated{unit: h, times: tarfile.MaxEntries + 1}
		_, err := tarfile.Open(t.Context(), r, int64(len(h))*r.times, "test")
		if !errors.Is(err, fault.ErrDamaged) {
			t.Errorf("%s: %v, want an ErrDamaged", name, err)
		}
	}
}

// repeated is the same bytes many times over.
type repeated struct {
	unit  []byte
	times int64
}

func (r *repeated) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		if off >= int64(len(r.unit))*r.times {
			return n, io.EOF
		}
		c := copy(p[n:], r.unit[off%int64(len(r.unit)):])
		n, off = n+c, off+int64(c)
	}
	return n, nil
}
