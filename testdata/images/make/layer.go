//go:build ignore

package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"log"
	"os"
	"path"
	"slices"
	"strings"
)

// entry is one file of a package or layer.
type entry struct {
	hdr  tar.Header
	data []byte
}

// pkg is a package's files by path, without leading "./".
type pkg map[string]entry

func readPackage(file string) (pkg, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p := make(pkg)
	for tr := tar.NewReader(bytes.NewReader(content)); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return p, nil
		}
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			return nil, err
		}
		p[clean(h.Name)] = entry{*h, data}
	}
}

// under returns the sorted paths of the package's files in a folder.
func (p pkg) under(folder string) []string {
	var names []string
	for n, e := range p {
		if strings.HasPrefix(n, folder) && e.hdr.Typeflag != tar.TypeDir {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// layer is a layer's files by path.
type layer map[string]entry

func (l layer) put(name string, h tar.Header, data []byte) {
	for d := path.Dir(name); d != "."; d = path.Dir(d) {
		if _, ok := l[d]; !ok {
			l.dir(d, 0o755)
		}
	}
	h.Name, h.Size = name, int64(len(data))
	if h.Typeflag == tar.TypeDir {
		h.Name += "/"
	}
	if h.ModTime.IsZero() {
		h.ModTime = epoch
	}
	l[name] = entry{h, data}
}

func (l layer) dir(name string, mode int64) {
	l.put(name, tar.Header{Typeflag: tar.TypeDir, Mode: mode}, nil)
}

func (l layer) file(name, data string) {
	l.put(name, tar.Header{Typeflag: tar.TypeReg, Mode: 0o644}, []byte(data))
}

func (l layer) symlink(name, to string) {
	l.put(name, tar.Header{Typeflag: tar.TypeSymlink, Mode: 0o777, Linkname: to}, nil)
}

func (l layer) hardlink(name, to string) {
	l.put(name, tar.Header{Typeflag: tar.TypeLink, Mode: 0o644, Linkname: to}, nil)
}

// copy takes files over from a package with their modes and times.
func (l layer) copy(p pkg, names ...string) {
	for _, n := range names {
		e, ok := p[n]
		if !ok {
			log.Fatalf("make images: no %s in the package", n)
		}
		h := tar.Header{Typeflag: e.hdr.Typeflag, Mode: e.hdr.Mode, ModTime: e.hdr.ModTime, Linkname: e.hdr.Linkname}
		if h.Typeflag == tar.TypeLink {
			h.Linkname = clean(h.Linkname)
			l.copy(p, h.Linkname)
		}
		l.put(n, h, e.data)
	}
}

func (l layer) copyTree(p pkg, folder string) { l.copy(p, p.under(folder)...) }

// tar returns the layer as a tar, ordered so that folders come before what is
// in them and files before hard links to them.
func (l layer) tar() []byte {
	var names []string
	for n := range l {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int {
		la, lb := l[a].hdr.Typeflag == tar.TypeLink, l[b].hdr.Typeflag == tar.TypeLink
		switch {
		case la && !lb:
			return 1
		case lb && !la:
			return -1
		}
		return strings.Compare(a, b)
	})
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, n := range names {
		e := l[n]
		must(tw.WriteHeader(&e.hdr))
		_, err := tw.Write(e.data)
		must(err)
	}
	must(tw.Close())
	return b.Bytes()
}

func clean(name string) string { return strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/") }

func must(err error) {
	if err != nil {
		log.Fatal("make images: ", err)
	}
}
