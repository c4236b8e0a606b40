package bale_test

import (
	"bytes"
	"context"
	_ "crypto/sha256" // for go-digest
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle"
	"bale/bundle/index"
	"bale/transport"
	"bale/transport/bale"
	"bale/transport/conformance"
)

const team = "registry.example/team"

// anybody vouches for whatever it is shown.
type anybody struct{}

func (anybody) Vouches([]byte) error { return nil }

// opened is a source that owns its bundle's file.
type opened struct {
	*bale.Source
	r    *bundle.Reader
	file *bale.File
}

func (o *opened) Close() error { return o.file.Close() }

// open opens a bundle; the caller closes it.
func open(ctx context.Context, path string) (*opened, error) {
	f, err := bale.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	r, err := f.Trust(ctx, anybody{})
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &opened{bale.NewSource(r), r, f}, nil
}

// mustOpen opens a bundle until the test ends.
func mustOpen(t *testing.T, path string) *opened {
	t.Helper()
	o, err := open(t.Context(), path)
	must(t, err)
	t.Cleanup(func() { _ = o.Close() })
	return o
}

func fixed(path string) bale.SinkOptions {
	return bale.SinkOptions{Path: path, Fixed: true, Writer: bundle.WriterOptions{Created: time.Unix(1_800_000_000, 0), Creator: "test"}}
}

// save copies images into a bundle.
func save(ctx context.Context, o bale.SinkOptions, src transport.Source, images []transport.Image, c transport.Options) (size int64, err error) {
	sink, err := bale.NewSink(o)
	if err != nil {
		return 0, err
	}
	defer func() {
		if cerr := sink.Close(); err == nil {
			err = cerr
		}
	}()
	c.Planned = func(p *transport.Plan) error { return sink.Start(ctx, p) }
	var requests []transport.Request
	for _, img := range images {
		requests = append(requests, transport.Request{Source: src, Image: img, Target: img.Name})
	}
	_, err = transport.Copy(ctx, requests, sink, c)
	return sink.Size(), err
}

// saved returns a bundle of a whole set.
func saved(t *testing.T, set *conformance.Set) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "images.bale")
	_, err := save(t.Context(), fixed(path), set.Source(), set.Images, transport.Options{SpoolDir: t.TempDir()})
	must(t, err)
	return path
}

// savedApart returns one with layers taken apart.
func savedApart(t *testing.T, set *conformance.Set) string {
	t.Helper()
	o := fixed(filepath.Join(t.TempDir(), "images.bale"))
	o.Preparer = &bundle.Preparer{}
	_, err := save(t.Context(), o, set.Source(), set.Images, transport.Options{SpoolDir: t.TempDir()})
	must(t, err)
	return o.Path
}

// raw is a bundle that is written without the engine, so that it may lie.
type raw struct {
	*testing.T
	content map[digest.Digest][]byte
	images  []index.Image
	without map[digest.Digest]bool
}

func newRaw(t *testing.T) *raw {
	return &raw{t, make(map[digest.Digest][]byte), nil, make(map[digest.Digest]bool)}
}

func (r *raw) blob(mediaType string, data []byte) v1.Descriptor {
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	r.content[d.Digest] = data
	return d
}

func (r *raw) json(mediaType string, v any) v1.Descriptor {
	r.Helper()
	data, err := json.Marshal(v)
	must(r.T, err)
	return r.blob(mediaType, data)
}

func (r *raw) manifest(layers ...v1.Descriptor) v1.Descriptor {
	r.Helper()
	return r.json(v1.MediaTypeImageManifest, v1.Manifest{
		MediaType: v1.MediaTypeImageManifest, Config: r.blob(v1.MediaTypeImageConfig, []byte("{}")), Layers: layers})
}

func (r *raw) index(children ...v1.Descriptor) v1.Descriptor {
	r.Helper()
	return r.json(v1.MediaTypeImageIndex, v1.Index{MediaType: v1.MediaTypeImageIndex, Manifests: children})
}

func (r *raw) image(name string, root v1.Descriptor, omitted ...v1.Descriptor) {
	img := index.Image{Name: name, MediaType: root.MediaType, Digest: root.Digest, Size: root.Size}
	for _, o := range omitted {
		img.Omitted = append(img.Omitted, index.Omission{Digest: o.Digest, Reason: index.Foreign})
	}
	r.images = append(r.images, img)
}

// leave keeps something out of the bundle.
func (r *raw) leave(d v1.Descriptor) v1.Descriptor {
	r.without[d.Digest] = true
	return d
}

// write writes the bundle and opens it.
func (r *raw) write() *opened {
	r.Helper()
	ctx := r.Context()
	var b bytes.Buffer
	w, err := bundle.NewWriter(ctx, &b, fixed("").Writer)
	must(r.T, err)
	defer w.Abort()
	for d, data := range r.content {
		if !r.without[d] {
			must(r.T, w.AddBlob(ctx, d, int64(len(data)), bytes.NewReader(data), bundle.BlobOptions{Meta: true}))
		}
	}
	for _, i := range r.images {
		must(r.T, w.AddImage(i))
	}
	_, err = w.Finish(ctx)
	must(r.T, err)
	must(r.T, w.Close())
	path := filepath.Join(r.TempDir(), "raw.bale")
	must(r.T, os.WriteFile(path, b.Bytes(), 0o644))
	return mustOpen(r.T, path)
}

// wantWhole fails the test unless a place has a set's images, every byte.
func wantWhole(t *testing.T, src transport.Source, set *conformance.Set, images ...transport.Image) {
	t.Helper()
	for _, img := range images {
		found, err := src.Images(t.Context(), img.Name.String())
		if err != nil || len(found) != 1 || found[0].Root.Digest != img.Root.Digest {
			t.Errorf("%s: found %v, %v", img.Name, found, err)
			continue
		}
		g := set.Graph(t, img)
		for _, d := range append(g.Blobs(), g.Manifests...) {
			rc, err := src.Blob(t.Context(), found[0], d)
			if err != nil {
				t.Errorf("%s: %v", img.Name, err)
				continue
			}
			got, err := io.ReadAll(rc)
			_ = rc.Close()
			if err != nil || !bytes.Equal(got, set.Content[d.Digest]) {
				t.Errorf("%s: %s has other bytes (%v)", img.Name, d.Digest, err)
			}
		}
	}
}

// ls lists a folder.
func ls(t *testing.T, dir string) []string {
	t.Helper()
	files, err := os.ReadDir(dir)
	must(t, err)
	names := []string{}
	for _, f := range files {
		names = append(names, f.Name())
	}
	return names
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
