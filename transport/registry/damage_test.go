package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/parts"
)

// liar answers every request but the first contact.
func liar(t testing.TB, answer http.HandlerFunc) (host string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

const manifestText = `{"schemaVersion":2,"config":{},"layers":[]}`

func TestResolveDamaged(t *testing.T) {
	good := digest.FromString(manifestText)
	other := digest.FromString("other")
	for _, c := range []struct {
		name, selector string
		answer         http.HandlerFunc
		kind           error
		says           string
	}{
		{"not what was asked for", "app@" + other.String(), serve(v1.MediaTypeImageManifest, "", manifestText), fault.ErrDamaged, other.String()},
		{"not what the header says", "app:1", serve(v1.MediaTypeImageManifest, other.String(), manifestText), fault.ErrDamaged, other.String()},
		{"header right, name wrong", "app@" + other.String(), serve(v1.MediaTypeImageManifest, good.String(), manifestText), fault.ErrDamaged, other.String()},
		{"header malformed", "app:1", serve(v1.MediaTypeImageManifest, "sha256:beef", manifestText), fault.ErrDamaged, "beef"},
		{"no manifest", "app:1", serve("text/html", "", "<html>log in first</html>"), fault.ErrDamaged, "text/html"},
		{"cut short", "app:1", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, manifestText)
		}, io.ErrUnexpectedEOF, "broke"},
		{"too long, and says so", "app:1", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(transport.MaxManifest+1))
			w.WriteHeader(http.StatusOK)
		}, fault.ErrDamaged, "limit"},
		{"endless", "app:1", func(w http.ResponseWriter, r *http.Request) {
			for b := bytes.Repeat([]byte(" "), 1<<16); r.Context().Err() == nil; {
				if _, err := w.Write(b); err != nil {
					return
				}
			}
		}, fault.ErrDamaged, "limit"},
		{"schema 1 by its type", "app:1", serve("application/vnd.docker.distribution.manifest.v1+prettyjws", "", `{"schemaVersion":1}`), fault.ErrUnsupported, "schema 1"},
		{"schema 1 by its content", "app:1", serve("application/json", "", `{"schemaVersion":1,"fsLayers":[]}`), fault.ErrUnsupported, "schema 1"},
		{"something else", "app:1", serve("application/vnd.example.thing+json", "", `{"schemaVersion":2}`), fault.ErrUnsupported, "example.thing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := liar(t, c.answer) + "/" + c.selector
			_, err := newTestClient(t, Options{}).Source().Images(t.Context(), name)
			if !errors.Is(err, c.kind) {
				t.Errorf("%v, want %v", err, c.kind)
			}
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "resolve "+strings.Split(name, "@")[0]) {
				t.Errorf("%v does not say %q", err, c.says)
			}
		})
	}
}

func serve(mediaType, header, content string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		if header != "" {
			w.Header().Set(digestHeader, header)
		}
		_, _ = io.WriteString(w, content)
	}
}

// TestResolveKeepsTheAlgorithm takes another digest algorithm from the
// registry, and does without one that cannot be computed.
func TestResolveKeepsTheAlgorithm(t *testing.T) {
	for _, c := range []struct{ header, want string }{
		{digest.SHA512.FromString(manifestText).String(), digest.SHA512.FromString(manifestText).String()},
		{"blake3:00", digest.FromString(manifestText).String()},
		{"", digest.FromString(manifestText).String()},
	} {
		host := liar(t, serve(v1.MediaTypeImageManifest, c.header, manifestText))
		if img := one(t, newTestClient(t, Options{}).Source(), host+"/app:1"); img.Root.Digest.String() != c.want {
			t.Errorf("%q: %s", c.header, img.Root.Digest)
		}
	}
}

func TestManifestDamaged(t *testing.T) {
	good := v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromString(manifestText), Size: int64(len(manifestText))}
	host := liar(t, serve(good.MediaType, "", manifestText))
	src := newTestClient(t, Options{}).Source()
	in := at(t, transport.Image{}, host+"/app:1")
	if _, err := src.Manifest(t.Context(), in, good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*v1.Descriptor){
		"digest": func(d *v1.Descriptor) { d.Digest = digest.FromString("other") },
		"longer": func(d *v1.Descriptor) { d.Size++ },
		"less":   func(d *v1.Descriptor) { d.Size-- },
		"huge":   func(d *v1.Descriptor) { d.Size = transport.MaxManifest + 1 },
		"minus":  func(d *v1.Descriptor) { d.Size = -1 },
		"path":   func(d *v1.Descriptor) { d.Digest = "../../_catalog" },
	} {
		d := good
		change(&d)
		if _, err := src.Manifest(t.Context(), in, d); !errors.Is(err, fault.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBlobDamaged(t *testing.T) {
	d, _ := bytesOpener([]byte("content"))
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		kind   error
	}{
		{"other bytes", serve("", "", "Content"), fault.ErrDamaged},
		{"short", serve("", "", "conten"), fault.ErrDamaged},
		{"long", serve("", "", "content "), fault.ErrDamaged},
		{"long without a length", func(w http.ResponseWriter, _ *http.Request) {
			for range 1000 {
				_, _ = io.WriteString(w, "content")
			}
		}, fault.ErrDamaged},
		{"cut", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(d.Size))
			_, _ = io.WriteString(w, "con")
		}, io.ErrUnexpectedEOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := at(t, transport.Image{}, liar(t, c.answer)+"/app:1")
			_, err := readBlob(t, newTestClient(t, Options{}).Source(), in, d)
			if !errors.Is(err, c.kind) || errors.Is(err, io.EOF) {
				t.Errorf("%v, want %v", err, c.kind)
			}
		})
	}
}

// TestStoredAsSomethingElse pushes through something that rewrites manifests.
func TestStoredAsSomethingElse(t *testing.T) {
	other := digest.FromString("rewritten")
	reg := parts.MemoryRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && isManifest(r) {
				w.Header().Set(digestHeader, other.String())
				w.WriteHeader(http.StatusCreated)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	d := v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromString(manifestText), Size: int64(len(manifestText))}
	images := []transport.Image{at(t, transport.Image{Root: d}, reg.Image("app:1"))}
	err := newTestClient(t, Options{}).Sink().WriteManifest(t.Context(), d, images, []byte(manifestText))
	if !errors.Is(err, fault.ErrDamaged) || !strings.Contains(err.Error(), other.String()) || fault.Hint(err) == "" {
		t.Errorf("%v", err)
	}
}

// TestHasDamagedBlob meets a registry whose copy has another size.
func TestHasDamagedBlob(t *testing.T) {
	d, _ := bytesOpener([]byte("content"))
	for length, want := range map[string]error{"3": fault.ErrDamaged, "0": nil, "7": nil} {
		host := liar(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", length) })
		ok, err := newTestClient(t, Options{}).Sink().Has(t.Context(), d, []transport.Image{at(t, transport.Image{}, host+"/app:1")})
		if ok != (want == nil) || !errors.Is(err, want) {
			t.Errorf("length %s: %t, %v", length, ok, err)
		}
	}
}
