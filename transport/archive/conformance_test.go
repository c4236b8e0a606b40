package archive_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
	"bale/transport/archive"
	"bale/transport/conformance"
)

const team = "registry.example/team"

var amd64 = v1.Platform{OS: "linux", Architecture: "amd64"}

// loadable are the suite's images that an archive can hold, its indexes
// resolved to one platform.
func loadable(t *testing.T) *conformance.Set {
	t.Helper()
	return conformance.New(t, team).Only("plain", "shared", "docker")
}

// TestSource reads what the sink wrote: an OCI layout with manifest.json.
func TestSource(t *testing.T) {
	set := loadable(t)
	path := filepath.Join(t.TempDir(), "images.tar")
	fill(t, path, set)
	plain := set.Image(t, "plain")
	conformance.Source(t, func(t *testing.T) transport.Source { return openFile(t, path) }, conformance.Want{
		Set: set,
		Select: map[string]string{
			"@0":                       team + "/plain:1.0",
			"@2":                       team + "/docker:1.0",
			plain.Root.Digest.String(): team + "/plain:1.0",
			configOf(t, set, plain):    team + "/plain:1.0",
		},
	})
}

func TestSink(t *testing.T) {
	conformance.Sink(t, func(t *testing.T) conformance.Place {
		dir := t.TempDir()
		path := filepath.Join(dir, "images.tar")
		return conformance.Place{
			Set: loadable(t),
			Sink: func(t *testing.T) transport.Sink {
				return newSink(t, path, archive.Platform(amd64), archive.Overwrite())
			},
			Source: func(t *testing.T) (transport.Source, error) { return archive.OpenFile(t.Context(), path) },
			Leftovers: func(t *testing.T) (left []string) {
				files, err := os.ReadDir(dir)
				must(t, err)
				for _, f := range files {
					if f.Name() != filepath.Base(path) {
						left = append(left, f.Name())
					}
				}
				return left
			},
			Anew: true,
		}
	})
}

func newSink(t *testing.T, path string, opts ...archive.Option) transport.Sink {
	t.Helper()
	s, err := archive.NewSink(path, opts...)
	must(t, err)
	return s
}

func openFile(t *testing.T, path string, opts ...archive.OpenOption) transport.Source {
	t.Helper()
	src, err := archive.OpenFile(t.Context(), path, opts...)
	must(t, err)
	return src
}

// fill writes a set to an archive.
func fill(t *testing.T, path string, set *conformance.Set, opts ...archive.Option) {
	t.Helper()
	s := newSink(t, path, append(opts, archive.Platform(amd64))...)
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	copyTo(t, s, set)
}

// copyTo copies a set as the engine does.
func copyTo(t *testing.T, s transport.Sink, set *conformance.Set) *transport.Plan {
	t.Helper()
	src := set.Source()
	var requests []transport.Request
	for _, img := range set.Images {
		requests = append(requests, transport.Request{Source: src, Image: img, Target: img.Name})
	}
	plan, err := transport.Copy(t.Context(), requests, s, transport.Options{})
	must(t, err)
	return plan
}

// configOf returns the digest of an image's config.
func configOf(t *testing.T, set *conformance.Set, img transport.Image) string {
	t.Helper()
	m, err := transport.ParseManifest(img.Root.MediaType, set.Content[img.Root.Digest])
	must(t, err)
	return m.Config.Digest.String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func gunzip(t *testing.T, b []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	must(t, err)
	raw, err := io.ReadAll(z)
	must(t, err)
	return raw
}

func gzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write(b)
	must(t, err)
	must(t, z.Close())
	return out.Bytes()
}

func zstdOf(t *testing.T, b []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	must(t, err)
	return z.EncodeAll(b, nil)
}

func unzstd(b []byte) ([]byte, error) {
	z, err := zstd.NewReader(nil)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return z.DecodeAll(b, nil)
}
