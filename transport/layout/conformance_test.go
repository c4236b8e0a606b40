package layout_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/layout"
)

const team = "registry.example/team"

func TestSource(t *testing.T) {
	set := conformance.New(t, team)
	dir := filepath.Join(t.TempDir(), "images")
	fill(t, dir, set)
	conformance.Source(t, func(t *testing.T) transport.Source { return open(t, dir) }, conformance.Want{
		Set: set,
		Select: map[string]string{
			set.Image(t, "multi").Root.Digest.String():                              team + "/multi:1.0",
			"@" + set.Image(t, "multi").Root.Digest.String():                        team + "/multi:1.0",
			team + "/multi@" + set.Image(t, "multi").Root.Digest.String():           team + "/multi:1.0",
			team + "/artifact:1.0@" + set.Image(t, "artifact").Root.Digest.String(): team + "/artifact:1.0",
		},
	})
}

func TestSink(t *testing.T) {
	for _, there := range []bool{false, true} {
		t.Run(fmt.Sprintf("folder there=%t", there), func(t *testing.T) {
			conformance.Sink(t, func(t *testing.T) conformance.Place {
				root := t.TempDir()
				const name = "new/images"
				dir := filepath.Join(root, filepath.FromSlash(name))
				if there {
					if err := os.MkdirAll(dir, 0o755); err != nil {
						t.Fatal(err)
					}
				}
				before := tree(t, root)
				return conformance.Place{
					Set:       conformance.New(t, team),
					Sink:      func(t *testing.T) transport.Sink { return newSink(t, dir) },
					Source:    func(*testing.T) (transport.Source, error) { return layout.Open(dir) },
					Leftovers: func(t *testing.T) []string { return leftovers(t, root, name, before) },
					Remembers: true,
					Remove: func(t *testing.T, d digest.Digest) {
						if err := os.Remove(filepath.Join(dir, "blobs", d.Algorithm().String(), d.Encoded())); err != nil {
							t.Fatal(err)
						}
					},
				}
			})
		})
	}
}

func open(t *testing.T, dir string) transport.Source {
	t.Helper()
	src, err := layout.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func newSink(t *testing.T, dir string, opts ...layout.Option) transport.Sink {
	t.Helper()
	s, err := layout.NewSink(dir, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fill writes a set to a layout and closes it.
func fill(t *testing.T, dir string, set *conformance.Set, opts ...layout.Option) {
	t.Helper()
	s := newSink(t, dir, opts...)
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	write(t, s, set)
	if err := s.Commit(t.Context(), set.Images); err != nil {
		t.Fatal(err)
	}
}

// write writes the set's content without committing it.
func write(t *testing.T, s transport.Sink, set *conformance.Set) {
	t.Helper()
	src := set.Source()
	g := set.Graph(t, set.Images...)
	for _, d := range g.Blobs() {
		open := opener(src, g.Owners[d.Digest][0], d)
		if err := s.WriteBlob(t.Context(), d, g.Owners[d.Digest], open); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range g.Manifests {
		if err := s.WriteManifest(t.Context(), d, g.Owners[d.Digest], set.Content[d.Digest]); err != nil {
			t.Fatal(err)
		}
	}
}

// opener opens a blob of a source.
func opener(src transport.Source, img transport.Image, d v1.Descriptor) transport.Opener {
	return func(ctx context.Context) (io.ReadCloser, error) { return src.Blob(ctx, img, d) }
}

// tree lists the files and folders below dir, in order, with slashes.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err == nil && rel != "." {
			names = append(names, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// leftovers lists what is below root and neither was there before nor belongs
// to an image of the layout root/dir.
func leftovers(t *testing.T, root, dir string, before []string) []string {
	t.Helper()
	needed := make(map[string]bool)
	for _, name := range before {
		needed[name] = true
	}
	if src, err := layout.Open(filepath.Join(root, dir)); err == nil {
		defer func() { _ = src.Close() }()
		images, err := src.Images(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		for above := dir; above != "."; above = path.Dir(above) {
			needed[above] = true
		}
		for _, name := range []string{"oci-layout", "index.json", "blobs", "blobs/sha256"} {
			needed[path.Join(dir, name)] = true
		}
		for d := range conformance.New(t, team).Graph(t, images...).Owners {
			needed[path.Join(dir, "blobs/sha256", d.Encoded())] = true
		}
	}
	return slices.DeleteFunc(tree(t, root), func(name string) bool { return needed[name] })
}
