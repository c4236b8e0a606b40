package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
)

// TestInterrupted ends the context while the registry thinks, at every call.
func TestInterrupted(t *testing.T) {
	d, open := bytesOpener([]byte("content"))
	m := v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromString(manifestText), Size: int64(len(manifestText))}
	for name, call := range map[string]func(context.Context, *Client, transport.Image) error{
		"Images": func(ctx context.Context, c *Client, img transport.Image) error {
			_, err := c.Source().Images(ctx, img.Name.String())
			return err
		},
		"Manifest": func(ctx context.Context, c *Client, img transport.Image) error {
			_, err := c.Source().Manifest(ctx, img, m)
			return err
		},
		"Blob": func(ctx context.Context, c *Client, img transport.Image) error {
			_, err := c.Source().Blob(ctx, img, d)
			return err
		},
		"Has": func(ctx context.Context, c *Client, img transport.Image) error {
			_, err := c.Sink().Has(ctx, d, []transport.Image{img})
			return err
		},
		"WriteBlob": func(ctx context.Context, c *Client, img transport.Image) error {
			return c.Sink().WriteBlob(ctx, d, []transport.Image{img}, open)
		},
		"WriteManifest": func(ctx context.Context, c *Client, img transport.Image) error {
			return c.Sink().WriteManifest(ctx, m, []transport.Image{img}, []byte(manifestText))
		},
		"Commit": func(ctx context.Context, c *Client, img transport.Image) error {
			return c.Sink().Commit(ctx, []transport.Image{img})
		},
	} {
		for _, silent := range []string{"/v2/", "/v2/app/"} {
			t.Run(name+" "+silent, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					if r.URL.Path != "/v2/" || silent == "/v2/" {
						// The server notices that the client is gone only after the body.
						_, _ = io.Copy(io.Discard, r.Body)
						cancel()
						<-r.Context().Done()
					}
				}))
				t.Cleanup(s.Close)
				img := at(t, transport.Image{Root: m}, s.Listener.Addr().String()+"/app:1")
				if err := call(ctx, newTestClient(t, Options{}), img); !errors.Is(err, context.Canceled) {
					t.Errorf("%v, want context.Canceled", err)
				}
			})
		}
	}
}

// TestInterruptedStream ends the context in the middle of a download.
func TestInterruptedStream(t *testing.T) {
	d := v1.Descriptor{Digest: digest.FromString("x"), Size: 1 << 30}
	host := liar(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rc, err := newTestClient(t, Options{}).Source().Blob(ctx, at(t, transport.Image{}, host+"/app:1"), d)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rc.Close() }()
	if _, err := io.ReadFull(rc, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := rc.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
