package conformance

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	_ "crypto/sha256" // for go-digest
	"encoding/json"
	"math/rand/v2"
	"path"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
)

// Docker's media types (distribution, manifest-v2-2.md).
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	dockerLayer    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

// bigFile is the size in bytes of a file that no compression makes smaller, so
// that its layer takes many reads. Its second half is its first once more, which
// gzip does not see: so its layer is worth being taken apart.
const bigFile = 400 << 10

// New returns the suite's images under a repository such as
// "registry.example/team", all with tag 1.0 and always the same bytes:
//
//   - plain: linux/amd64, two gzip layers, one of some 400 KiB
//   - shared: linux/amd64, plain's large layer and an uncompressed one
//   - docker: plain's layers under Docker's media types
//   - multi: an index of linux/amd64 and linux/arm64
//   - nested: an index that holds multi's index and plain
//   - artifact: no container image: an empty config and a zero-byte blob
//
// All but artifact can be loaded by an engine.
func New(t testing.TB, repository string) *Set {
	t.Helper()
	return build().under(t, repository)
}

// under returns the set, whose names are no more than paths, in repositories
// under one.
func (s *Set) under(t testing.TB, repository string) *Set {
	t.Helper()
	above, err := transport.ParseName(repository + "/x")
	if err != nil {
		t.Fatal(err)
	}
	return s.Rename(func(n transport.Name) transport.Name {
		n.Domain, n.Path = above.Domain, path.Join(path.Dir(above.Path), n.Path)
		return n
	})
}

// build makes the images, with no more than their own names as paths. They are
// made once and never written to again.
var build = sync.OnceValue(func() *Set {
	b := &builder{Content: make(map[digest.Digest][]byte)}
	amd64 := v1.Platform{OS: "linux", Architecture: "amd64"}
	arm64 := v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}

	noise := make([]byte, bigFile/2)
	_, _ = rand.NewChaCha8([32]byte{'b', 'a', 'l', 'e'}).Read(noise) // never fails
	base := tarOf("usr/lib/noise", string(noise)+string(noise))
	own := tarOf("etc/motd", "plain\n")

	plain := b.image(amd64, v1.MediaTypeImageManifest, v1.MediaTypeImageConfig,
		b.layer(v1.MediaTypeImageLayerGzip, base), b.layer(v1.MediaTypeImageLayerGzip, own))
	b.name("plain", plain)
	b.name("shared", b.image(amd64, v1.MediaTypeImageManifest, v1.MediaTypeImageConfig,
		b.layer(v1.MediaTypeImageLayerGzip, base), b.layer(v1.MediaTypeImageLayer, tarOf("etc/motd", "shared\n"))))
	b.name("docker", b.image(amd64, dockerManifest, dockerConfig,
		b.layer(dockerLayer, base), b.layer(dockerLayer, own)))
	multi := b.index(
		b.image(amd64, v1.MediaTypeImageManifest, v1.MediaTypeImageConfig, b.layer(v1.MediaTypeImageLayerGzip, tarOf("bin/tool", "amd64\n"))),
		b.image(arm64, v1.MediaTypeImageManifest, v1.MediaTypeImageConfig, b.layer(v1.MediaTypeImageLayerGzip, tarOf("bin/tool", "arm64\n"))))
	b.name("multi", multi)
	b.name("nested", b.index(multi, plain))
	b.name("artifact", b.json(v1.MediaTypeImageManifest, v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		ArtifactType: "application/vnd.example.note", Config: b.blob(v1.MediaTypeEmptyJSON, []byte("{}")),
		Layers: []v1.Descriptor{b.blob("application/octet-stream", nil), b.blob("text/plain", []byte("a note\n"))},
	}))
	return (*Set)(b)
})

// builder is a set that is being made. What it does can only fail by a mistake
// in this file.
type builder Set

// rawLayer is a layer in the set and the digest of its tar.
type rawLayer struct {
	v1.Descriptor
	diffID digest.Digest
}

func (b *builder) blob(mediaType string, data []byte) v1.Descriptor {
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	b.Content[d.Digest] = data
	return d
}

func (b *builder) json(mediaType string, v any) v1.Descriptor {
	data, err := json.Marshal(v)
	must(err)
	return b.blob(mediaType, data)
}

func (b *builder) layer(mediaType string, raw []byte) rawLayer {
	if mediaType == v1.MediaTypeImageLayer {
		return rawLayer{b.blob(mediaType, raw), digest.FromBytes(raw)}
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, err := w.Write(raw)
	must(err)
	must(w.Close())
	return rawLayer{b.blob(mediaType, z.Bytes()), digest.FromBytes(raw)}
}

func (b *builder) image(p v1.Platform, manifest, config string, layers ...rawLayer) v1.Descriptor {
	created := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	c := v1.Image{Created: &created, Platform: p}
	c.Config.Cmd = []string{"/bin/tool"}
	c.RootFS.Type = "layers"
	m := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: manifest}
	for _, l := range layers {
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, l.diffID)
		c.History = append(c.History, v1.History{Created: &created, CreatedBy: "conformance"})
		m.Layers = append(m.Layers, l.Descriptor)
	}
	m.Config = b.json(config, c)
	d := b.json(manifest, m)
	d.Platform = &p
	return d
}

func (b *builder) index(children ...v1.Descriptor) v1.Descriptor {
	return b.json(v1.MediaTypeImageIndex, v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: children,
	})
}

func (b *builder) name(short string, root v1.Descriptor) { b.tag(short, "1.0", root) }

func (b *builder) tag(short, tag string, root v1.Descriptor) {
	n := transport.Name{Path: short, Tag: tag}
	b.Images = append(b.Images, transport.Image{Name: n.WithDigest(root.Digest), Root: bare(root)})
}

// bare is a descriptor with what names content and nothing else.
func bare(d v1.Descriptor) v1.Descriptor {
	return v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
}

// tarOf returns a tar of one file.
func tarOf(name, content string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	must(w.WriteHeader(&tar.Header{
		Name: name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(content)), ModTime: time.Unix(1_700_000_000, 0),
	}))
	_, err := w.Write([]byte(content))
	must(err)
	must(w.Close())
	return b.Bytes()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
