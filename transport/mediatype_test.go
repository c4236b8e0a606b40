package transport_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
)

// Media types that have no constant here.
const (
	dockerForeign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
	ociForeign    = "application/vnd.oci.image.layer.nondistributable.v1.tar"
)

func TestMediaTypes(t *testing.T) {
	for mediaType, want := range map[string]struct{ index, manifest, foreign bool }{
		v1.MediaTypeImageIndex:          {index: true},
		transport.DockerIndex:           {index: true},
		v1.MediaTypeImageManifest:       {manifest: true},
		transport.DockerManifest:        {manifest: true},
		transport.DockerSchema1:         {},
		transport.DockerSchema1Signed:   {},
		dockerForeign:                   {foreign: true},
		ociForeign:                      {foreign: true},
		ociForeign + "+gzip":            {foreign: true},
		ociForeign + "+zstd":            {foreign: true},
		ociForeign + "+xz":              {},
		v1.MediaTypeImageLayerGzip:      {},
		v1.MediaTypeImageIndex + ";q=1": {},
		"":                              {},
	} {
		if got := transport.IsIndex(mediaType); got != want.index {
			t.Errorf("IsIndex(%q) = %t", mediaType, got)
		}
		if got := transport.IsManifest(mediaType); got != want.manifest {
			t.Errorf("IsManifest(%q) = %t", mediaType, got)
		}
		if got := transport.IsForeign(mediaType); got != want.foreign {
			t.Errorf("IsForeign(%q) = %t", mediaType, got)
		}
	}
}

// A layer that its publisher keeps to itself is left out and told of; one that
// was pushed all the same, and so has no URL to get it from, is copied.
func TestForeignLayers(t *testing.T) {
	lib := newLibrary(t)
	foreign := func(mediaType string) v1.Descriptor {
		return v1.Descriptor{MediaType: mediaType, Digest: digest.FromString(mediaType), Size: 1 << 30, URLs: []string{"https://publisher.example/layer"}}
	}
	pushed := lib.blob(dockerForeign, []byte("pushed"))
	own := lib.layer("own")
	left := []v1.Descriptor{foreign(dockerForeign), foreign(ociForeign), foreign(ociForeign + "+zstd")}
	img := lib.name(team+"/windows:1", lib.image(amd64, slices.Concat(left, []v1.Descriptor{pushed, own})...))
	for _, ordered := range []bool{false, true} {
		var s spy
		s.props.Ordered = ordered
		var place conformance.Memory
		plan, err := transport.Copy(t.Context(), all(s.source(lib.Source()), img), s.sink(&place), transport.Options{})
		must(t, err)
		var got []digest.Digest
		for _, o := range plan.Images[0].Omitted {
			got = append(got, o.Descriptor.Digest)
			if o.Reason != transport.ForeignLayer || o.Descriptor.Size != 1<<30 {
				t.Errorf("left out %+v", o)
			}
		}
		if !slices.Equal(got, digests(left)) {
			t.Errorf("left out %v, want %v", got, digests(left))
		}
		if blobs := s.of("blob"); !slices.Contains(blobs, pushed.Digest) || !slices.Contains(blobs, own.Digest) || len(blobs) != 3 {
			t.Errorf("wrote %v", blobs)
		}
		if n, _ := plan.Bytes(); n >= 1<<30 || plan.Images[0].Size >= 1<<30 {
			t.Errorf("%d bytes to copy, image of %d: what is left out counts", n, plan.Images[0].Size)
		}
	}
}

// What is no image is refused before anything is written.
func TestRootsOfOtherTypes(t *testing.T) {
	lib := newLibrary(t)
	root := lib.image(amd64, lib.layer("x"))
	for mediaType, kind := range map[string]error{
		transport.DockerSchema1:       fault.ErrUnsupported,
		transport.DockerSchema1Signed: fault.ErrUnsupported,
		"application/json":            fault.ErrUnsupported,
		"":                            fault.ErrUnsupported,
		transport.DockerManifest:      fault.ErrDamaged, // it says itself that it is another
		v1.MediaTypeImageIndex:        fault.ErrDamaged,
	} {
		img := transport.Image{Name: name(t, team+"/x:1"), Root: v1.Descriptor{MediaType: mediaType, Digest: root.Digest, Size: root.Size}}
		wantRefused(t, "root of type "+mediaType, lib, kind, img)
		child := root
		child.MediaType = mediaType
		if mediaType == "application/json" {
			continue // see TestChildrenThatAreNoManifests
		}
		wantRefused(t, "child of type "+mediaType, lib, kind, lib.name(team+"/x:1", lib.index(child)))
	}
}

// wantRefused fails the test unless copying img fails with kind, at the source,
// before anything is written.
func wantRefused(t *testing.T, what string, lib *library, kind error, img transport.Image) {
	t.Helper()
	var s spy
	var place conformance.Memory
	_, err := transport.Copy(t.Context(), all(s.source(lib.Source()), img), s.sink(&place), transport.Options{})
	var side *transport.Error
	if !errors.Is(err, kind) || !errors.As(err, &side) || side.Side != transport.AtSource {
		t.Errorf("%s: %v, want %v at the source", what, err, kind)
	}
	if calls := s.of("open", "blob", "write manifest", "commit"); len(calls) > 0 {
		t.Errorf("%s: %d calls although it was refused", what, len(calls))
	}
	wantEmpty(t, &place)
}
