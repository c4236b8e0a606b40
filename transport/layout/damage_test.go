package layout_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/layout"
	"bale/transport/parts"
)

const digestOfFoo = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"

// TestDamage opens and reads a good layout after one change to it.
func TestDamage(t *testing.T) {
	set := conformance.New(t, team).Only("plain")
	img := set.Images[0]
	layer := set.Graph(t, img).Layers[0]
	blobFile := func(dir string, d v1.Descriptor) string {
		return filepath.Join(dir, "blobs", "sha256", d.Digest.Encoded())
	}
	index := func(content string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { put(t, filepath.Join(dir, "index.json"), content) }
	}
	const entry = `{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",`
	const foo = `{"mediaType":"text/plain","size":3,"digest":"` + digestOfFoo + `"}`
	for _, c := range []struct {
		name string
		do   func(t *testing.T, dir string)
		want error // nil if the change does no harm
	}{
		{"as it was", func(*testing.T, string) {}, nil},
		{"no folder", func(t *testing.T, dir string) { must(t, os.RemoveAll(dir)) }, fault.ErrMissing},
		{"a file", func(t *testing.T, dir string) { must(t, os.RemoveAll(dir)); put(t, dir, "") }, fault.ErrUsage},
		{"no oci-layout", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "oci-layout"))) }, fault.ErrMissing},
		{"oci-layout of another version", func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "oci-layout"), `{"imageLayoutVersion":"2.0.0"}`)
		}, fault.ErrUnsupported},
		{"oci-layout that is no JSON", func(t *testing.T, dir string) { put(t, filepath.Join(dir, "oci-layout"), `1.0.0`) }, fault.ErrDamaged},
		{"oci-layout too long", func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "oci-layout"), `{"imageLayoutVersion":"1.0.0"}`+strings.Repeat(" ", 64<<10))
		}, fault.ErrDamaged},
		{"no index.json", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "index.json"))) }, fault.ErrMissing},
		{"index.json cut short", index(entry), fault.ErrDamaged},
		{"index.json with something after it", index(`{"schemaVersion":2} {}`), fault.ErrDamaged},
		{"index.json without images", index(`{"schemaVersion":2,"manifests":[]}`), fault.ErrMissing},
		{"index.json too long", func(t *testing.T, dir string) {
			must(t, os.Truncate(filepath.Join(dir, "index.json"), transport.MaxManifest+1))
		}, fault.ErrDamaged},
		{"index.json of schema version 1", index(`{"schemaVersion":1}`), fault.ErrUnsupported},
		{"index.json of another type", index(`{"schemaVersion":2,"mediaType":"application/json"}`), fault.ErrUnsupported},
		{"index.json with two lists", index(`{"schemaVersion":2,"manifests":[` + foo + `],"manifests":[` + foo + `]}`), fault.ErrDamaged},
		{"index.json without a list", index(`{"schemaVersion":2,"manifests":{}}`), fault.ErrDamaged},
		{"index.json with null for a list", index(`{"schemaVersion":2,"manifests":null}`), fault.ErrMissing},
		{"entry that is no object", index(`{"schemaVersion":2,"manifests":[1]}`), fault.ErrDamaged},
		{"entry of an unknown algorithm", index(entry + `"size":3,"digest":"sha384:` + strings.Repeat("0", 96) + `"}]}`), fault.ErrUnsupported},
		{"entry without media type", index(`{"schemaVersion":2,"manifests":[{"size":3,"digest":"` + digestOfFoo + `"}]}`), fault.ErrDamaged},
		{"entry with a path as digest", index(entry + `"size":3,"digest":"sha256:../../../../etc/passwd"}]}`), fault.ErrDamaged},
		{"entry of negative size", index(entry + `"size":-3,"digest":"` + digestOfFoo + `"}]}`), fault.ErrDamaged},
		{"entry of a huge manifest", index(entry + `"size":9000000,"digest":"` + digestOfFoo + `"}]}`), fault.ErrDamaged},
		{"entry that is not there", index(entry + `"size":3,"digest":"` + digestOfFoo + `"}]}`), fault.ErrMissing},
		{"two images of one name", index(entry + `"size":3,"digest":"` + digestOfFoo + `","annotations":{"org.opencontainers.image.ref.name":"1"}},
			{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":7,"digest":"` + img.Root.Digest.String() + `","annotations":{"org.opencontainers.image.ref.name":"1"}}]}`), fault.ErrUsage},
		{"manifest cut short", func(t *testing.T, dir string) { must(t, os.Truncate(blobFile(dir, img.Root), 9)) }, fault.ErrDamaged},
		{"manifest altered", func(t *testing.T, dir string) {
			put(t, blobFile(dir, img.Root), strings.ToUpper(string(set.Content[img.Root.Digest])))
		}, fault.ErrDamaged},
		{"layer cut short", func(t *testing.T, dir string) { must(t, os.Truncate(blobFile(dir, layer), layer.Size-1)) }, fault.ErrDamaged},
		{"layer too long", func(t *testing.T, dir string) { must(t, os.Truncate(blobFile(dir, layer), layer.Size+1)) }, fault.ErrDamaged},
		{"layer of zeros", func(t *testing.T, dir string) {
			must(t, os.Truncate(blobFile(dir, layer), 0))
			must(t, os.Truncate(blobFile(dir, layer), layer.Size))
		}, fault.ErrDamaged},
		{"layer gone", func(t *testing.T, dir string) { must(t, os.Remove(blobFile(dir, layer))) }, fault.ErrMissing},
		{"folder instead of layer", func(t *testing.T, dir string) {
			must(t, os.Remove(blobFile(dir, layer)))
			must(t, os.Mkdir(blobFile(dir, layer), 0o755))
		}, fault.ErrDamaged},
		{"layer is a link that stays inside", func(t *testing.T, dir string) {
			must(t, os.Rename(blobFile(dir, layer), filepath.Join(dir, "moved")))
			link(t, filepath.Join("..", "..", "moved"), blobFile(dir, layer))
		}, nil},
		{"layer is a link that leads out", func(t *testing.T, dir string) {
			must(t, os.Rename(blobFile(dir, layer), dir+".moved"))
			link(t, filepath.Join("..", "..", "..", filepath.Base(dir)+".moved"), blobFile(dir, layer))
		}, fault.ErrDamaged},
		{"layer is an absolute link", func(t *testing.T, dir string) {
			must(t, os.Rename(blobFile(dir, layer), dir+".moved"))
			link(t, dir+".moved", blobFile(dir, layer))
		}, fault.ErrDamaged},
		{"blobs is a link that leads out", func(t *testing.T, dir string) {
			must(t, os.Rename(filepath.Join(dir, "blobs"), dir+".blobs"))
			link(t, dir+".blobs", filepath.Join(dir, "blobs"))
		}, fault.ErrDamaged},
		{"index.json is a link that leads out", func(t *testing.T, dir string) {
			must(t, os.Rename(filepath.Join(dir, "index.json"), dir+".index"))
			link(t, dir+".index", filepath.Join(dir, "index.json"))
		}, fault.ErrDamaged},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "images")
			fill(t, dir, set)
			c.do(t, dir)
			if err := readAll(t.Context(), set.Graph(t, img), dir); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// An index.json as long as is allowed takes neither long nor much memory.
