package archive_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport/archive"
	"bale/transport/conformance"
	"bale/transport/layout"
)

// TestCloseLayout reads a tar that was ended as a layout, of which not all is there.
func TestCloseLayout(t *testing.T) {
	set := conformance.New(t, "example")
	plain := set.Image(t, "plain")
	layer := set.Graph(t, plain).Layers[0]
	var tar bytes.Buffer
	w := archive.NewWriter(&tar)
	for _, d := range []v1.Descriptor{layer, plain.Root} {
		if err := w.WriteBlob(d, bytes.NewReader(set.Content[d.Digest])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.CloseLayout(v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{plain.Root}}); err != nil {
		t.Fatal(err)
	}
	src, err := layout.OpenTar(t.Context(), bytes.NewReader(tar.Bytes()), int64(tar.Len()), "the tar")
	if err != nil {
		t.Fatal(err)
	}
	list, err := src.Images(t.Context(), "")
	if err != nil || len(list) != 1 || list[0].Root.Digest != plain.Root.Digest {
		t.Fatalf("%v, %v", list, err)
	}
	r, err := src.Blob(t.Context(), list[0], layer)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, set.Content[layer.Digest]) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
}
