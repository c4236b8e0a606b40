package docker

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/parts"
)

// TestSinkBrokenOff breaks off at every point before the end, and looks for
// traces.
func TestSinkBrokenOff(t *testing.T) {
	d := emptyEngine(t)
	build(t, d)
	set := taken(t, d.Host, "example/hello:1", "example/world:1")
	empty(t, d)
	d.Run(t, "import", folder(t, "old.tar", string(layer(t, "old", nil)))+"/old.tar", "example/hello:1")
	before := listing(t, d)
	g := set.Graph(t, set.Images...)
	bad := g.Layers[len(g.Layers)-1]
	flip := conformance.FlipBit(bad.Digest, bad.Size*8-1)

	for _, c := range []struct {
		name string
		do   func(sink *classicSink) error
		want error
	}{
		{"closed without commit", func(sink *classicSink) error {
			return write(t.Context(), sink, set.Source(), set.Images)
		}, nil},
		{"bad content", func(sink *classicSink) error {
			src := conformance.Inject(t, set.Source(), flip)
			return write(t.Context(), sink, src, set.Images)
		}, fault.ErrDamaged},
		{"source fails", func(sink *classicSink) error {
			src := conformance.Inject(t, set.Source(), conformance.FailRead(bad.Digest, bad.Size/2))
			return write(t.Context(), sink, src, set.Images)
		}, conformance.ErrInjected},
		{"ended while a blob is written", func(sink *classicSink) error {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			src := conformance.Inject(t, set.Source(), conformance.Hook(bad.Digest, bad.Size/2, cancel))
			return write(ctx, sink, src, set.Images)
		}, context.Canceled},
		{"ended before commit", func(sink *classicSink) error {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if err := write(ctx, sink, set.Source(), set.Images); err != nil {
				return err
			}
			cancel()
			return sink.Commit(ctx, set.Images)
		}, context.Canceled},
		{"commit of what was not written", func(sink *classicSink) error {
			if err := write(t.Context(), sink, set.Source(), set.Images[:1]); err != nil {
				return err
			}
			if err := sink.Commit(t.Context(), set.Images); err == nil {
				t.Error("no error")
			}
			return nil
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			sink := openSink(t, d.Host)
			if err := c.do(sink); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if err := sink.Close(); err != nil {
				t.Error(err)
			}
			settle(t, d)
			if after := listing(t, d); !slices.Equal(after, before) {
				t.Errorf("the engine had %v and has %v", before, after)
			}
		})
	}
}

// TestSinkRefused lets the engine find that the second of two images is bad.
func TestSinkRefused(t *testing.T) {
	d := emptyEngine(t)
	build(t, d)
	set := taken(t, d.Host, "example/hello:1", "example/world:1")
	empty(t, d)
	d.Run(t, "import", folder(t, "old.tar", string(layer(t, "old", nil)))+"/old.tar", "example/hello:1")
	before := listing(t, d)
	alter(t, set, 1, func(m *v1.Manifest) {
		last := len(m.Layers) - 1
		m.Layers[last] = put(set, v1.MediaTypeImageLayer, layer(t, "another", []byte("content")))
	})
	err := transfer(t, d.Host, set.Source(), set.Images)
	if err == nil || !strings.Contains(err.Error(), d.Host) || !strings.Contains(err.Error(), "diffID") {
		t.Errorf("%v, want what %s says of the diff id", err, d.Host)
	}
	if after := listing(t, d); !slices.Equal(after, before) {
		t.Errorf("the engine had %v and has %v", before, after)
	}
}

