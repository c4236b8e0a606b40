package layout_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/layout"
)

var amd64 = v1.Platform{OS: "linux", Architecture: "amd64"}

// openTar opens a layout in memory.
func openTar(t *testing.T, content []byte) transport.Source {
	t.Helper()
	src, err := layout.OpenTar(t.Context(), bytes.NewReader(content), int64(len(content)), "oci-archive:images.tar")
	must(t, err)
	return src
}

// tarOf writes a set as a tar.
func tarOf(t *testing.T, set *conformance.Set, opts ...layout.Option) []byte {
	t.Helper()
	var b bytes.Buffer
	s := layout.NewTarSink(&b, "test", opts...)
	write(t, s, set)
	must(t, s.Commit(t.Context(), set.Images))
	must(t, s.Close())
	return b.Bytes()
}

func TestTarSource(t *testing.T) {
	set := conformance.New(t, team)
	content := tarOf(t, set, layout.Hybrid(amd64))
	conformance.Source(t, func(t *testing.T) transport.Source { return openTar(t, content) }, conformance.Want{
		Set:    set,
		Select: map[string]string{set.Image(t, "multi").Root.Digest.String(): team + "/multi:1.0"},
	})
}

func TestTarSink(t *testing.T) {
	for name, opts := range map[string][]layout.Option{"plain": nil, "hybrid": {layout.Hybrid(amd64)}} {
		t.Run(name, func(t *testing.T) {
			conformance.Sink(t, func(t *testing.T) conformance.Place {
				var last *bytes.Buffer
				return conformance.Place{
					Set: conformance.New(t, team),
					Sink: func(*testing.T) transport.Sink {
						last = new(bytes.Buffer)
						return layout.NewTarSink(last, "test", opts...)
					},
					Source: func(*testing.T) (transport.Source, error) {
						src, err := layout.OpenTar(t.Context(), bytes.NewReader(last.Bytes()), int64(last.Len()), "test")
						if errors.Is(err, fault.ErrDamaged) {
							return nil, fault.Missing("not complete: %w", err) // it was broken off
						}
						return src, err
					},
					Anew: true,
				}
			})
		})
	}
}

// The same calls give the same bytes, in which everything is there once.
func TestTarIsDeterministic(t *testing.T) {
	set := conformance.New(t, team)
	for name, opts := range map[string][]layout.Option{"plain": nil, "hybrid": {layout.Hybrid(amd64)}} {
		content := tarOf(t, set, opts...)
		if !bytes.Equal(content, tarOf(t, set, opts...)) {
			t.Errorf("%s: a second tar has other bytes", name)
		}
		seen := make(map[string]bool)
		for i, e := range tarEntries(t, content) {
			if seen[e.Name] {
				t.Errorf("%s: %s is there twice", name, e.Name)
			}
			seen[e.Name] = true
			if i == 0 && e.Name != "oci-layout" {
				t.Errorf("%s: it begins with %s", name, e.Name)
			}
		}
	}
}

// A blob over 8 GiB does not fit into the old form of a tar's headers. This one
// takes no room on the disk.
func TestLargeBlobInTar(t *testing.T) {
	const size = 9 << 30
	set := conformance.New(t, team).Only("plain")
	layer := v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: digest.FromString("large"), Size: size}
	var b bytes.Buffer
	b.Write(tarOf(t, set))
	b.Truncate(b.Len() - 1024) // of two empty blocks at its end
	must(t, tar.NewWriter(&b).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: blobName(layer.Digest), Size: size, Mode: 0o644}))
	path := filepath.Join(t.TempDir(), "images.tar")
	put(t, path, b.String())
	must(t, os.Truncate(path, int64(b.Len())+size))
	src, err := layout.OpenArchive(t.Context(), path)
	must(t, err)
	defer func() { _ = src.Close() }()
	rc, err := src.Blob(t.Context(), set.Images[0], layer)
	must(t, err)
	defer func() { _ = rc.Close() }()
	if n, err := io.CopyN(io.Discard, rc, 1<<20); err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	layer.Size--
	if _, err := src.Blob(t.Context(), set.Images[0], layer); !errors.Is(err, fault.ErrDamaged) {
		t.Errorf("with another size: %v, want an ErrDamaged", err)
	}
}
