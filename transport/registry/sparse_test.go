package registry

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/parts"
)

// indexOf is an index of the given manifests.
func indexOf(list ...v1.Descriptor) (v1.Descriptor, []byte) {
	content := []byte(entries(list...))
	return v1.Descriptor{MediaType: v1.MediaTypeImageIndex, Digest: digest.FromBytes(content), Size: int64(len(content))}, content
}

// demanding is a registry that takes manifests only with what they refer to, or
// that answers to a PUT of an index in another way.
func demanding(t *testing.T, answer http.HandlerFunc) (*parts.RegistryPart, *journal) {
	var j journal
	return parts.MemoryRegistry(t, j.wrap, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && r.Header.Get("Content-Type") == v1.MediaTypeImageIndex {
				answer(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}), &j
}

func refuseWith(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// unknownBlobs is how a distribution registry names what it misses.
func unknownBlobs(list ...v1.Descriptor) string {
	var errs []string
	for _, d := range list {
		errs = append(errs, fmt.Sprintf(`{"code":"MANIFEST_BLOB_UNKNOWN","detail":%q}`, d.Digest))
	}
	return `{"errors":[` + strings.Join(errs, ",") + `]}`
}

func TestTakesSparse(t *testing.T) {
	kept, _ := artifact(v1.Descriptor{Digest: digest.FromString("x")}, 1)
	left, _ := artifact(v1.Descriptor{Digest: digest.FromString("x")}, 2)
	root, content := indexOf(kept, left)
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		takes  bool
		fails  bool
	}{
		{"takes it", refuseWith(http.StatusCreated, ""), true, false},
		{"misses both", refuseWith(http.StatusBadRequest, unknownBlobs(kept, left)), false, false},
		{"misses what will be written", refuseWith(http.StatusBadRequest, unknownBlobs(kept)), true, false},
		{"in the spec's words", refuseWith(http.StatusBadRequest, `{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","detail":{"digest":"`+kept.Digest.String()+`"}}]}`), true, false},
		{"misses something", refuseWith(http.StatusNotFound, `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`), false, false},
		{"does not say why", refuseWith(http.StatusBadRequest, ""), false, false},
		{"in other words", refuseWith(http.StatusUnprocessableEntity, "<html>"), false, false},
		{"one more reason", refuseWith(http.StatusBadRequest, `{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","detail":"`+kept.Digest.String()+`"},{"code":"MANIFEST_INVALID"}]}`), false, false},
		{"no such repository", refuseWith(http.StatusNotFound, `{"errors":[{"code":"NAME_UNKNOWN"}]}`), false, true},
		{"denied", refuseWith(http.StatusForbidden, ""), false, true},
		{"denied by a code", refuseWith(http.StatusBadRequest, `{"errors":[{"code":"DENIED"}]}`), false, true},
		{"fails", refuseWith(http.StatusInternalServerError, ""), false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			reg, j := demanding(t, c.answer)
			s := newTestClient(t, Options{}).Sink().(transport.Sparse)
			img := at(t, transport.Image{Root: root}, reg.Image("app:1"))
			takes, err := s.TakesSparse(t.Context(), img, content, []v1.Descriptor{kept})
			if takes != c.takes || (err != nil) != c.fails {
				t.Errorf("%t, %v", takes, err)
			}
			if n := j.count(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/manifests/1") }); n != 0 {
				t.Error("the tag was touched")
			}
		})
	}
	if _, err := newTestClient(t, Options{}).Sink().(transport.Sparse).TakesSparse(t.Context(), transport.Image{Root: root}, content[1:], nil); !errors.Is(err, fault.ErrDamaged) {
		t.Errorf("other content: %v", err)
	}
}