// TestSinkUnfit offers manifests that no engine can hold.
func TestSinkUnfit(t *testing.T) {
	d := parts.SharedDocker(t)
	sink := openSink(t, d.Host)
	defer func() { _ = sink.Close() }()
	sum := digest.FromString("")
	for _, c := range []struct {
		name, content string
		mediaType     string
		kind          error // nil for a plain failure
	}{
		{"index", `{"manifests":[]}`, v1.MediaTypeImageIndex, nil},
		{"no JSON", `{`, v1.MediaTypeImageManifest, fault.ErrDamaged},
		{"too large", strings.Repeat(" ", transport.MaxManifest) + "{}", v1.MediaTypeImageManifest, fault.ErrDamaged},
		{"artifact", `{"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"` + sum.String() + `"}}`, v1.MediaTypeImageManifest, fault.ErrUnsupported},
		{"signature", `{"config":{"mediaType":"` + v1.MediaTypeImageConfig + `","digest":"` + sum.String() + `"},"layers":[{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json","digest":"` + sum.String() + `"}]}`, v1.MediaTypeImageManifest, fault.ErrUnsupported},
		{"SHA-512", `{"config":{"mediaType":"` + v1.MediaTypeImageConfig + `","digest":"` + digest.SHA512.FromString("").String() + `"}}`, v1.MediaTypeImageManifest, fault.ErrUnsupported},
		{"negative size", `{"config":{"mediaType":"` + v1.MediaTypeImageConfig + `","digest":"` + sum.String() + `","size":-1}}`, v1.MediaTypeImageManifest, fault.ErrDamaged},
		{"not written", `{"config":{"mediaType":"` + v1.MediaTypeImageConfig + `","digest":"` + sum.String() + `"}}`, v1.MediaTypeImageManifest, fault.ErrMissing},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := v1.Descriptor{MediaType: c.mediaType, Digest: digest.FromString(c.content), Size: int64(len(c.content))}
			err := sink.WriteManifest(t.Context(), root, nil, []byte(c.content))
			if err == nil || c.kind != nil && !errors.Is(err, c.kind) {
				t.Errorf("WriteManifest: %v, want kind %v", err, c.kind)
			}
			held, herr := sink.Holds(t.Context(), transport.Image{Root: root}, []byte(c.content))
			if held || c.name != "not written" && herr == nil {
				t.Errorf("Holds: %v, %v", held, herr)
			}
		})
	}
}

// TestSinkNoImage copies what is no container image to engines that hold nothing else.
func TestSinkNoImage(t *testing.T) {
	set := conformance.New(t, "registry.example/team")
	for name, shared := range map[string]func(testing.TB) *parts.DockerPart{"classic": parts.SharedDocker, "podman": parts.SharedPodman} {
		t.Run(name, func(t *testing.T) {
			_, err := copyOne(t, set.Source(), set.Image(t, "artifact"), anySink(t, shared(t).Host))
			if !errors.Is(err, fault.ErrUnsupported) || !strings.Contains(fault.Hint(err), "registry") || !strings.Contains(fault.Hint(err), "name the images") {
				t.Errorf("%v, hint %q", err, fault.Hint(err))
			}
		})
	}
}

// TestSinkEngineStops plays engines that end a load before its end.
func TestSinkEngineStops(t *testing.T) {
	set := conformance.New(t, "example").Only("plain", "shared")
	for _, c := range []struct {
		name string
		load http.HandlerFunc
		want string
	}{
		{"disk full", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.CopyN(io.Discard, r.Body, 1000)
			_, _ = io.WriteString(w, `{"stream":"so far so good"}`+"\r\n"+`{"errorDetail":{"message":"no space left on device"},"error":"no space left on device"}`+"\r\n")
		}, "no space left on device"},
		{"HTTP error", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, `{"message":"the engine has other plans"}`)
		}, "the engine has other plans"},
		{"killed", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "load"},
		{"old error", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, `{"error":"only words"}`)
		}, "only words"},
		{"no JSON", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, `<html>`)
		}, "answer"},
		{"claims success", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, `{"stream":"Loaded image: example/plain:1.0"}`)
		}, "not there"},
	} {
		for kind, fake := range fakes {
			t.Run(c.name+", "+kind, func(t *testing.T) {
				host := fake(t, c.load)
				sink := anySink(t, host)
				var requests []transport.Request
				for _, img := range set.Images {
					requests = append(requests, transport.Request{Source: set.Source(), Image: img, Target: img.Name})
				}
				_, err := transport.Copy(t.Context(), requests, sink, transport.Options{})
				if cerr := sink.Close(); cerr != nil {
					t.Errorf("Close: %v", cerr)
				}
				if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), host) {
					t.Errorf("%v, want %q and the host", err, c.want)
				}
			})
		}
	}
}

// TestSinkNoEnd makes sure that an engine can tell a load that was broken off
// from one that is complete.
func TestSinkNoEnd(t *testing.T) {
	set := conformance.New(t, "example").Only("plain")
	layer := set.Graph(t, set.Images...).Layers[0]
	for kind, fake := range fakes {
		t.Run(kind, func(t *testing.T) {
			read := make(chan error, 1)
			sink := anySink(t, fake(t, func(_ http.ResponseWriter, r *http.Request) {
				_, err := io.Copy(io.Discard, r.Body)
				read <- err
			}))
			if err := sink.WriteBlob(t.Context(), layer, set.Images, opener(set.Source(), set.Images[0], layer)); err != nil {
				t.Fatal(err)
			}
			if err := sink.Close(); err != nil {
				t.Error(err)
			}
			if err := <-read; err == nil {
				t.Error("the engine saw a proper end")
			}
		})
	}
}
