package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/testscript"
)

// cmdRelease makes an OCI layout of one image, "release DIR NAME NUMBER": the
// how manieth release of a program. Each has all layers new, as rebuilt images
// do; in them a file that stays, a program of which little changes, and one file
// more than the release before.
func cmdRelease(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: release DIR NAME NUMBER")
	}
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	ts.Check(writeRelease(ts.MkAbs(args[0]), args[1], n, nil))
}

// releaseFile is one file of a release.
type releaseFile struct {
	name string
	data []byte
	mode int64
}

// releaseNoise is the same for a seed, and hardly compresses.
func releaseNoise(seed, size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b) // never fails
	return b
}

// releaseFiles are the files of a release.
func releaseFiles(n int) []releaseFile {
	app := releaseNoise(1000, 200_000)
	for i := range 16 {
		app[1000*i+n] ^= byte(n)
	}
	stays := releaseNoise(1001, 150_000)
	files := []releaseFile{
		{"opt/app", app, 0o755},
		{"opt/stays", bytes.Repeat(stays, 2), 0o644}, // gzip does not see that
	}
	for k := range n {
		files = append(files, releaseFile{fmt.Sprintf("opt/new-%d", k+1), releaseNoise(k+1, 40_000), 0o644})
	}
	return files
}

// writeRelease writes a release; with files that it has besides, also a layer
// that all releases share.
func writeRelease(dir, name string, n int, more []releaseFile) error {
	blobs := filepath.Join(dir, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return err
	}
	write := func(mediaType string, b []byte) (ocispec.Descriptor, error) {
		d := digest.FromBytes(b)
		return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(b))},
			os.WriteFile(filepath.Join(blobs, d.Encoded()), b, 0o644)
	}
	writeJSON := func(mediaType string, v any) (ocispec.Descriptor, error) {
		b, err := json.Marshal(v)
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		return write(mediaType, b)
	}
	raw, packed, err := releaseLayer(n, append(releaseFiles(n), more...))
	if err != nil {
		return err
	}
	layer, err := write(ocispec.MediaTypeImageLayerGzip, packed)
	if err != nil {
		return err
	}
	layers, diffIDs := []ocispec.Descriptor{layer}, []digest.Digest{digest.FromBytes(raw)}
	if len(more) > 0 {
		// A layer that all releases have, and that is not worth taking apart.
		raw, packed, err := releaseLayer(0, []releaseFile{{"opt/packed", releaseNoise(2000, 60_000), 0o644}})
		if err != nil {
			return err
		}
		base, err := write(ocispec.MediaTypeImageLayerGzip, packed)
		if err != nil {
			return err
		}
		layers, diffIDs = append([]ocispec.Descriptor{base}, layers...), append([]digest.Digest{digest.FromBytes(raw)}, diffIDs...)
	}
	config, err := writeJSON(ocispec.MediaTypeImageConfig, ocispec.Image{
		Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"},
		Config:   ocispec.ImageConfig{Cmd: []string{"/opt/busybox", "cat", "/opt/words"}},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: diffIDs},
	})
	if err != nil {
		return err
	}
	root, err := writeJSON(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config, Layers: layers,
	})
	if err != nil {
		return err
	}
	root.Annotations = map[string]string{"io.containerd.image.name": "docker.io/library/" + name}
	for file, v := range map[string]any{
		"index.json": ocispec.Index{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{root},
		},
		ocispec.ImageLayoutFile: ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion},
	} {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// releaseLayer makes a layer of files, and compresses it.
func releaseLayer(n int, files []releaseFile) (raw, packed []byte, err error) {
	var plain, zipped bytes.Buffer
	w := tar.NewWriter(&plain)
	for _, f := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Size: int64(len(f.data)), Mode: f.mode, ModTime: time.Unix(int64(n), 0)}
		if err := w.WriteHeader(h); err != nil {
			return nil, nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, nil, err
	}
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(plain.Bytes()); err != nil {
		return nil, nil, err
	}
	err = z.Close()
	return plain.Bytes(), zipped.Bytes(), err
}

// A release is what the scripts take it for.
func TestRelease(t *testing.T) {
	one, two := releaseFiles(1), releaseFiles(2)
	if len(two) != len(one)+1 || bytes.Equal(one[0].data, two[0].data) || !bytes.Equal(one[1].data, two[1].data) || !bytes.Equal(one[2].data, two[2].data) {
		t.Error("other files than promised")
	}
}