// TestTakesSparseForReal asks a distribution registry, which demands all, and
// takes an index that it has all of from before.
func TestTakesSparseForReal(t *testing.T) {
	reg := parts.Registry(t)
	from := parts.MemoryRegistry(t)
	pushIndex(t, from.Image("app:1"))
	c := newTestClient(t, Options{})
	img := one(t, c.Source(), from.Image("app:1"))
	content, err := c.Source().Manifest(t.Context(), img, img.Root)
	if err != nil {
		t.Fatal(err)
	}
	m, err := transport.ParseManifest(img.Root.MediaType, content)
	if err != nil {
		t.Fatal(err)
	}
	target := at(t, img, reg.Image("app:1"))
	ask := func(kept ...v1.Descriptor) bool {
		t.Helper()
		ok, err := c.Sink().(transport.Sparse).TakesSparse(t.Context(), target, content, kept)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if ask(m.Manifests[0]) {
		t.Error("it takes an index in part")
	}
	sink := c.Sink()
	for _, child := range m.Manifests[1:] {
		copyGraph(t, c.Source(), img, child, sink, []transport.Image{target})
	}
	if !ask(m.Manifests[0]) {
		t.Error("all that is not kept was there from before")
	}
	if tags := tagsOf(t, reg, "app"); len(tags) != 0 {
		t.Errorf("%v", tags)
	}
}

// TestTakesSparseIsRemembered asks a registry once that takes all.
func TestTakesSparseIsRemembered(t *testing.T) {
	left, _ := artifact(v1.Descriptor{Digest: digest.FromString("x")}, 2)
	root, content := indexOf(left)
	reg, j := demanding(t, refuseWith(http.StatusCreated, ""))
	s := newTestClient(t, Options{}).Sink().(transport.Sparse)
	for _, name := range []string{"a:1", "b:1"} {
		if ok, err := s.TakesSparse(t.Context(), at(t, transport.Image{Root: root}, reg.Image(name)), content, nil); !ok || err != nil {
			t.Errorf("%t, %v", ok, err)
		}
	}
	if n := j.method(http.MethodPut); n != 1 {
		t.Errorf("%d indexes were put", n)
	}
}

// TestChildOfAnotherType puts an index that lists something else than manifests.
func TestChildOfAnotherType(t *testing.T) {
	reg := parts.Registry(t)
	blob, open := bytesOpener([]byte("a model"))
	blob.MediaType = "application/x.model"
	root, content := indexOf(blob)
	img := at(t, transport.Image{Root: root}, reg.Image("app:1"))
	sink := newTestClient(t, Options{}).Sink()
	if err := sink.WriteBlob(t.Context(), blob, []transport.Image{img}, open); err != nil {
		t.Fatal(err)
	}
	err := sink.WriteManifest(t.Context(), root, []transport.Image{img}, content)
	if !errors.Is(err, fault.ErrUnsupported) || !strings.Contains(err.Error(), "application/x.model") || fault.Hint(err) == "" {
		t.Errorf("%v", err)
	}
	memory := parts.MemoryRegistry(t)
	img = at(t, img, memory.Image("app:1"))
	sink = newTestClient(t, Options{}).Sink()
	if err := sink.WriteManifest(t.Context(), root, []transport.Image{img}, content); err != nil {
		t.Error(err)
	}
	if err := sink.Commit(t.Context(), []transport.Image{img}); err != nil {
		t.Error(err)
	}
	if got := one(t, newTestClient(t, Options{}).Source(), img.Name.String()); got.Root.Digest != root.Digest {
		t.Errorf("%+v", got.Root)
	}
}

// TestArtifacts copies artifacts of many kinds as they are.
func TestArtifacts(t *testing.T) {
	empty := v1.DescriptorEmptyJSON
	config := v1.Descriptor{MediaType: "application/vnd.cncf.helm.config.v1+json", Digest: digest.FromString(`{"name":"chart"}`), Size: 16}
	from, to := parts.Registry(t), parts.Registry(t)
	for i, m := range []string{
		fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[]}`, v1.MediaTypeImageManifest, config.MediaType, config.Digest, config.Size),
		fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"artifactType":"application/spdx+json","config":{"mediaType":%q,"digest":%q,"size":2},"layers":[{"mediaType":%[2]q,"digest":%[3]q,"size":2}]}`, v1.MediaTypeImageManifest, empty.MediaType, empty.Digest),
		fmt.Sprintf(`{"schemaVersion":2,"config":{"mediaType":"application/x.model","digest":%q,"size":2},"layers":[]}`, empty.Digest),
	} {
		name := fmt.Sprintf("app:%d", i)
		c := newTestClient(t, Options{})
		img := at(t, transport.Image{Root: v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromString(m), Size: int64(len(m))}}, from.Image(name))
		sink := c.Sink()
		for _, b := range []string{"{}", `{"name":"chart"}`} {
			d, open := bytesOpener([]byte(b))
			if err := sink.WriteBlob(t.Context(), d, []transport.Image{img}, open); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(sink.WriteManifest(t.Context(), img.Root, []transport.Image{img}, []byte(m)), sink.Commit(t.Context(), []transport.Image{img})); err != nil {
			t.Fatal(err)
		}
		got := one(t, c.Source(), from.Image(name))
		if got.Root.Digest != img.Root.Digest {
			t.Fatalf("%+v", got.Root)
		}
		copyAll(t, c.Source(), got, c.Sink(), []transport.Image{at(t, got, to.Image(name))})
		if there := one(t, c.Source(), to.Image(name)); there.Root.Digest != img.Root.Digest {
			t.Errorf("%+v", there.Root)
		}
	}
	host := liar(t, serve(oldArtifact, "", `{"mediaType":"`+oldArtifact+`","blobs":[]}`))
	if _, err := newTestClient(t, Options{}).Source().Images(t.Context(), host+"/app:1"); !errors.Is(err, fault.ErrUnsupported) || !strings.Contains(err.Error(), "drafts") || fault.Hint(err) == "" {
		t.Errorf("%v", err)
	}
}
