package bale_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/bundle/index"
	"bale/transport"
	"bale/transport/bale"
	"bale/transport/conformance"
)

// app is an image in its releases: one layer changes, two do not, one of which
// is too small to be taken apart.
func app(t *testing.T, n byte) *conformance.Set {
	t.Helper()
	r := newRaw(t)
	var layers []v1.Descriptor
	for _, l := range [][]byte{
		layerOf(t, 1, map[string][]byte{"base/lib": twice(noise(10, 300_000))}),
		layerOf(t, 1, map[string][]byte{"lib/app": twice(changed(noise(1, 300_000), n)), "share/same": twice(noise(2, 100_000))}),
		layerOf(t, 1, map[string][]byte{"entrypoint": []byte("#!/bin/sh\n")}),
	} {
		layers = append(layers, r.blob(v1.MediaTypeImageLayerGzip, gzipped(t, l, 6)))
	}
	config := r.json(v1.MediaTypeImageConfig, map[string]int{"release": int(n)})
	root := r.json(v1.MediaTypeImageManifest, v1.Manifest{MediaType: v1.MediaTypeImageManifest, Config: config, Layers: layers})
	name, err := transport.ParseName(team + "/app:1")
	must(t, err)
	return &conformance.Set{Images: []transport.Image{{Name: name, Root: root}}, Content: r.content}
}

// twice repeats what is too far away for gzip to see.
func twice(b []byte) []byte { return append(bytes.Clone(b), b...) }

// reader opens a bundle or a receipt as a base.
func reader(t *testing.T, path string) *bundle.Reader {
	t.Helper()
	return reopened(t, path)
}

// The sink leaves out what bases hold, whatever they are.
func TestSinkOfUpdates(t *testing.T) {
	old, next := app(t, 1), app(t, 2)
	o := fixed(filepath.Join(t.TempDir(), "1.bale"))
	o.Preparer = &bundle.Preparer{}
	o.Receipt = filepath.Join(t.TempDir(), "1.receipt")
	_, err := save(t.Context(), o, old.Source(), old.Images, transport.Options{SpoolDir: t.TempDir()})
	must(t, err)
	full := fixed(filepath.Join(t.TempDir(), "2.bale"))
	full.Preparer = &bundle.Preparer{}
	fullSize, err := save(t.Context(), full, next.Source(), next.Images, transport.Options{SpoolDir: t.TempDir()})
	must(t, err)

	var requests []transport.Request
	for _, i := range old.Images {
		requests = append(requests, transport.Request{Source: old.Source(), Image: i, Target: i.Name})
	}
	scratch, err := bale.NewScratch(t.Context(), requests, t.TempDir(), transport.Options{})
	must(t, err)
	defer func() { must(t, scratch.Close()) }()
	again, err := bale.NewScratch(t.Context(), requests, t.TempDir(), transport.Options{})
	must(t, err)
	defer func() { must(t, again.Close()) }()
	if scratch.Header().ID != again.Header().ID {
		t.Error("the same images have another id")
	}
	for name, c := range map[string]struct {
		base  *bundle.Reader
		held  int   // blobs that are not read
		limit int64 // per cent of a full bundle
	}{
		"bundle":   {reader(t, o.Path), 1, 5},
		"receipt":  {reader(t, o.Receipt), 1, 60},
		"a place":  {scratch.Reader, 0, 5},
		"scratch2": {again.Reader, 0, 5},
	} {
		t.Run(name, func(t *testing.T) {
			var want []byte
			for range 2 {
				u := fixed(filepath.Join(t.TempDir(), "update.bale"))
				u.Preparer = &bundle.Preparer{}
				u.Writer.Bases = []*bundle.Reader{c.base}
				size, err := save(t.Context(), u, next.Source(), next.Images, transport.Options{SpoolDir: t.TempDir()})
				must(t, err)
				if 100*size > c.limit*fullSize {
					t.Errorf("%d bytes of %d, over %d %%", size, fullSize, c.limit)
				}
				got, err := os.ReadFile(u.Path)
				must(t, err)
				if want != nil && !bytes.Equal(want, got) {
					t.Error("other bytes the second time")
				}
				want = got

				src := mustOpen(t, u.Path)
				must(t, bale.Complete(t.Context(), src.r))
				bases := bale.NewBases(t.TempDir())
				defer func() { must(t, bases.Close()) }()
				src.BuildOn(bases)
				blobs := next.Graph(t, next.Images...)
				var needed, raws int
				for _, b := range blobs.Blobs() {
					if !src.r.Carries(b.Digest) {
						needed++
					}
					if x, ok := src.r.Index().Blob(b.Digest); ok && x.Recipe == index.Deflate {
						raws++
					}
				}
				if needed != 2 || raws != 2 {
					t.Errorf("%d blobs need the base, %d are taken apart", needed, raws)
				}
				rc, err := src.Blob(t.Context(), next.Images[0], blobs.Layers[0])
				if err == nil {
					_, err = rc.Read(make([]byte, 1))
					_ = rc.Close()
				}
				if !errors.Is(err, fault.ErrMissing) {
					t.Errorf("without its base: %v", err)
				}
				bases.AddBundle(o.Path, reader(t, o.Path))
				wantWhole(t, src, next, next.Images...)
			}
		})
	}
}

func TestReceiptInPlaceOfTheBundle(t *testing.T) {
	dir := t.TempDir()
	o := fixed(filepath.Join(dir, "1.bale"))
	o.Receipt, o.Overwrite = dir+"/./1.bale", true
	if _, err := bale.NewSink(o); !errors.Is(err, fault.ErrUsage) {
		t.Fatal(err)
	}
	if got := ls(t, dir); len(got) > 0 {
		t.Errorf("left %v", got)
	}
}
