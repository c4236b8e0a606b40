package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/parts"
)

func TestMain(m *testing.M) { os.Exit(parts.Main(m)) }

// emptyEngine returns the shared engine, which has no images before and after
// the test.
func emptyEngine(t *testing.T) *parts.DockerPart {
	t.Helper()
	return emptied(t, parts.SharedDocker(t))
}

func emptied(t *testing.T, d *parts.DockerPart) *parts.DockerPart {
	t.Helper()
	if left := listed(t, d); len(left) > 0 {
		t.Fatalf("an earlier test left images: %v", left)
	}
	t.Cleanup(func() { removeAll(t, d) })
	return d
}

// removeAll removes all images, whatever they are called.
func removeAll(t *testing.T, d *parts.DockerPart) {
	t.Helper()
	for n := -1; n != len(listed(t, d)); { // one may be in another's way
		n = len(listed(t, d))
		for _, img := range listed(t, d) {
			_, _ = d.Try("rmi", "--force", img.ID) // or have gone with it
		}
	}
	if left := listed(t, d); len(left) > 0 {
		t.Errorf("images are left: %v", left)
	}
}

// listed returns all images. The docker command does not show every one.
func listed(t *testing.T, d *parts.DockerPart) []image.Summary {
	t.Helper()
	api, err := client.New(client.WithHost(d.Host))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = api.Close() }()
	res, err := api.ImageList(context.Background(), client.ImageListOptions{All: true})
	if err != nil {
		t.Fatal(err)
	}
	return res.Items
}

