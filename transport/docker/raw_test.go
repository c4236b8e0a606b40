package docker

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/archive"
	"bale/transport/conformance"
)

// rawSource has the compressed layers of a set unpacked, and the blobs not at
// all.
type rawSource struct {
	transport.Source
	raw map[digest.Digest][]byte
}

func unpackedSource(t *testing.T, set *conformance.Set) *rawSource {
	t.Helper()
	s := &rawSource{set.Source(), map[digest.Digest][]byte{}}
	for _, l := range set.Graph(t, set.Images...).Layers {
		if !strings.HasSuffix(l.MediaType, "gzip") {
			continue
		}
		z, err := gzip.NewReader(bytes.NewReader(set.Content[l.Digest]))
		if err != nil {
			t.Fatal(err)
		}
		if s.raw[l.Digest], err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.raw) == 0 {
		t.Fatal("no layer is compressed")
	}
	return s
}

func (s *rawSource) Local() bool { return true }

func (s *rawSource) Blob(ctx context.Context, in transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	if _, ok := s.raw[d.Digest]; ok {
		return nil, errors.New("it would have to be compressed")
	}
	return s.Source.Blob(ctx, in, d)
}

func (s *rawSource) RawSize(d v1.Descriptor) (int64, bool) {
	raw, ok := s.raw[d.Digest]
	return int64(len(raw)), ok
}

func (s *rawSource) OpenRaw(_ context.Context, _ transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(s.raw[d.Digest])), nil
}

// copyInto lets the engine of the copy do all but the choice of images.
func copyInto(t *testing.T, host string, src transport.Source, images []transport.Image) error {
	t.Helper()
	sink := openSink(t, host)
	var requests []transport.Request
	for _, img := range images {
		requests = append(requests, transport.Request{Source: src, Image: img, Target: img.Name})
	}
	_, err := transport.Copy(t.Context(), requests, sink, transport.Options{})
	if cerr := sink.Close(); cerr != nil {
		t.Errorf("Close: %v", cerr)
	}
	return err
}

// What the source has unpacked goes into a real engine so, and nothing is
// compressed on the way. The image is the same.
func TestSinkRawLayers(t *testing.T) {
	d := emptyEngine(t)
	set := ownSet(t)
	if err := copyInto(t, d.Host, unpackedSource(t, set), set.Images); err != nil {
		t.Fatal(err)
	}
	sink := openSink(t, d.Host)
	resolved := set.Resolve(t, sink.Properties().Platform)
	if err := sink.Close(); err != nil {
		t.Error(err)
	}
	for _, img := range resolved {
		var m v1.Manifest
		if err := json.Unmarshal(set.Content[img.Root.Digest], &m); err != nil {
			t.Fatal(err)
		}
		if id := idOf(t, d, img.Name.String()); id != m.Config.Digest.String() {
			t.Errorf("%s is image %s, not %s", img.Name, id, m.Config.Digest)
		}
	}
	empty(t, d)

	// One that is not what the image's config says does not get in.
	src := unpackedSource(t, set)
	for _, raw := range src.raw {
		raw[len(raw)/2] ^= 1
	}
	if err := copyInto(t, d.Host, src, set.Images); !errors.Is(err, fault.ErrDamaged) {
		t.Errorf("%v, want an ErrDamaged", err)
	}
	settle(t, d)
	if left := listing(t, d); len(left) > 0 {
		t.Errorf("the engine has %v", left)
	}
}

// Of an unpacked layer that is wrong, an engine sees no end of the archive, so
// it does not depend on the engine that it is refused.
func TestSinkRawLayersAreCheckedHere(t *testing.T) {
	set := ownSet(t).Only("plain")
	for _, good := range []bool{true, false} {
		var got map[string][]byte
		var ended error
		answered := make(chan struct{})
		host := fakeEngine(t, `{"OSType":"linux","Architecture":"x86_64"}`, func(w http.ResponseWriter, r *http.Request) {
			defer close(answered)
			got, ended = untar(r.Body)
			_, _ = io.WriteString(w, "{}")
		})
		src := unpackedSource(t, set)
		if !good {
			for _, raw := range src.raw {
				raw[len(raw)-1] ^= 1
			}
		}
		sink := openSink(t, host)
		ctx := t.Context()
		err := func() error {
			for _, b := range set.Graph(t, set.Images...).Blobs() {
				if size, ok := src.RawSize(b); ok {
					if err := sink.WriteRaw(ctx, b, size, set.Images, func(ctx context.Context) (io.ReadCloser, error) {
						return src.OpenRaw(ctx, set.Images[0], b)
					}); err != nil {
						return err
					}
				} else if err := sink.WriteBlob(ctx, b, set.Images, opener(src, set.Images[0], b)); err != nil {
					return err
				}
			}
			root := set.Images[0].Root
			m, err := (&engine{}).parse(root, set.Content[root.Digest])
			if err != nil {
				return err
			}
			if err := sink.WriteManifest(ctx, root, set.Images, set.Content[root.Digest]); err != nil {
				return err
			}
			return sink.load.finish(ctx, func(w *archive.Writer) error { return w.Close([]archive.Item{m.item(w)}) })
		}()
		if cerr := sink.Close(); cerr != nil {
			t.Error(cerr)
		}
		<-answered
		if !good {
			if !errors.Is(err, fault.ErrDamaged) {
				t.Errorf("%v, want an ErrDamaged", err)
			}
			if ended == nil || got["manifest.json"] != nil {
				t.Error("the engine got a whole archive")
			}
			continue
		}
		if err != nil || ended != nil {
			t.Fatal(err, ended)
		}
		var list []archive.Item
		if err := json.Unmarshal(got["manifest.json"], &list); err != nil || len(list) != 1 {
			t.Fatalf("%s: %v", got["manifest.json"], err)
		}
		layers := set.Graph(t, set.Images...).Layers
		for i, name := range list[0].Layers {
			if want := src.raw[layers[i].Digest]; !bytes.Equal(got[name], want) {
				t.Errorf("%s has %d bytes, want %d that are unpacked", name, len(got[name]), len(want))
			}
		}
	}
}

func untar(r io.Reader) (map[string][]byte, error) {
	got := map[string][]byte{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		if got[h.Name], err = io.ReadAll(tr); err != nil {
			return got, err
		}
	}
}

// An engine that cannot hold a config says so before it gets it.
func TestSinkConfigs(t *testing.T) {
	host := fakeEngine(t, `{"OSType":"linux","Architecture":"x86_64"}`, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	})
	for content, want := range map[string]error{
		`{}`:            nil,
		`{"rootfs":{}}`: nil,
		`[]`:            fault.ErrDamaged,
		`not JSON`:      fault.ErrDamaged,
		strings.Repeat(" ", archive.MaxConfig-1) + "{}": fault.ErrUnsupported,
	} {
		sink := openSink(t, host)
		d := v1.Descriptor{MediaType: v1.MediaTypeImageConfig, Digest: digest.FromString(content), Size: int64(len(content))}
		err := sink.WriteBlob(t.Context(), d, nil, func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(content)), nil
		})
		if !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%.20q: %v, want %v", content, err, want)
		}
		if err := sink.Close(); err != nil {
			t.Error(err)
		}
	}
}
