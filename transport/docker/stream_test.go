package docker

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
	"bale/transport/conformance"
)

const (
	largeLayer = 512 << 20 // bytes of a layer that goes through
	mostMemory = 128 << 20 // and what may be in memory meanwhile
)

// zeros is a long layer, and looks at the memory in use now and then.
type zeros struct {
	left int64
	most uint64
	read int64
}

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	clear(p[:n])
	if z.read/(32<<20) != (z.read+n)/(32<<20) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		z.most = max(z.most, m.HeapAlloc)
	}
	z.left, z.read = z.left-n, z.read+n
	return int(n), nil
}

// TestLargeLayer streams a layer that has more bytes than may be in memory.
func TestLargeLayer(t *testing.T) {
	img := conformance.New(t, "example").Image(t, "plain")
	d := v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: digest.FromString("large"), Size: largeLayer}
	for kind, fake := range fakes {
		t.Run(kind, func(t *testing.T) {
			got := make(chan int64, 1)
			sink := anySink(t, fake(t, func(_ http.ResponseWriter, r *http.Request) {
				n, _ := io.Copy(io.Discard, r.Body)
				got <- n
			}))
			z := &zeros{left: largeLayer}
			err := sink.WriteBlob(t.Context(), d, []transport.Image{img}, func(context.Context) (io.ReadCloser, error) { return io.NopCloser(z), nil })
			if err != nil {
				t.Fatal(err)
			}
			if err := sink.Close(); err != nil {
				t.Error(err)
			}
			if n := <-got; n < largeLayer-1<<20 { // its end was on the way when the sink was closed
				t.Errorf("the engine got %d bytes", n)
			}
			if z.most == 0 || z.most > mostMemory {
				t.Errorf("%d bytes were in memory", z.most)
			}
		})
	}
}

// TestProperties says what each kind of engine can keep.
func TestProperties(t *testing.T) {
	for kind, want := range map[string]transport.Properties{
		"classic": {Ordered: true, Platform: &amd64, NoReferrers: true, ForgetsManifest: true},
		"store":   {Ordered: true},
		"podman":  {Ordered: true, Platform: &amd64, NoReferrers: true},
	} {
		sink := anySink(t, fakes[kind](t, nil))
		got := sink.Properties()
		if (got.Platform == nil) != (want.Platform == nil) || got.Platform != nil && transport.FormatPlatform(*got.Platform) != "linux/amd64" {
			t.Errorf("%s: platform %v", kind, got.Platform)
		}
		got.Platform, want.Platform = nil, nil
		if got != want {
			t.Errorf("%s: %+v, want %+v", kind, got, want)
		}
		if err := sink.Close(); err != nil {
			t.Error(err)
		}
	}
}
