package docker

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/parts"
)

// taken is what a test has read from an engine and may alter.
func taken(t *testing.T, host string, selectors ...string) *conformance.Set {
	t.Helper()
	src := openSource(t, host)
	set := &conformance.Set{Images: images(t, src, selectors...), Content: map[digest.Digest][]byte{}}
	for _, img := range set.Images {
		content, m, err := read(t.Context(), src, img)
		if err != nil {
			t.Fatal(err)
		}
		set.Content[img.Root.Digest] = content
		for _, d := range append(m.Layers, m.Config) {
			r, err := src.Blob(t.Context(), img, d)
			if err != nil {
				t.Fatal(err)
			}
			if set.Content[d.Digest], err = blob.ReadAll(r, d.Digest, d.Size, 64<<20); err != nil {
				t.Fatal(err)
			}
		}
	}
	return set
}

// alter replaces an image's manifest by one that change makes of it; change
// may put new content into the set.
func alter(t *testing.T, set *conformance.Set, i int, change func(m *v1.Manifest)) {
	t.Helper()
	var m v1.Manifest
	if err := json.Unmarshal(set.Content[set.Images[i].Root.Digest], &m); err != nil {
		t.Fatal(err)
	}
	change(&m)
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	set.Images[i].Root = put(set, m.MediaType, b)
}

func put(set *conformance.Set, mediaType string, b []byte) v1.Descriptor {
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
	set.Content[d.Digest] = b
	return d
}

// transfer writes images into the engine, and reports the first error.
func transfer(t *testing.T, host string, src transport.Source, images []transport.Image) error {
	t.Helper()
	sink := openSink(t, host)
	err := write(t.Context(), sink, src, images)
	if err == nil {
		err = sink.Commit(t.Context(), images)
	}
	if cerr := sink.Close(); cerr != nil {
		t.Errorf("Close: %v", cerr)
	}
	return err
}

func empty(t *testing.T, d *parts.DockerPart) {
	t.Helper()
	d.Run(t, "image", "prune", "--all", "--force")
	if left := d.Run(t, "images", "--all", "--quiet"); left != "" {
		t.Fatalf("images are left: %s", left)
	}
}

// listing returns the engine's names and IDs, sorted.
func listing(t *testing.T, d *parts.DockerPart) []string {
	t.Helper()
	l := strings.Fields(d.Run(t, "images", "--all", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}}={{.ID}}"))
	slices.Sort(l)
	return l
}

func idOf(t *testing.T, d *parts.DockerPart, ref string) string {
	t.Helper()
	return d.Run(t, "inspect", "--type", "image", "--format", "{{.Id}}", ref)
}

func TestSink(t *testing.T) {
	d := emptyEngine(t)
	build(t, d)
	d.Run(t, "tag", "example/hello:1", "registry.example:5000/team/hi:2")
	src := openSource(t, d.Host)
	all := images(t, src, "")
	ids := map[string]string{}
	for _, img := range all {
		ids[img.Name.String()] = idOf(t, d, img.Name.String())
	}
	empty(t, d)

	t.Run("no disk needed on this side", func(t *testing.T) {
		t.Setenv("TMPDIR", "/nowhere")
		if err := transfer(t, d.Host, src, all); err != nil {
			t.Fatal(err)
		}
	})
	for name, id := range ids {
		if got := idOf(t, d, name); got != id {
			t.Errorf("%s has ID %s, not %s", name, got, id)
		}
	}
	for ref, want := range map[string]string{"example/hello:1": "hello", "example/world:1": "world", "registry.example:5000/team/hi:2": "hello"} {
		if got := d.Run(t, "run", "--rm", "--network", "none", ref); got != want {
			t.Errorf("%s prints %q, want %q", ref, got, want)
		}
	}
	if got := images(t, openSource(t, d.Host), ""); !reflect.DeepEqual(got, all) {
		t.Errorf("the engine has\n%v, not\n%v", got, all)
	}
}

func TestSinkProperties(t *testing.T) {
	d := parts.SharedDocker(t)
	sink := openSink(t, d.Host)
	defer func() { _ = sink.Close() }()
	p := sink.Properties()
	if !p.Ordered || !p.ForgetsManifest || p.Platform == nil {
		t.Fatalf("%+v", p)
	}
	if got, want := p.Platform.OS+"/"+p.Platform.Architecture, d.Run(t, "version", "--format", "{{.Server.Os}}/{{.Server.Arch}}"); got != want {
		t.Errorf("platform %s, want %s", got, want)
	}
}

