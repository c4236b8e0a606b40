package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	ggcr "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/parts"
)

// copyAll copies one image under several names as the engine does: blobs,
// then manifests bottom up, then names.
func copyAll(t testing.TB, src transport.Source, in transport.Image, sink transport.Sink, to []transport.Image) {
	t.Helper()
	copyGraph(t, src, in, in.Root, sink, to)
	if err := sink.Commit(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
}

func copyGraph(t testing.TB, src transport.Source, in transport.Image, d v1.Descriptor, sink transport.Sink, to []transport.Image) {
	t.Helper()
	content, err := src.Manifest(t.Context(), in, d)
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Config    *v1.Descriptor
		Layers    []v1.Descriptor
		Manifests []v1.Descriptor
	}
	if err := json.Unmarshal(content, &m); err != nil {
		t.Fatal(err)
	}
	for _, c := range m.Manifests {
		copyGraph(t, src, in, c, sink, to)
	}
	if m.Config != nil {
		m.Layers = append(m.Layers, *m.Config)
	}
	for _, l := range m.Layers {
		if ok, err := sink.Has(t.Context(), l, to); err != nil {
			t.Fatal(err)
		} else if ok {
			continue
		}
		if err := sink.WriteBlob(t.Context(), l, to, openerOf(src, in, l)); err != nil {
			t.Fatal(err)
		}
		if ok, err := sink.Has(t.Context(), l, to); err != nil || !ok {
			t.Fatalf("Has after WriteBlob: %t, %v", ok, err)
		}
	}
	if err := sink.WriteManifest(t.Context(), d, to, content); err != nil {
		t.Fatal(err)
	}
}

func TestSinkWritesImagesAndIndexes(t *testing.T) {
	from, to := parts.Registry(t), parts.Registry(t)
	pushImage(t, from.Image("app:1"))
	pushIndex(t, from.Image("multi:1"))
	c := newTestClient(t, Options{})
	src := c.Source()

	img := one(t, src, from.Image("app:1"))
	copyAll(t, src, img, c.Sink(), []transport.Image{at(t, img, to.Image("b:1")), at(t, img, to.Image("b:2"))})
	for _, tag := range []string{"b:1", "b:2"} {
		got, err := remote.Image(parse(t, to.Image(tag)))
		if err != nil {
			t.Fatal(err)
		}
		if hashOf(t, got) != img.Root.Digest {
			t.Errorf("%s has digest %s", tag, hashOf(t, got))
		}
		wantWhole(t, got)
	}

	idx := one(t, src, from.Image("multi:1"))
	copyAll(t, src, idx, c.Sink(), []transport.Image{at(t, idx, to.Image("team/multi:1"))})
	got, err := remote.Index(parse(t, to.Image("team/multi:1")))
	if err != nil {
		t.Fatal(err)
	}
	if hashOf(t, got) != idx.Root.Digest {
		t.Errorf("index has digest %s", hashOf(t, got))
	}
	im, err := got.IndexManifest()
	if err != nil || len(im.Manifests) != 3 {
		t.Fatalf("%+v, %v", im, err)
	}
	for _, m := range im.Manifests {
		child, err := got.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		wantWhole(t, child)
	}
}

// wantWhole reads all blobs of an image by other means than bale's, which
// check their digests.
func wantWhole(t testing.TB, img ggcr.Image) {
	t.Helper()
	if _, err := img.RawConfigFile(); err != nil {
		t.Error(err)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) == 0 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	for _, l := range layers {
		rc, err := l.Compressed()
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := io.Copy(io.Discard, rc); err != nil {
			t.Error(err)
		}
		_ = rc.Close()
	}
}

// TestSinkNamesLast checks that no tag is there before Commit, and that an
// image without a tag can be had by its digest and has got no tag.
func TestSinkNamesLast(t *testing.T) {
	from, to := parts.Registry(t), parts.Registry(t)
	pushImage(t, from.Image("app:1"))
	c := newTestClient(t, Options{})
	src, sink := c.Source(), c.Sink()
	img := one(t, src, from.Image("app:1"))
	tagged := at(t, img, to.Image("app:1"))
	untagged := at(t, img, to.Image("pinned@"+img.Root.Digest.String()))
	both := []transport.Image{untagged, tagged}

	copyGraph(t, src, img, img.Root, sink, both)
	if _, err := c.Source().Images(t.Context(), to.Image("app:1")); !errors.Is(err, fault.ErrMissing) {
		t.Fatalf("before Commit: %v", err)
	}
	if err := sink.Commit(t.Context(), both); err != nil {
		t.Fatal(err)
	}
	one(t, c.Source(), to.Image("app:1"))
	one(t, c.Source(), untagged.Name.String())
	if _, err := c.Source().Images(t.Context(), to.Image("pinned:latest")); !errors.Is(err, fault.ErrMissing) {
		t.Errorf("the digest-only image has a tag: %v", err)
	}
}

// TestSinkCommitsWhatIsThere names an image that another sink has written.
func TestSinkCommitsWhatIsThere(t *testing.T) {
	reg := parts.Registry(t)
	pushImage(t, reg.Image("app:1"))
	c := newTestClient(t, Options{})
	img := one(t, c.Source(), reg.Image("app:1"))
	if err := c.Sink().Commit(t.Context(), []transport.Image{at(t, img, reg.Image("app:2"))}); err != nil {
		t.Fatal(err)
	}
	if got := one(t, c.Source(), reg.Image("app:2")); got.Root.Digest != img.Root.Digest {
		t.Errorf("root %+v", got.Root)
	}
	img.Root.Digest = digest.FromString("not there")
	err := c.Sink().Commit(t.Context(), []transport.Image{at(t, img, reg.Image("app:3"))})
	if !errors.Is(err, fault.ErrMissing) {
		t.Errorf("commit of nothing: %v", err)
	}
}

