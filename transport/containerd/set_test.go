package containerd

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"os"
	"runtime"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/parts"
)

// host is what runs here, other what does not.
var (
	host  = v1.Platform{OS: "linux", Architecture: runtime.GOARCH}
	other = v1.Platform{OS: "linux", Architecture: "s390x"}
)

// set is images in the making.
type set struct {
	*testing.T
	conformance.Set
	cmd []string // what the images made next do
}

func newSet(t *testing.T) *set {
	return &set{t, conformance.Set{Content: map[digest.Digest][]byte{}}, []string{"/bin/busybox", "echo", "hello"}}
}

func (s *set) blob(mediaType string, data []byte) v1.Descriptor {
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	s.Content[d.Digest] = data
	return d
}

func (s *set) json(mediaType string, v any) v1.Descriptor {
	s.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		s.Fatal(err)
	}
	return s.blob(mediaType, b)
}

// image makes a manifest for a platform; layers are tars.
func (s *set) image(p v1.Platform, layers ...[]byte) v1.Descriptor {
	s.Helper()
	c := v1.Image{Platform: p}
	c.RootFS.Type = "layers"
	c.Config.Cmd = s.cmd
	m := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest}
	for _, l := range layers {
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, digest.FromBytes(l))
		m.Layers = append(m.Layers, s.blob(v1.MediaTypeImageLayer, l))
	}
	m.Config = s.json(v1.MediaTypeImageConfig, c)
	d := s.json(m.MediaType, m)
	d.Platform = &p
	return d
}

func (s *set) index(children ...v1.Descriptor) v1.Descriptor {
	s.Helper()
	return s.json(v1.MediaTypeImageIndex, v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: children,
	})
}

// note makes an artifact that is attached to a manifest.
func (s *set) note(to v1.Descriptor, text string) v1.Descriptor {
	s.Helper()
	to = bare(to)
	return s.json(v1.MediaTypeImageManifest, v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		ArtifactType: "application/vnd.example.note", Config: s.blob(v1.MediaTypeEmptyJSON, []byte("{}")),
		Layers: []v1.Descriptor{s.blob("text/plain", []byte(text))}, Subject: &to,
	})
}

// name adds an image to the set; a name without tag is pinned to the root.
func (s *set) name(name string, root v1.Descriptor) transport.Image {
	s.Helper()
	n, err := transport.ParseName(name)
	if err != nil {
		s.Fatal(err)
	}
	img := transport.Image{Name: n, Root: bare(root)}
	s.Images = append(s.Images, img)
	return img
}

// tarOf returns a tar of one program.
func tarOf(t *testing.T, name string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// busybox returns a layer with busybox in it.
func busybox(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile(parts.Tool(t, "busybox"))
	if err != nil {
		t.Fatal(err)
	}
	return tarOf(t, "bin/busybox", b)
}

// parse reads a manifest or index of the set.
func (s *set) parse(d v1.Descriptor) *transport.Manifest {
	s.Helper()
	m, err := transport.ParseManifest(d.MediaType, s.Content[d.Digest])
	if err != nil {
		s.Fatal(err)
	}
	return m
}

func sameImage(a, b transport.Image) bool { return a.Name == b.Name && a.Root.Digest == b.Root.Digest }