// TestSinkGzip loads the same image with compressed layers.
func TestSinkGzip(t *testing.T) {
	d := emptyEngine(t)
	build(t, d)
	set := taken(t, d.Host, "example/world:1")
	id := idOf(t, d, "example/world:1")
	empty(t, d)
	alter(t, set, 0, func(m *v1.Manifest) {
		for i := range m.Layers {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			if _, err := w.Write(set.Content[m.Layers[i].Digest]); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			m.Layers[i] = put(set, v1.MediaTypeImageLayerGzip, b.Bytes())
		}
	})
	if err := transfer(t, d.Host, set.Source(), set.Images); err != nil {
		t.Fatal(err)
	}
	if got := idOf(t, d, "example/world:1"); got != id {
		t.Errorf("ID %s, want %s", got, id)
	}
	if got := d.Run(t, "run", "--rm", "--network", "none", "example/world:1"); got != "world" {
		t.Errorf("prints %q", got)
	}
}

// TestSinkZstd makes sure that an engine that cannot unpack a layer is
// reported so. Engines from 23.0 on can.
func TestSinkZstd(t *testing.T) {
	d := emptyEngine(t)
	build(t, d)
	set := taken(t, d.Host, "example/hello:1")
	empty(t, d)
	alter(t, set, 0, func(m *v1.Manifest) {
		w, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		m.Layers[0] = put(set, v1.MediaTypeImageLayerZstd, w.EncodeAll(set.Content[m.Layers[0].Digest], nil))
	})
	err := transfer(t, d.Host, set.Source(), set.Images)
	var major int
	if _, serr := fmt.Sscanf(d.Run(t, "version", "--format", "{{.Server.Version}}"), "%d.", &major); serr != nil {
		t.Fatal(serr)
	}
	if major >= 23 {
		if err != nil {
			t.Error(err)
		}
		return
	}
	if err == nil || !strings.Contains(fault.Hint(err), "zstd") {
		t.Errorf("%v, hint %q", err, fault.Hint(err))
	}
	empty(t, d)
}

// TestSinkNames loads one image under several names, and one without any.
func TestSinkNames(t *testing.T) {
	d := emptyEngine(t)
	build(t, d)
	set := taken(t, d.Host, "example/hello:1", "example/world:1")
	hello, world := idOf(t, d, "example/hello:1"), idOf(t, d, "example/world:1")
	empty(t, d)
	d.Run(t, "import", folder(t, "old.tar", string(layer(t, "old", nil)))+"/old.tar", "example/second:2")
	old := idOf(t, d, "example/second:2")

	at := func(name string, img transport.Image) transport.Image {
		n, err := transport.ParseName(name)
		if err != nil {
			t.Fatal(err)
		}
		img.Name = n
		return img
	}
	named := []transport.Image{at("first", set.Images[0]), at("example/second:2", set.Images[0]),
		at("other@"+set.Images[1].Root.Digest.String(), set.Images[1])}
	if err := transfer(t, d.Host, set.Source(), named); err != nil {
		t.Fatal(err)
	}
	got := listing(t, d)
	want := []string{"first:latest=" + hello, "example/second:2=" + hello, "<none>:<none>=" + world, "<none>:<none>=" + old}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the engine has %v, want %v", got, want)
	}
}

// TestSinkHolds loads what is there already.
func TestSinkHolds(t *testing.T) {
	d := emptyEngine(t)
	build(t, d)
	src := openSource(t, d.Host)
	hello, world := images(t, src, "example/hello:1")[0], images(t, src, "example/world:1")[0]
	d.Run(t, "tag", "example/base:1", "example/hello:1") // moves the name away; the image stays
	empties := strings.Fields(d.Run(t, "images", "--quiet"))
	if len(empties) != 4 {
		t.Fatalf("%v", empties)
	}

	sink := openSink(t, d.Host)
	if err := write(t.Context(), sink, src, []transport.Image{hello}); err != nil {
		t.Fatal(err)
	}
	if err := sink.Commit(t.Context(), []transport.Image{hello}); err != nil {
		t.Fatal(err)
	}
	if sink.load != nil {
		t.Error("something was loaded")
	}
	if err := sink.Close(); err != nil {
		t.Error(err)
	}
	if got := d.Run(t, "run", "--rm", "--network", "none", "example/hello:1"); got != "hello" {
		t.Errorf("prints %q", got)
	}

	// One that is there and one that is not.
	d.Run(t, "rmi", "example/world:1")
	if err := transfer(t, d.Host, src, []transport.Image{hello, world}); err != nil {
		t.Fatal(err)
	}
	if got := d.Run(t, "run", "--rm", "--network", "none", "example/world:1"); got != "world" {
		t.Errorf("prints %q", got)
	}
}