func TestManyEntries(t *testing.T) {
	const format = `{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":0,"digest":"sha256:%064x"}`
	const n = transport.MaxManifest/(len(format)+60) - 1
	entries := make([]string, n)
	for i := range entries {
		entries[i] = fmt.Sprintf(format, i)
	}
	dir := filepath.Join(t.TempDir(), "images")
	must(t, os.Mkdir(dir, 0o755))
	put(t, filepath.Join(dir, "oci-layout"), `{"imageLayoutVersion":"1.0.0"}`)
	put(t, filepath.Join(dir, "index.json"), `{"schemaVersion":2,"manifests":[`+strings.Join(entries, ",")+`]}`)
	src := open(t, dir)
	defer func() { _ = src.Close() }()
	if images, err := src.Images(t.Context(), ""); err != nil || len(images) != n {
		t.Errorf("%d images, %v; want %d", len(images), err, n)
	}
	if _, err := src.Images(t.Context(), "localhost/images"); !errors.Is(err, fault.ErrMissing) {
		t.Errorf("%v, want an ErrMissing", err)
	}
}

// What can be told from the size alone is told before the first byte.
func TestWrongSizeDoesNotOpen(t *testing.T) {
	set := conformance.New(t, team).Only("plain")
	layer := set.Graph(t, set.Images...).Layers[0]
	dir := filepath.Join(t.TempDir(), "images")
	fill(t, dir, set)
	src := open(t, dir)
	defer func() { _ = src.Close() }()
	layer.Size++
	if _, err := src.Blob(t.Context(), set.Images[0], layer); !errors.Is(err, fault.ErrDamaged) {
		t.Errorf("%v, want an ErrDamaged", err)
	}
}

func TestStreamEndsWithItsContext(t *testing.T) {
	set := conformance.New(t, team).Only("plain")
	layer := set.Graph(t, set.Images...).Layers[0]
	dir := filepath.Join(t.TempDir(), "images")
	fill(t, dir, set)
	src := open(t, dir)
	defer func() { _ = src.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	rc, err := src.Blob(ctx, set.Images[0], layer)
	must(t, err)
	defer func() { _ = rc.Close() }()
	cancel()
	if n, err := rc.Read(make([]byte, 10)); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d bytes, %v, want context.Canceled", n, err)
	}
}

// readAll reads a layout's first image as the engine does, everything
// verified.
func readAll(ctx context.Context, g *conformance.Graph, dir string) error {
	src, err := layout.Open(dir)
	if err != nil {
		return err
	}
	return readSource(ctx, g, src)
}

// readSource reads and closes a source.
func readSource(ctx context.Context, g *conformance.Graph, src transport.Source) error {
	defer func() { _ = src.Close() }()
	images, err := src.Images(ctx, "")
	if err != nil {
		return err
	}
	if _, err := src.Manifest(ctx, images[0], images[0].Root); err != nil {
		return err
	}
	for _, d := range g.Blobs() {
		rc, err := src.Blob(ctx, images[0], d)
		if err != nil {
			return err
		}
		v, err := blob.NewReader(rc, d.Digest, d.Size)
		if err == nil {
			_, err = io.Copy(io.Discard, v)
		}
		if cerr := rc.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func put(t *testing.T, file, content string) {
	t.Helper()
	must(t, os.WriteFile(file, []byte(content), 0o644))
}

func link(t *testing.T, to, name string) {
	t.Helper()
	if err := os.Symlink(to, name); err != nil {
		if runtime.GOOS == "windows" {
			parts.Missing(t, "the privilege to make symbolic links")
		}
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
