package docker

import (
	"errors"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/parts"
)

// foreignSet is an image with a layer that its publisher keeps to itself.
func foreignSet(t *testing.T) (set *conformance.Set, layer v1.Descriptor) {
	t.Helper()
	set = storeSet(t).Only("plain")
	alter(t, set, 0, func(m *v1.Manifest) {
		m.Layers[0].MediaType = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
		m.Layers[0].URLs = []string{"https://publisher.example/layer"}
		layer = m.Layers[0]
	})
	return set, layer
}

// copyOne copies the image of a set as a user does who asks for no more.
func copyOne(t *testing.T, src transport.Source, img transport.Image, sink transport.Sink) (*transport.Plan, error) {
	t.Helper()
	p, err := transport.Copy(t.Context(), []transport.Request{{Source: src, Image: img, Target: img.Name}}, sink, transport.Options{})
	if cerr := sink.Close(); cerr != nil {
		t.Error(cerr)
	}
	return p, err
}

// TestForeignRefused leaves the layer out on the way to engines that unpack layers.
func TestForeignRefused(t *testing.T) {
	for name, shared := range map[string]func(testing.TB) *parts.DockerPart{"classic": parts.SharedDocker, "podman": parts.SharedPodman} {
		t.Run(name, func(t *testing.T) {
			d := emptied(t, shared(t))
			set, layer := foreignSet(t)
			_, err := copyOne(t, set.Source(), set.Images[0], anySink(t, d.Host))
			if !errors.Is(err, fault.ErrMissing) || !strings.Contains(err.Error(), layer.Digest.String()) || !strings.Contains(err.Error(), "publisher") ||
				!strings.Contains(fault.Hint(err), "--foreign-layers") {
				t.Errorf("%v, hint %q", err, fault.Hint(err))
			}
			if left := listed(t, d); len(left) > 0 {
				t.Errorf("it has %v", left)
			}
		})
	}
}

// TestForeignKept leaves the layer out on the way to an engine that keeps the
// reference. It gives back no more than the manifest.
func TestForeignKept(t *testing.T) {
	d := emptied(t, parts.SharedDockerCurrent(t))
	set, layer := foreignSet(t)
	in := set.Images[0]
	wantOmitted := func(p *transport.Plan, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if o := p.Images[0].Omitted; len(o) != 1 || o[0].Reason != transport.ForeignLayer || o[0].Descriptor.Digest != layer.Digest {
			t.Errorf("left out: %+v", o)
		}
	}
	wantOmitted(copyOne(t, set.Source(), in, anySink(t, d.Host)))
	src := anySource(t, d.Host)
	defer func() { _ = src.Close() }()
	out := images(t, src, in.Name.String())[0] // of which it exports the manifest
	if out.Root.Digest != in.Root.Digest {
		t.Errorf("it is %s, want %s", out.Root.Digest, in.Root.Digest)
	}
	var place conformance.Memory
	if _, err := copyOne(t, src, out, place.Sink()); !errors.Is(err, fault.ErrMissing) || !strings.Contains(fault.Hint(err), "from its registry") {
		t.Errorf("copied on: %v, hint %q", err, fault.Hint(err))
	}
}
