package main

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// largeBlob is more than a tar of 1988, 32 bits or a memory can say. The file
// is sparse; its digest is that of as many zeros.
const largeBlob = 10<<30 + 1

// A blob of ten gigabytes goes from a layout through a bundle into a registry,
// and into an archive, and an empty one beside it.
func TestVeryLargeBlob(t *testing.T) {
	if os.Getenv("BALE_TEST_REQUIRE") != "all" {
		t.Skip("takes minutes: set BALE_TEST_REQUIRE=all")
	}
	dir := t.TempDir()
	layout := filepath.Join(dir, "layout")
	zeros := sha256.New()
	if _, err := io.CopyN(zeros, zeroReader{}, largeBlob); err != nil {
		t.Fatal(err)
	}
	large := ocispec.Descriptor{MediaType: "application/vnd.example.model", Digest: digest.NewDigest(digest.SHA256, zeros), Size: largeBlob}
	write := func(mediaType string, b []byte) ocispec.Descriptor {
		d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
		if err := os.WriteFile(filepath.Join(layout, "blobs", "sha256", d.Digest.Encoded()), b, 0o600); err != nil {
			t.Fatal(err)
		}
		return d
	}
	if err := os.MkdirAll(filepath.Join(layout, "blobs", "sha256"), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(layout, "blobs", "sha256", large.Digest.Encoded()))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(largeBlob), f.Close()); err != nil {
		t.Fatal(err)
	}
	manifest, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: "application/vnd.example.model",
		Config: write(ocispec.MediaTypeEmptyJSON, []byte("{}")), Layers: []ocispec.Descriptor{large, write("text/plain", nil)},
	})
	if err != nil {
		t.Fatal(err)
	}
	root := write(ocispec.MediaTypeImageManifest, manifest)
	root.Annotations = map[string]string{ocispec.AnnotationRefName: "v1"}
	index, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []ocispec.Descriptor{root}})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"index.json": index, "oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`)} {
		if err := os.WriteFile(filepath.Join(layout, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	bundle := filepath.Join(dir, "large.bale")
	key, pub := testdata(t, "keys", "ed25519.pem"), testdata(t, "keys", "ed25519.pub")
	mustRun(t, "save", "-o", bundle, "--key", key, "oci:"+layout)
	reg := &hashingRegistry{uploads: make(map[string]hash.Hash), blobs: make(map[string]int64)}
	server := httptest.NewServer(reg)
	defer server.Close()
	mustRun(t, "load", "-i", bundle, "--key", pub, "--to", "docker://"+server.Listener.Addr().String())
	if n := reg.size(large.Digest.String()); n != largeBlob {
		t.Errorf("the registry has %d bytes of the blob, want %d", n, int64(largeBlob))
	}

	// Into a pipe, and out of it.
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		var errout strings.Builder
		code := run(context.Background(), []string{"copy", "oci:" + layout, "oci-archive:-"}, streams{in: strings.NewReader(""), out: w, err: &errout})
		if code != exitDone {
			done <- w.CloseWithError(fmt.Errorf("exit %d: %s", code, errout.String()))
			return
		}
		done <- w.Close()
	}()
	found := false
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		n, err := io.Copy(sum, tr)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(h.Name) == large.Digest.Encoded() {
			found = n == largeBlob && hex.EncodeToString(sum.Sum(nil)) == large.Digest.Encoded()
		}
	}
	if !found {
		t.Error("the blob is not in the archive")
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// hashingRegistry takes uploads and keeps no more of them than their digests.
type hashingRegistry struct {
	mu      sync.Mutex
	uploads map[string]hash.Hash
	blobs   map[string]int64
	sizes   map[string]int64
}

func (r *hashingRegistry) size(d string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.blobs[d]
}

func (r *hashingRegistry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	_, upload, _ := strings.Cut(req.URL.Path, "/blobs/uploads/")
	switch {
	case req.URL.Path == "/v2/":
	case req.Method == http.MethodPost:
		r.mu.Lock()
		id := fmt.Sprint(len(r.uploads))
		r.uploads[id] = sha256.New()
		r.mu.Unlock()
		w.Header().Set("Location", req.URL.Path+id)
		w.WriteHeader(http.StatusAccepted)
	case req.Method == http.MethodPatch || req.Method == http.MethodPut && upload != "":
		r.mu.Lock()
		h := r.uploads[upload]
		r.mu.Unlock()
		n, err := io.Copy(h, req.Body)
		if err != nil {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.sizes == nil {
			r.sizes = make(map[string]int64)
		}
		r.sizes[upload] += n
		if req.Method == http.MethodPatch {
			w.Header().Set("Location", req.URL.Path)
			w.Header().Set("Range", fmt.Sprintf("0-%d", r.sizes[upload]-1))
			w.WriteHeader(http.StatusAccepted)
			return
		}
		d := digest.NewDigest(digest.SHA256, h).String()
		if d != req.URL.Query().Get("digest") {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.blobs[d] = r.sizes[upload]
		w.Header().Set("Docker-Content-Digest", d)
		w.WriteHeader(http.StatusCreated)
	case req.Method == http.MethodPut:
		b, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		w.Header().Set("Docker-Content-Digest", digest.FromBytes(b).String())
		w.WriteHeader(http.StatusCreated)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}
