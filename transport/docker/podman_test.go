package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
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

// TestPodmanImages copies images on shared layers, and one under several names.
func TestPodmanImages(t *testing.T) {
	d := emptied(t, parts.SharedPodman(t))
	set := ownSet(t)
	plain, shared := set.Image(t, "plain"), set.Image(t, "shared")
	list := []transport.Image{
		called(t, "busybox:1", plain), called(t, "registry.example:5000/a/b:2", plain), shared,
		called(t, "other@"+plain.Root.Digest.String(), plain), // it gives no names by digest
	}
	copyAll(t, d.Host, set.Source(), list)
	for _, img := range list[:3] {
		wantDigest(t, d, img)
	}
	var names []string
	for _, img := range reopened(t, d.Host, "") {
		names = append(names, img.Name.String())
	}
	if want := []string{"docker.io/library/busybox:1", "registry.example/team/shared:1.0", "registry.example:5000/a/b:2"}; !slices.Equal(names, want) {
		t.Errorf("it has %v, want %v", names, want)
	}
	if p := copyAll(t, d.Host, set.Source(), list); !p.Images[0].Held || !p.Images[2].Held {
		t.Error("what it has was sent again")
	}
	src := anySource(t, d.Host)
	defer func() { _ = src.Close() }()
	sel := "busybox@" + plain.Root.Digest.String()
	if got, err := src.Images(t.Context(), sel); !errors.Is(err, fault.ErrUnsupported) || !strings.Contains(err.Error(), "podman "+d.Host) {
		t.Errorf("%s: %v, %v", sel, got, err)
	}
}

// TestPodmanManyImages copies more images than may have open streams, in one run.
func TestPodmanManyImages(t *testing.T) {
	d := emptied(t, parts.SharedPodman(t))
	set := ownSet(t)
	set.Content = maps.Clone(set.Content)
	plain := set.Image(t, "plain")
	var list []transport.Image
	for i := range 6 {
		s := &conformance.Set{Images: []transport.Image{plain}, Content: set.Content}
		alter(t, s, 0, func(m *v1.Manifest) {
			own := layer(t, "own", []byte(fmt.Sprint(i)))
			config := decode[v1.Image](t, s.Content[m.Config.Digest])
			config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, digest.FromBytes(own))
			m.Layers = append(m.Layers, put(s, v1.MediaTypeImageLayer, own))
			m.Config = put(s, v1.MediaTypeImageConfig, encode(t, config))
		})
		list = append(list, called(t, fmt.Sprintf("many:%d", i), s.Images[0]))
	}
	most := 0
	sink := anySink(t, d.Host).(*podmanSink)
	var requests []transport.Request
	for _, img := range list {
		requests = append(requests, transport.Request{Source: set.Source(), Image: img, Target: img.Name})
	}
	if _, err := transport.Copy(t.Context(), requests, counting{sink, &most}, transport.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	if most != 1 {
		t.Errorf("%d streams were open at a time, want 1", most)
	}
	for _, img := range list {
		wantDigest(t, d, img)
	}
}

// counting counts the streams that are open.
type counting struct {
	*podmanSink
	most *int
}

func (c counting) WriteBlob(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
	err := c.podmanSink.WriteBlob(ctx, d, images, open)
	*c.most = max(*c.most, len(c.loads)+1) // one may just have ended
	if len(c.loads) == 0 {
		*c.most = max(*c.most-1, 1)
	}
	return err
}

// TestPodmanNotPlanned writes images that the sink was not told of before.
func TestPodmanNotPlanned(t *testing.T) {
	d := emptied(t, parts.SharedPodman(t))
	set := ownSet(t).Only("plain", "shared")
	sink := anySink(t, d.Host)
	err := write(t.Context(), sink, set.Source(), set.Images)
	if err == nil {
		err = sink.Commit(t.Context(), set.Images)
	}
	if cerr := sink.Close(); err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
	for _, img := range set.Images {
		wantDigest(t, d, img)
	}
}

// TestPodmanRefused gives Podman a layer that it cannot unpack, after an image that
// is good. It would take one that is not what the config says.
func TestPodmanRefused(t *testing.T) {
	d := emptied(t, parts.SharedPodman(t))
	set := ownSet(t)
	copyAll(t, d.Host, set.Source(), []transport.Image{called(t, "registry.example/team/shared:1.0", set.Image(t, "docker"))})
	before := reopened(t, d.Host, "")
	bad := set.Only("plain", "shared")
	bad.Content = maps.Clone(bad.Content)
	for i := range bad.Images { // another ID than that of the image that is there
		alter(t, bad, i, func(m *v1.Manifest) {
			config := decode[v1.Image](t, bad.Content[m.Config.Digest])
			config.Author = "bale"
			m.Config = put(bad, v1.MediaTypeImageConfig, encode(t, config))
			if i == 1 {
				m.Layers[1] = put(bad, v1.MediaTypeImageLayerGzip, []byte("\x1f\x8b no more of gzip than its first bytes"))
			}
		})
	}
	sink := anySink(t, d.Host)
	var requests []transport.Request
	for _, img := range bad.Images {
		requests = append(requests, transport.Request{Source: bad.Source(), Image: img, Target: img.Name})
	}
	_, err := transport.Copy(t.Context(), requests, sink, transport.Options{})
	if cerr := sink.Close(); cerr != nil {
		t.Error(cerr)
	}
	if err == nil || !strings.Contains(err.Error(), "podman "+d.Host) {
		t.Errorf("%v, want what %s says", err, d.Host)
	}
	if after := reopened(t, d.Host, ""); !reflect.DeepEqual(after, before) {
		t.Errorf("it had %v and has %v", before, after)
	}
	if left := dangling(t, d); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

// TestPodmanRuns runs in Podman what was built in Docker.
func TestPodmanRuns(t *testing.T) {
	from := emptyEngine(t)
	build(t, from)
	src := openSource(t, from.Host)
	d := emptied(t, parts.SharedPodman(t))
	copyAll(t, d.Host, src, images(t, src, "example/hello:1", "example/world:1"))
	for ref, want := range map[string]string{"docker.io/example/hello:1": "hello", "docker.io/example/world:1": "world"} {
		// Podman 4.3 does not let a current docker command attach itself.
		id := d.Run(t, "run", "--detach", "--network", "host", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", ref)
		d.Run(t, "wait", id)
		if got := d.Run(t, "logs", id); got != want {
			t.Errorf("%s prints %q, want %q", ref, got, want)
		}
		d.Run(t, "rm", id)
	}
}
