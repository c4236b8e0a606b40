package layout_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/layout"
	"bale/transport/savelist"
)

func newArchive(t *testing.T, path string, opts ...layout.Option) transport.Sink {
	t.Helper()
	s, err := layout.NewArchiveSink(path, opts...)
	must(t, err)
	return s
}

// fillArchive writes a set to an archive and closes it.
func fillArchive(t *testing.T, path string, set *conformance.Set, opts ...layout.Option) {
	t.Helper()
	s := newArchive(t, path, opts...)
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	write(t, s, set)
	must(t, s.Commit(t.Context(), set.Images))
}

func TestArchiveSource(t *testing.T) {
	set := conformance.New(t, team)
	path := filepath.Join(t.TempDir(), "images.tar")
	fillArchive(t, path, set, layout.Plain())
	content, err := os.ReadFile(path)
	must(t, err)
	zipped, squeezed := filepath.Join(t.TempDir(), "images.tar.gz"), filepath.Join(t.TempDir(), "images.tar.zst")
	must(t, os.WriteFile(zipped, gzipped(t, content), 0o600))
	must(t, os.WriteFile(squeezed, zstdOf(t, content), 0o600))
	for name, open := range map[string]func() (transport.Source, error){
		"plain": func() (transport.Source, error) { return layout.OpenArchive(t.Context(), path) },
		"gzip":  func() (transport.Source, error) { return layout.OpenArchive(t.Context(), zipped) },
		"zstd":  func() (transport.Source, error) { return layout.OpenArchive(t.Context(), squeezed) },
		"stdin": func() (transport.Source, error) {
			return layout.OpenArchive(t.Context(), "-", layout.Stdin(bytes.NewReader(content)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			conformance.Source(t, func(t *testing.T) transport.Source {
				src, err := open()
				must(t, err)
				return src
			}, conformance.Want{
				Set:    set,
				Select: map[string]string{"@" + set.Image(t, "multi").Root.Digest.String(): team + "/multi:1.0"},
			})
		})
	}
}

func TestArchiveSink(t *testing.T) {
	for name, opts := range map[string][]layout.Option{"plain": {layout.Plain()}, "hybrid": {layout.Hybrid(amd64)}} {
		t.Run(name, func(t *testing.T) {
			conformance.Sink(t, func(t *testing.T) conformance.Place {
				dir := t.TempDir()
				path := filepath.Join(dir, "images.tar")
				return conformance.Place{
					Set: conformance.New(t, team),
					Sink: func(t *testing.T) transport.Sink {
						return newArchive(t, path, append(opts, layout.Overwrite())...)
					},
					Source: func(*testing.T) (transport.Source, error) { return layout.OpenArchive(t.Context(), path) },
					Leftovers: func(t *testing.T) (left []string) {
						for _, name := range tree(t, dir) {
							if name != "images.tar" {
								left = append(left, name)
							}
						}
						return left
					},
					Anew: true,
				}
			})
		})
	}
}

func TestArchiveIsNotReplaced(t *testing.T) {
	set := conformance.New(t, team).Only("plain")
	path := filepath.Join(t.TempDir(), "images.tar")
	put(t, path, "something else")
	if _, err := layout.NewArchiveSink(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v, want fs.ErrExist", err)
	}
	s := newArchive(t, path, layout.Overwrite())
	write(t, s, set)
	must(t, s.Close())
	if content, err := os.ReadFile(path); err != nil || string(content) != "something else" {
		t.Errorf("a sink that was never committed left %d bytes, %v", len(content), err)
	}
	fillArchive(t, path, set, layout.Overwrite())
	must(t, readArchive(t.Context(), set.Graph(t, set.Images...), path))
}

func TestArchiveToStdout(t *testing.T) {
	set := conformance.New(t, team)
	var out bytes.Buffer
	fillArchive(t, "-", set, layout.Stdout(&out))
	if !bytes.Equal(out.Bytes(), tarOf(t, set, layout.Hybrid(savelist.HostPlatform()))) {
		t.Error("a stream gets other bytes than a file")
	}
	for _, err := range []error{
		func() error { _, err := layout.NewArchiveSink("-"); return err }(),
		func() error { _, err := layout.OpenArchive(t.Context(), "-"); return err }(),
	} {
		if !errors.Is(err, fault.ErrUsage) {
			t.Errorf("without a stream: %v, want an ErrUsage", err)
		}
	}
	if _, err := layout.NewArchiveSink("-", layout.WithRef("a b"), layout.Stdout(&out)); !errors.Is(err, fault.ErrUsage) {
		t.Errorf("with a name that is none: %v, want an ErrUsage", err)
	}
	s := layout.NewTarSink(&out, "test", layout.WithRef("a b"))
	if _, err := s.Holds(t.Context(), set.Images[0], nil); !errors.Is(err, fault.ErrUsage) {
		t.Errorf("a tar with a name that is none: %v, want an ErrUsage", err)
	}
}

// What is no oci-archive is told with what it may be.
func TestNoArchive(t *testing.T) {
	entries := func(names ...string) []byte {
		var list []tarEntry
		for _, name := range names {
			list = append(list, tarEntry{Header: tar.Header{Typeflag: tar.TypeReg, Name: name}})
		}
		return tarOfEntries(t, list)
	}
	for name, c := range map[string]struct {
		data []byte
		hint string
	}{
		"docker save": {entries("manifest.json", "repositories"), "docker-archive:FILE"},
		"any tar":     {entries("a", "b"), "no OCI layout"},
	} {
		path := filepath.Join(t.TempDir(), "a.tar")
		put(t, path, string(c.data))
		_, err := layout.OpenArchive(t.Context(), path)
		if !errors.Is(err, fault.ErrMissing) || !strings.Contains(fault.Hint(err), c.hint) {
			t.Errorf("%s: %v (%s), want an ErrMissing that says %q", name, err, fault.Hint(err), c.hint)
		}
	}
}

// A stream that takes no more is an error, whenever that is.
func TestArchiveToFullStream(t *testing.T) {
	set := conformance.New(t, team).Only("plain")
	size := len(tarOf(t, set))
	full := errors.New("full")
	for room := 0; room < size; room += size / 7 {
		s := newArchive(t, "-", layout.Stdout(&limited{left: room, err: full}))
		err := fillSink(t, s, set)
		if !errors.Is(err, full) {
			t.Errorf("room for %d of %d bytes: %v", room, size, err)
		}
		must(t, s.Close())
	}
}

// fillSink writes a set until something fails.
func fillSink(t *testing.T, s transport.Sink, set *conformance.Set) error {
	t.Helper()
	src := set.Source()
	g := set.Graph(t, set.Images...)
	for _, d := range g.Blobs() {
		if err := s.WriteBlob(t.Context(), d, g.Owners[d.Digest], opener(src, g.Owners[d.Digest][0], d)); err != nil {
			return err
		}
	}
	for _, d := range g.Manifests {
		if err := s.WriteManifest(t.Context(), d, g.Owners[d.Digest], set.Content[d.Digest]); err != nil {
			return err
		}
	}
	return s.Commit(t.Context(), set.Images)
}

type limited struct {
	left int
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	if n < len(p) {
		return n, l.err
	}
	return n, nil
}

func TestSplitArchive(t *testing.T) {
	for _, c := range []struct {
		place, file, ref string
		err              error
	}{
		{"images.tar", "images.tar", "", nil},
		{"/srv/images.tar:1.0", "/srv/images.tar", "1.0", nil},
		{"-", "-", "", nil},
		{"-:registry.example:5000/team/app:1.0", "-", "registry.example:5000/team/app:1.0", nil},
		{"", "", "", fault.ErrUsage},
		{":1.0", "", "", fault.ErrUsage},
		{"images.tar:", "", "", fault.ErrUsage},
	} {
		file, ref, err := layout.SplitArchive(c.place)
		if file != c.file || ref != c.ref || !errors.Is(err, c.err) {
			t.Errorf("SplitArchive(%q) = %q, %q, %v; want %q, %q, %v", c.place, file, ref, err, c.file, c.ref, c.err)
		}
	}
}

// readArchive is readAll for an archive.
func readArchive(ctx context.Context, g *conformance.Graph, path string) error {
	src, err := layout.OpenArchive(ctx, path)
	if err != nil {
		return err
	}
	return readSource(ctx, g, src)
}
