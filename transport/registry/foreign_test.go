package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/parts"
)

const foreignLayer = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

// TestForeignLayer reads layers that registries do not keep from where their
// descriptors say.
func TestForeignLayer(t *testing.T) {
	whole := large(1 << 20)
	d, open := bytesOpener(whole)
	d.MediaType = foreignLayer
	var asked atomic.Int32
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Authorization") != "" {
			t.Error("credentials were sent to a stranger")
		}
		switch r.URL.Path {
		case "/layer":
			cut(w, r, whole, 300_000)
		case "/moved":
			http.Redirect(w, r, "/layer", http.StatusFound)
		case "/other":
			_, _ = w.Write(whole[1:])
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(web.Close)
	const user, password = "someone", "correct horse"
	reg := parts.Registry(t, parts.WithBasicAuth(user, password))
	c := newTestClient(t, Options{Keychain: account{user, password}})
	in := at(t, transport.Image{}, reg.Image("app:1"))
	kept := at(t, transport.Image{}, reg.Image("kept:1"))
	if err := c.Sink().WriteBlob(t.Context(), d, []transport.Image{kept}, open); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name  string
		in    transport.Image
		mt    string
		urls  []string
		kind  error
		says  string
		asked bool
	}{
		{"there", in, "", []string{web.URL + "/layer"}, nil, "", true},
		{"the second", in, "", []string{web.URL + "/none", "gopher://example.com/x", web.URL + "/moved"}, nil, "", true},
		{"kept by the registry", kept, "", []string{web.URL + "/layer"}, nil, "", false},
		{"not there", in, "", []string{web.URL + "/none"}, fault.ErrMissing, "no such foreign layer", true},
		{"other content", in, "", []string{web.URL + "/other"}, fault.ErrDamaged, "", true},
		{"no address", in, "", nil, fault.ErrMissing, "no such blob", false},
		{"not foreign", in, v1.MediaTypeImageLayerGzip, []string{web.URL + "/layer"}, fault.ErrMissing, "no such blob", false},
		{"a file", in, "", []string{"file:///etc/passwd"}, fault.ErrMissing, "no web address", false},
		{"credentials", in, "", []string{"http://me:secret@" + strings.TrimPrefix(web.URL, "http://") + "/layer"}, fault.ErrMissing, "holds credentials", false},
		{"plain http", in, "", []string{"http://layers.example.com/x"}, fault.ErrMissing, "plain http", false},
		{"too many", in, "", append(make([]string, maxForeignURLs), web.URL+"/layer"), fault.ErrMissing, "no web address", false},
	} {
		t.Run(x.name, func(t *testing.T) {
			asked.Store(0)
			d := d
			d.URLs = x.urls
			if x.mt != "" {
				d.MediaType = x.mt
			}
			got, err := readBlob(t, c.Source(), x.in, d)
			switch {
			case x.kind == nil && (err != nil || !bytes.Equal(got, whole)):
				t.Errorf("%d bytes, %v", len(got), err)
			case x.kind != nil && (!errors.Is(err, x.kind) || !strings.Contains(err.Error(), x.says) || strings.Contains(err.Error(), "secret")):
				t.Errorf("%v, want %v, %q", err, x.kind, x.says)
			}
			if (asked.Load() > 0) != x.asked {
				t.Errorf("%d requests to the addresses", asked.Load())
			}
		})
	}
}

// TestForeignLayerOfAnotherMachine must not lead a reader into this one.
func TestForeignLayerOfAnotherMachine(t *testing.T) {
	var asked atomic.Int32
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v2/":
		case strings.HasPrefix(r.URL.Path, "/v2/"):
			http.NotFound(w, r)
		case r.URL.Path == "/away":
			http.Redirect(w, r, "https://127.0.0.1/inside", http.StatusFound)
		default:
			asked.Add(1)
		}
	}))
	t.Cleanup(s.Close)
	c := newTestClient(t, Options{SkipTLSVerify: true, dial: dialTo(s.Listener.Addr().String())})
	d, _ := bytesOpener([]byte("x"))
	d.MediaType = foreignLayer
	d.URLs = []string{"https://127.0.0.1/inside", "https://localhost:5000/inside", "https://layers.example.com/away"}
	_, err := c.Source().Blob(t.Context(), at(t, transport.Image{}, "registry.example.com/app:1"), d)
	if err == nil || strings.Count(err.Error(), "loopback") != 3 || asked.Load() != 0 {
		t.Errorf("%v, %d requests", err, asked.Load())
	}
}

// A registry that takes no references to layers elsewhere is told for what it
// is, and what helps.
func TestForeignLayerRefused(t *testing.T) {
	reg := parts.Registry(t)
	c := newTestClient(t, Options{})
	img := at(t, transport.Image{}, reg.Image("windows:1"))
	config, open := bytesOpener([]byte("{}"))
	config.MediaType = v1.MediaTypeImageConfig
	sink := c.Sink()
	if err := sink.WriteBlob(t.Context(), config, []transport.Image{img}, open); err != nil {
		t.Fatal(err)
	}
	content, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": transport.DockerManifest, "config": v1.Descriptor{MediaType: transport.DockerConfig, Digest: config.Digest, Size: config.Size},
		"layers": []v1.Descriptor{{MediaType: foreignLayer, Digest: digest.FromString("elsewhere"), Size: 9, URLs: []string{"https://publisher.example/layer"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	d := v1.Descriptor{MediaType: transport.DockerManifest, Digest: digest.FromBytes(content), Size: int64(len(content))}
	err = sink.WriteManifest(t.Context(), d, []transport.Image{img}, content)
	if !errors.Is(err, fault.ErrUnsupported) || !strings.Contains(fault.Hint(err), "--foreign-layers") {
		t.Errorf("%v (hint %q), want an ErrUnsupported", err, fault.Hint(err))
	}
}
