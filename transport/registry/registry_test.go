package registry

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/transport"
	"bale/transport/parts"
)

// quick keeps tests of retries short.
var quick = remote.Backoff{Duration: time.Millisecond, Factor: 1, Steps: 3}

// strangers is a keychain without credentials, so that no test reads those of
// the machine it runs on.
type strangers struct{}

func (strangers) Resolve(authn.Resource) (authn.Authenticator, error) { return authn.Anonymous, nil }

// account is a keychain with one account for every registry.
type account struct{ user, password string }

func (a account) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: a.user, Password: a.password}, nil
}

func newTestClient(t testing.TB, o Options) *Client {
	t.Helper()
	if o.Keychain == nil {
		o.Keychain = strangers{}
	}
	if o.Backoff.Steps == 0 {
		o.Backoff = quick
	}
	// Nor its mirrors and certificates.
	o.RegistriesConf = cmp.Or(o.RegistriesConf, os.DevNull)
	o.DaemonConfig = cmp.Or(o.DaemonConfig, os.DevNull)
	if o.CertDirs == nil {
		o.CertDirs = []string{}
	}
	c, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.wire.closeIdle)
	return c
}

// pushImage puts a random image into a registry by other means than bale's.
func pushImage(t testing.TB, ref string) ggcr.Image {
	t.Helper()
	img, err := random.Image(2048, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(parse(t, ref), img); err != nil {
		t.Fatal(err)
	}
	return img
}

// pushIndex is pushImage for an index of three images.
func pushIndex(t testing.TB, ref string) ggcr.ImageIndex {
	t.Helper()
	idx, err := random.Index(1024, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(parse(t, ref), idx); err != nil {
		t.Fatal(err)
	}
	return idx
}

func parse(t testing.TB, ref string) name.Reference {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// one resolves a name that must be there.
func one(t testing.TB, src transport.Source, selector string) transport.Image {
	t.Helper()
	images, err := src.Images(t.Context(), selector)
	if err != nil {
		t.Fatal(err)
	}
	if len(images) != 1 {
		t.Fatalf("%d images", len(images))
	}
	return images[0]
}

// at returns img under another name.
func at(t testing.TB, img transport.Image, name string) transport.Image {
	t.Helper()
	n, err := transport.ParseName(name)
	if err != nil {
		t.Fatal(err)
	}
	img.Name = n
	return img
}

// openerOf returns an Opener of a source's blob.
func openerOf(src transport.Source, in transport.Image, d v1.Descriptor) transport.Opener {
	return func(ctx context.Context) (io.ReadCloser, error) {
		rc, err := src.Blob(ctx, in, d)
		if err != nil {
			return nil, err
		}
		return blob.NewReader(rc, d.Digest, d.Size)
	}
}

// bytesOpener returns an Opener of b, and its descriptor.
func bytesOpener(b []byte) (v1.Descriptor, transport.Opener) {
	d := v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: digest.FromBytes(b), Size: int64(len(b))}
	return d, func(context.Context) (io.ReadCloser, error) {
		return blob.NewReader(bytes.NewReader(b), d.Digest, d.Size)
	}
}

// journal counts the requests that pass through it.
type journal struct {
	mu   sync.Mutex
	list []*http.Request
}

func (j *journal) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		j.mu.Lock()
		j.list = append(j.list, r.Clone(context.WithoutCancel(r.Context())))
		j.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

func (j *journal) count(match func(*http.Request) bool) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, r := range j.list {
		if match(r) {
			n++
		}
	}
	return n
}

// proxyTo passes requests on to a real registry, which sees the proxy's name
// in them and so sends its clients back to the proxy.
func proxyTo(part *parts.RegistryPart) http.Handler {
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: part.Addr})
		r.Out.Host = r.In.Host
	}}
}
