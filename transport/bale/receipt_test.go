package bale_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/bale"
	"bale/transport/conformance"
)

// The receipt that is made of a bundle later is the one that was written with
// it; it holds all images and their manifests, and no layer.
func TestReceipt(t *testing.T) {
	set := conformance.New(t, team)
	o := fixed(filepath.Join(t.TempDir(), "images.bale"))
	o.Receipt = filepath.Join(t.TempDir(), "images.receipt")
	o.Preparer = &bundle.Preparer{}
	_, err := save(t.Context(), o, set.Source(), set.Images, transport.Options{SpoolDir: t.TempDir()})
	must(t, err)
	src := mustOpen(t, o.Path)
	meta, err := bale.Metadata(t.Context(), src.r)
	must(t, err)
	var later bytes.Buffer
	must(t, src.r.WriteReceipt(t.Context(), &later, meta))
	atOnce, err := os.ReadFile(o.Receipt)
	must(t, err)
	if !bytes.Equal(later.Bytes(), atOnce) {
		t.Errorf("%d bytes later, %d at once", later.Len(), len(atOnce))
	}

	f, err := bale.Open(t.Context(), o.Receipt)
	must(t, err)
	defer func() { must(t, f.Close()) }()
	if _, err := f.Trust(t.Context(), anybody{}); !errors.Is(err, fault.ErrMissing) || fault.Hint(err) == "" {
		t.Errorf("%v, want an ErrMissing with a hint", err)
	}
	r, err := f.TrustIndex(t.Context(), anybody{})
	must(t, err)
	if !r.Detached() {
		t.Error("it has content")
	}
	must(t, bale.Complete(t.Context(), r))
	isMeta := make(map[digest.Digest]bool)
	for _, d := range meta {
		isMeta[d] = true
		rc, err := r.OpenBlob(t.Context(), d)
		must(t, err)
		must(t, rc.Close())
	}
	g := set.Graph(t, set.Images...)
	if len(g.Layers) == 0 || len(meta) == 0 {
		t.Fatal("there is nothing to compare")
	}
	for _, l := range g.Layers {
		if isMeta[l.Digest] {
			t.Errorf("layer %s is kept", l.Digest)
		}
	}
}
