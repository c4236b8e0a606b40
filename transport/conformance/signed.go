package conformance

import (
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
)

// manyAttached is how many notes are attached to one manifest.
const manyAttached = 12

// Signed returns images as they are found in the wild, under a repository, with
// what is attached to them. No content is in two repositories. With tag 1.0, if
// nothing else is said:
//
//   - signed: an index of linux/amd64 and linux/arm64. Attached are notes to the
//     index, to amd64 and to that note, an index to the index, all of cosign's
//     tags to the index, and its signature to amd64 and to arm64
//   - built: an index of linux/amd64 and linux/arm64 with BuildKit's attestations,
//     and a note to amd64
//   - many: linux/amd64, with a dozen notes
//   - lists: one of Docker's lists in another
//   - tags: linux/amd64, with the tags 1.0, 1.1 and latest
//   - bare: linux/amd64, without a tag
//   - cache: an index that lists blobs, as BuildKit writes a cache
//   - chart: an artifact with an artifactType, an empty config and an empty blob,
//     with a note
//
// The content is all of [New]'s besides.
func Signed(t testing.TB, repository string) *Set {
	t.Helper()
	return buildSigned().under(t, repository)
}

var buildSigned = sync.OnceValue(func() *Set {
	b := &builder{Content: maps.Clone(build().Content)}
	amd64 := v1.Platform{OS: "linux", Architecture: "amd64"}
	arm64 := v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
	layer := func(text string) rawLayer { return b.layer(v1.MediaTypeImageLayerGzip, tarOf("etc/motd", text+"\n")) }
	image := func(p v1.Platform, text string) v1.Descriptor {
		return b.image(p, v1.MediaTypeImageManifest, v1.MediaTypeImageConfig, layer(text))
	}
	docker := func(p v1.Platform, text string) v1.Descriptor {
		return b.image(p, dockerManifest, dockerConfig, b.layer(dockerLayer, tarOf("etc/motd", text+"\n")))
	}

	amd, arm := image(amd64, "signed, amd64"), image(arm64, "signed, arm64")
	index := b.index(amd, arm)
	b.name("signed", index)
	b.attach("signed", index, b.note("of the index", &index))
	note := b.note("of amd64", &amd)
	b.attach("signed", amd, note)
	b.attach("signed", note, b.note("of a note", &note))
	sub := bare(index)
	b.attach("signed", index, b.json(v1.MediaTypeImageIndex, v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, ArtifactType: "application/vnd.example.notes",
		Manifests: []v1.Descriptor{b.note("in an index", nil)}, Subject: &sub,
	}))
	for _, kind := range transport.AttachedTags {
		b.attachTag("signed", index, kind)
	}
	b.attachTag("signed", amd, "sig")
	b.attachTag("signed", arm, "sig")

	amd, arm = image(amd64, "built, amd64"), image(arm64, "built, arm64")
	b.name("built", b.index(amd, arm, b.attestation(amd), b.attestation(arm)))
	b.attach("built", amd, b.note("of what was built", &amd))

	many := image(amd64, "many")
	b.name("many", many)
	for i := range manyAttached {
		b.attach("many", many, b.note(fmt.Sprintf("number %d", i), &many))
	}

	b.name("lists", b.list(b.list(docker(amd64, "lists, amd64"), docker(arm64, "lists, arm64"))))
	tags := image(amd64, "tags")
	for _, tag := range []string{"1.0", "1.1", "latest"} {
		b.tag("tags", tag, tags)
	}
	b.tag("bare", "", image(amd64, "bare"))
	b.name("cache", b.index(layer("cache").Descriptor, b.blob("application/vnd.buildkit.cacheconfig.v0", []byte(`{"layers":[]}`))))
	chart := b.json(v1.MediaTypeImageManifest, v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		ArtifactType: "application/vnd.example.chart", Config: b.blob(v1.MediaTypeEmptyJSON, []byte("{}")),
		Layers:      []v1.Descriptor{b.blob("application/vnd.example.values", nil), b.blob("text/plain", []byte("a chart\n"))},
		Annotations: map[string]string{v1.AnnotationTitle: "chart"},
	})
	b.name("chart", chart)
	b.attach("chart", chart, b.note("of a chart", &chart))
	return (*Set)(b)
})

// note makes an artifact that is attached to a manifest, or to none.
func (b *builder) note(text string, to *v1.Descriptor) v1.Descriptor {
	m := v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		ArtifactType: "application/vnd.example.note", Config: b.blob(v1.MediaTypeEmptyJSON, []byte("{}")),
		Layers: []v1.Descriptor{b.blob("text/plain", []byte("a note "+text+"\n"))},
	}
	if to != nil {
		d := bare(*to)
		m.Subject = &d
	}
	return b.json(m.MediaType, m)
}

// attach adds what names a manifest as its subject.
func (b *builder) attach(short string, to, d v1.Descriptor) {
	n := transport.Name{Path: short, Digest: d.Digest}
	b.Attached = append(b.Attached, Attached{transport.Image{Name: n, Root: bare(d)}, to.Digest})
}

// attachTag adds what cosign attaches to a manifest by a tag.
func (b *builder) attachTag(short string, to v1.Descriptor, kind string) {
	d := b.statement(v1.Platform{}, "application/vnd.example."+kind+"+json", kind, to.Digest)
	n := transport.Name{Path: short, Tag: transport.AttachedTag(to.Digest, kind)}
	b.Attached = append(b.Attached, Attached{transport.Image{Name: n, Root: bare(d)}, to.Digest})
}

// attestation makes what BuildKit puts into an index beside a manifest.
func (b *builder) attestation(to v1.Descriptor) v1.Descriptor {
	p := v1.Platform{OS: "unknown", Architecture: "unknown"}
	d := b.statement(p, "application/vnd.in-toto+json", "provenance", to.Digest)
	d.Platform = &p
	d.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": to.Digest.String()}
	return d
}

// statement makes a manifest with one layer that says something of another.
func (b *builder) statement(p v1.Platform, mediaType, what string, of digest.Digest) v1.Descriptor {
	l := b.json(mediaType, map[string]any{"statement": what, "of": of})
	c := v1.Image{Platform: p}
	c.RootFS.Type, c.RootFS.DiffIDs = "layers", []digest.Digest{l.Digest}
	return b.json(v1.MediaTypeImageManifest, v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		Config: b.json(v1.MediaTypeImageConfig, c), Layers: []v1.Descriptor{l},
	})
}

// list is an index of Docker's.
func (b *builder) list(children ...v1.Descriptor) v1.Descriptor {
	return b.json(dockerList, v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: dockerList, Manifests: children,
	})
}