// build makes two images on one base: example/hello:1, which prints "hello",
// and example/world:1, which prints "world" and has two layers more.
func build(t *testing.T, d *parts.DockerPart) {
	t.Helper()
	base := filepath.Join(t.TempDir(), "base.tar")
	box, err := os.ReadFile(parts.Tool(t, "busybox"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(base, layer(t, "bin/busybox", box), 0o600); err != nil {
		t.Fatal(err)
	}
	d.Run(t, "import", base, "example/base:1")
	d.Run(t, "build", "--network", "none", "--tag", "example/hello:1", folder(t,
		"Dockerfile", "FROM example/base:1\nCOPY text /text\nCMD [\"/bin/busybox\", \"cat\", \"/text\"]\n", "text", "hello\n"))
	d.Run(t, "build", "--network", "none", "--tag", "example/world:1", folder(t,
		"Dockerfile", "FROM example/base:1\nRUN [\"/bin/busybox\", \"mkdir\", \"/d\"]\nCOPY text /d/text\nCMD [\"/bin/busybox\", \"cat\", \"/d/text\"]\n", "text", "world\n"))
}

// folder makes a folder of files, given by name and content in turns.
func folder(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// layer makes a tar with one program in it.
func layer(t *testing.T, name string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o755}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func openSource(t *testing.T, host string) *classicSource {
	t.Helper()
	s, err := NewSource(t.Context(), Options{Host: host})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.(*classicSource)
}

func openSink(t *testing.T, host string) *classicSink {
	t.Helper()
	s, err := NewSink(t.Context(), Options{Host: host})
	if err != nil {
		t.Fatal(err)
	}
	return s.(*classicSink)
}

func images(t *testing.T, s transport.Source, selectors ...string) []transport.Image {
	t.Helper()
	var out []transport.Image
	for _, sel := range selectors {
		got, err := s.Images(t.Context(), sel)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, got...)
	}
	return out
}

// read returns an image's manifest, verified.
func read(ctx context.Context, src transport.Source, img transport.Image) (content []byte, m v1.Manifest, err error) {
	if content, err = src.Manifest(ctx, img, img.Root); err != nil {
		return nil, m, err
	}
	if _, err = blob.ReadAll(bytes.NewReader(content), img.Root.Digest, img.Root.Size, transport.MaxManifest); err != nil {
		return nil, m, err
	}
	return content, m, json.Unmarshal(content, &m)
}

// write puts images into a sink in the order that [transport.Sink] asks for,
// up to Commit, which is the caller's.
func write(ctx context.Context, sink transport.Sink, src transport.Source, images []transport.Image) error {
	done := map[digest.Digest]bool{}
	put := func(img transport.Image, d v1.Descriptor) error {
		if done[d.Digest] {
			return nil
		}
		done[d.Digest] = true
		return sink.WriteBlob(ctx, d, []transport.Image{img}, opener(src, img, d))
	}
	var configs, manifests []func() error
	for _, img := range images {
		content, m, err := read(ctx, src, img)
		if err != nil {
			return err
		}
		if held, err := sink.Holds(ctx, img, content); err != nil || held {
			if err != nil {
				return err
			}
			continue
		}
		for _, l := range m.Layers {
			if err := put(img, l); err != nil {
				return err
			}
		}
		configs = append(configs, func() error { return put(img, m.Config) })
		manifests = append(manifests, func() error { return sink.WriteManifest(ctx, img.Root, []transport.Image{img}, content) })
	}
	for _, f := range append(configs, manifests...) {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

func opener(src transport.Source, img transport.Image, d v1.Descriptor) transport.Opener {
	return func(ctx context.Context) (io.ReadCloser, error) {
		r, err := src.Blob(ctx, img, d)
		if err != nil {
			return nil, err
		}
		return blob.NewReader(r, d.Digest, d.Size)
	}
}

// settle waits until the engine has dropped what it was loading: it keeps that
// in a temporary folder below its data root.
func settle(t *testing.T, d *parts.DockerPart) {
	t.Helper()
	pattern := filepath.Join(d.Run(t, "info", "--format", "{{.DockerRootDir}}"), "tmp", "docker-import-*")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for {
		left, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			return
		}
		select {
		case <-late:
			t.Fatalf("the engine still loads: %v", left)
		case <-tick.C:
		}
	}
}

// fakeEngine answers as an engine does that says info, and load to a load.
func fakeEngine(t *testing.T, info string, load http.HandlerFunc) string {
	t.Helper()
	return fake(t, "1.41", "{}", info, "", load)
}

// fakes answer as engines of each kind do, and load to a load.
var fakes = map[string]func(t *testing.T, load http.HandlerFunc) string{
	"classic": func(t *testing.T, load http.HandlerFunc) string {
		return fake(t, "1.41", "{}", `{"OSType":"linux","Architecture":"x86_64"}`, "[]", load)
	},
	"store": func(t *testing.T, load http.HandlerFunc) string {
		return fake(t, "1.53", "{}", `{"DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]],"OSType":"linux","Architecture":"x86_64"}`, "[]", load)
	},
	"podman": func(t *testing.T, load http.HandlerFunc) string {
		return fake(t, "1.41", `{"Components":[{"Name":"Podman Engine"}]}`, `{"OSType":"linux","Architecture":"amd64"}`, "[]", load)
	},
}

func fake(t *testing.T, api, version, info, list string, load http.HandlerFunc) string {
	t.Helper()
	says := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", api) })
	mux.HandleFunc("GET /v"+api+"/version", says(version))
	mux.HandleFunc("GET /v"+api+"/info", says(info))
	if list != "" {
		mux.HandleFunc("GET /v"+api+"/images/json", says(list))
	}
	if load != nil {
		mux.HandleFunc("POST /v"+api+"/images/load", load)
	}
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return "tcp://" + s.Listener.Addr().String()
}

// amd64 is the platform of the engines that tests run.
var amd64 = v1.Platform{OS: "linux", Architecture: "amd64"}

func anySource(t *testing.T, host string) transport.Source {
	t.Helper()
	s, err := NewSource(t.Context(), Options{Host: host})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func anySink(t *testing.T, host string) transport.Sink {
	t.Helper()
	s, err := NewSink(t.Context(), Options{Host: host})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// copyAll copies images as the engine of bale does.
func copyAll(t *testing.T, host string, src transport.Source, images []transport.Image) *transport.Plan {
	t.Helper()
	sink := anySink(t, host)
	var requests []transport.Request
	for _, img := range images {
		requests = append(requests, transport.Request{Source: src, Image: img, Target: img.Name})
	}
	p, err := transport.Copy(t.Context(), requests, sink, transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	return p
}

// plan tells a sink of images before they are written.
func plan(t *testing.T, s transport.Sink, set *conformance.Set, images []transport.Image) {
	t.Helper()
	for _, img := range images {
		m, err := transport.ParseManifest(img.Root.MediaType, set.Content[img.Root.Digest])
		if err != nil {
			t.Fatal(err)
		}
		if err := s.(transport.Planning).Plan(t.Context(), img, set.Content[img.Root.Digest], set.Content[m.Config.Digest]); err != nil {
			t.Fatal(err)
		}
	}
}

// dangling lists the images without a name.
func dangling(t *testing.T, d *parts.DockerPart) []string {
	t.Helper()
	var ids []string
	for _, img := range listed(t, d) {
		if len(img.RepoTags) == 0 || slices.Equal(img.RepoTags, []string{nameless}) {
			ids = append(ids, img.ID)
		}
	}
	return ids
}

// wantReadable fails the test unless all layers of an image can be read, and
// closes the source.
func wantReadable(t *testing.T, src transport.Source, name transport.Name) {
	t.Helper()
	img := images(t, src, name.String())[0]
	_, m, err := read(t.Context(), src, img)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range m.Layers {
		r, err := opener(src, img, l)(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func decode[T any](t *testing.T, b []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