// TestSinkMounts counts what passes a real registry when one blob goes to
// many repositories.
func TestSinkMounts(t *testing.T) {
	reg := parts.Registry(t)
	for _, refuse := range []bool{false, true} {
		t.Run(fmt.Sprintf("refused=%t", refuse), func(t *testing.T) {
			var j journal
			next := proxyTo(reg)
			proxy := httptest.NewServer(j.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if refuse && r.URL.Query().Has("mount") {
					r.URL.RawQuery = "" // a registry that knows no mounts takes it for an upload
				}
				next.ServeHTTP(w, r)
			})))
			t.Cleanup(proxy.Close)
			host := proxy.Listener.Addr().String()
			var images []transport.Image
			for i := range 7 { // two names in one repository
				images = append(images, at(t, transport.Image{}, fmt.Sprintf("%s/refused-%t/app%d:%d", host, refuse, i/2, i)))
			}
			d, open := bytesOpener(bytes.Repeat([]byte(t.Name()), 100))
			var opened atomic.Int32
			counting := func(ctx context.Context) (io.ReadCloser, error) {
				opened.Add(1)
				return open(ctx)
			}
			c := newTestClient(t, Options{})
			sink := c.Sink()
			if err := sink.WriteBlob(t.Context(), d, images, counting); err != nil {
				t.Fatal(err)
			}
			uploads := j.count(func(r *http.Request) bool { return r.Method == http.MethodPatch })
			mounts := j.count(func(r *http.Request) bool {
				return r.Method == http.MethodPost && r.URL.Query().Get("mount") == d.Digest.String()
			})
			want := 1
			if refuse {
				want = 4
			}
			if uploads != want || int(opened.Load()) != want || mounts != 3 {
				t.Errorf("%d uploads, %d openings, %d mounts", uploads, opened.Load(), mounts)
			}
			for _, img := range images {
				if got, err := readBlob(t, c.Source(), img, d); err != nil || int64(len(got)) != d.Size {
					t.Errorf("%s: %d bytes, %v", img.Name, len(got), err)
				}
			}

			// A sink that finds the blob in one repository mounts it from there.
			late := append(images, at(t, transport.Image{}, fmt.Sprintf("%s/refused-%t/late:1", host, refuse)))
			if ok, err := c.Sink().Has(t.Context(), d, late); ok || err != nil {
				t.Errorf("Has: %t, %v", ok, err)
			}
			if err := c.Sink().WriteBlob(t.Context(), d, late, counting); err != nil {
				t.Fatal(err)
			}
			if refuse {
				want++
			}
			if int(opened.Load()) != want {
				t.Errorf("%d openings after another repository, want %d", opened.Load(), want)
			}
		})
	}
}

func TestSinkHoldsNothingSurely(t *testing.T) {
	reg := parts.MemoryRegistry(t)
	pushImage(t, reg.Image("app:1"))
	c := newTestClient(t, Options{})
	if ok, err := c.Sink().Holds(t.Context(), one(t, c.Source(), reg.Image("app:1")), nil); ok || err != nil {
		t.Errorf("%t, %v", ok, err)
	}
}

// TestSinkSubjects writes many manifests about one subject at once into a
// registry without a referrers API; all of them must end up in its index.
func TestSinkSubjects(t *testing.T) {
	reg := parts.Registry(t)
	pushImage(t, reg.Image("app:1"))
	c := newTestClient(t, Options{})
	subject := one(t, c.Source(), reg.Image("app:1"))
	sink := c.Sink()
	empty, open := bytesOpener([]byte("{}"))
	empty.MediaType = v1.MediaTypeEmptyJSON
	images := []transport.Image{subject}
	if err := sink.WriteBlob(t.Context(), empty, images, open); err != nil {
		t.Fatal(err)
	}
	const n = 6
	var g errgroup.Group
	for i := range n {
		content := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"artifactType":"application/x%d","config":{"mediaType":%q,"digest":%q,"size":2},"layers":[],"subject":{"mediaType":%q,"digest":%q,"size":%d}}`,
			v1.MediaTypeImageManifest, i, v1.MediaTypeEmptyJSON, empty.Digest, subject.Root.MediaType, subject.Root.Digest, subject.Root.Size)
		d := v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromBytes(content), Size: int64(len(content))}
		g.Go(func() error { return sink.WriteManifest(t.Context(), d, images, content) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if tags, err := c.Source().(*source).Tags(t.Context(), subject.Name); err != nil || len(tags) != 1 {
		t.Errorf("before Commit there are tags %v, %v", tags, err)
	}
	if err := sink.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	tag := strings.Replace(subject.Root.Digest.String(), ":", "-", 1)
	idx, err := remote.Index(parse(t, reg.Image("app:"+tag)))
	if err != nil {
		t.Fatal(err)
	}
	im, err := idx.IndexManifest()
	if err != nil || len(im.Manifests) != n {
		t.Errorf("%d referrers, %v", len(im.Manifests), err)
	}
}

func TestSinkRefusesAlteredManifest(t *testing.T) {
	var j journal
	reg := parts.MemoryRegistry(t, j.wrap)
	d, _ := bytesOpener([]byte(`{"schemaVersion":2}`))
	img := at(t, transport.Image{Root: d}, reg.Image("app:1"))
	err := newTestClient(t, Options{}).Sink().WriteManifest(t.Context(), d, []transport.Image{img}, []byte(`{"schemaVersion":3}`))
	if !errors.Is(err, fault.ErrDamaged) {
		t.Errorf("%v", err)
	}
	if n := j.count(func(*http.Request) bool { return true }); n != 0 {
		t.Errorf("%d requests", n)
	}
}
