package registry

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	ggcr "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/parts"
)

func TestSourceResolves(t *testing.T) {
	reg := parts.Registry(t)
	image := pushImage(t, reg.Image("team/app:1.0"))
	index := pushIndex(t, reg.Image("a:multi")) // a name of one letter
	ih, xh := hashOf(t, image), hashOf(t, index)
	src := newTestClient(t, Options{}).Source()

	for _, c := range []struct {
		selector, mediaType string
		digest              digest.Digest
		raw                 interface{ RawManifest() ([]byte, error) }
		name                string
	}{
		{"team/app:1.0", mediaTypeOfGGCR(t, image), ih, image, "team/app:1.0"},
		{"team/app@" + ih.String(), mediaTypeOfGGCR(t, image), ih, image, "team/app@" + ih.String()},
		{"team/app:1.0@" + ih.String(), mediaTypeOfGGCR(t, image), ih, image, "team/app:1.0@" + ih.String()},
		{"a:multi", v1.MediaTypeImageIndex, xh, index, "a:multi"},
		{"a@" + xh.String(), v1.MediaTypeImageIndex, xh, index, "a@" + xh.String()},
	} {
		t.Run(c.selector, func(t *testing.T) {
			img := one(t, src, reg.Image(c.selector))
			want, err := c.raw.RawManifest()
			if err != nil {
				t.Fatal(err)
			}
			if img.Root.Digest != c.digest || img.Root.MediaType != c.mediaType || img.Root.Size != int64(len(want)) {
				t.Errorf("root %+v", img.Root)
			}
			if img.Name.String() != reg.Image(c.name) {
				t.Errorf("name %s", img.Name)
			}
			got, err := src.Manifest(t.Context(), img, img.Root)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("manifest %q, %v", got, err)
			}
		})
	}
}

func TestSourceReadsChildrenAndBlobs(t *testing.T) {
	reg := parts.Registry(t)
	index := pushIndex(t, reg.Image("app:1"))
	src := newTestClient(t, Options{}).Source()
	root := one(t, src, reg.Image("app:1"))
	im, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, child := range im.Manifests {
		d := v1.Descriptor{MediaType: string(child.MediaType), Digest: digest.Digest(child.Digest.String()), Size: child.Size}
		img, err := index.Image(child.Digest)
		if err != nil {
			t.Fatal(err)
		}
		want, err := img.RawManifest()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := src.Manifest(t.Context(), root, d); err != nil || !bytes.Equal(got, want) {
			t.Errorf("child %s: %q, %v", d.Digest, got, err)
		}
		m, err := img.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range m.Layers {
			layer, err := img.LayerByDigest(l.Digest)
			if err != nil {
				t.Fatal(err)
			}
			rc, err := layer.Compressed()
			if err != nil {
				t.Fatal(err)
			}
			want, err := io.ReadAll(rc)
			if err != nil {
				t.Fatal(err)
			}
			got, err := readBlob(t, src, root, v1.Descriptor{Digest: digest.Digest(l.Digest.String()), Size: l.Size})
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("layer %s: %d bytes, %v", l.Digest, len(got), err)
			}
		}
	}
}

func TestSourceRemembersTheRoot(t *testing.T) {
	var j journal
	reg := parts.MemoryRegistry(t, j.wrap)
	pushImage(t, reg.Image("app:1"))
	src := newTestClient(t, Options{}).Source()
	before := j.count(isManifest)
	img := one(t, src, reg.Image("app:1"))
	if _, err := src.Manifest(t.Context(), img, img.Root); err != nil {
		t.Fatal(err)
	}
	if n := j.count(isManifest) - before; n != 1 {
		t.Errorf("%d requests for manifests, want 1", n)
	}
}

func isManifest(r *http.Request) bool { return strings.Contains(r.URL.Path, "/manifests/") }

func TestSourceMissing(t *testing.T) {
	reg := parts.Registry(t)
	pushImage(t, reg.Image("app:1"))
	src := newTestClient(t, Options{}).Source()
	for _, selector := range []string{
		"app:2", "other:1", "app@" + digest.FromString("no").String(), "other@" + digest.FromString("no").String(),
	} {
		_, err := src.Images(t.Context(), reg.Image(selector))
		if !errors.Is(err, fault.ErrMissing) || err.Error() != "no such image "+reg.Image(selector) {
			t.Errorf("%s: %v", selector, err)
		}
		if h := fault.Hint(err); !strings.Contains(h, "spelling") || !strings.Contains(h, "docker login "+reg.Addr) {
			t.Errorf("%s: hint %q", selector, h)
		}
	}
	img := one(t, src, reg.Image("app:1"))
	no := v1.Descriptor{Digest: digest.FromString("no"), Size: 2}
	if _, err := src.Blob(t.Context(), img, no); !errors.Is(err, fault.ErrMissing) || !strings.Contains(err.Error(), no.Digest.String()) ||
		!strings.Contains(fault.Hint(err), "whole image") {
		t.Errorf("blob: %v", err)
	}
	if _, err := src.Manifest(t.Context(), img, no); !errors.Is(err, fault.ErrMissing) || !strings.Contains(err.Error(), no.Digest.String()) {
		t.Errorf("manifest: %v", err)
	}
}

func TestSourceUsage(t *testing.T) {
	src := newTestClient(t, Options{}).Source()
	for _, selector := range []string{"", "localhost:5000/Upper/case", "app:no:such", strings.Repeat("a", transport.MaxName+1)} {
		if _, err := src.Images(t.Context(), selector); !errors.Is(err, fault.ErrUsage) {
			t.Errorf("%.20q: %v", selector, err)
		}
	}
}

// TestSourceFollowsToStorage reads from a registry that keeps its blobs
// elsewhere, and whose storage must not see the registry's credentials.
func TestSourceFollowsToStorage(t *testing.T) {
	want := []byte("stored elsewhere")
	d, _ := bytesOpener(want)
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			http.Error(w, "credentials were sent on", http.StatusBadRequest)
			return
		}
		_, _ = w.Write(want)
	}))
	t.Cleanup(storage.Close)
	reg := parts.MemoryRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, _, ok := r.BasicAuth(); !ok {
				w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			if strings.Contains(r.URL.Path, "/blobs/") {
				http.Redirect(w, r, storage.URL+"/x?signature=secret", http.StatusTemporaryRedirect)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	src := newTestClient(t, Options{Keychain: account{"user", "password"}}).Source()
	img := at(t, transport.Image{}, reg.Image("app:1"))
	if got, err := readBlob(t, src, img, d); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%q, %v", got, err)
	}

	storage.Close()
	_, err := readBlob(t, src, img, d)
	if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(fault.Hint(err), "secret") {
		t.Errorf("storage that is down: %v", err)
	}
}

func readBlob(t testing.TB, src transport.Source, in transport.Image, d v1.Descriptor) ([]byte, error) {
	t.Helper()
	rc, err := openerOf(src, in, d)(t.Context())
	if err != nil {
		return nil, err
	}
	defer func() { _ = rc.Close() }()
	return io.ReadAll(rc)
}

func hashOf(t testing.TB, x interface{ Digest() (ggcr.Hash, error) }) digest.Digest {
	t.Helper()
	h, err := x.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.Digest(h.String())
}

func mediaTypeOfGGCR(t testing.TB, img ggcr.Image) string {
	t.Helper()
	m, err := img.MediaType()
	if err != nil {
		t.Fatal(err)
	}
	return string(m)
}
