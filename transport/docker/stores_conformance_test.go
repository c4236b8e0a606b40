package docker

import (
	"strings"
	"testing"

	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/parts"
)

func TestStoreConformanceSource(t *testing.T) {
	d := emptied(t, parts.SharedDockerCurrent(t))
	set := conformance.New(t, "registry.example/team")
	copyAll(t, d.Host, set.Source(), set.Images)
	open := func(t *testing.T) transport.Source {
		s := anySource(t, d.Host)
		images(t, s, "") // nothing is there before it is selected
		return s
	}
	shared := set.Image(t, "shared")
	id := shared.Root.Digest.Encoded()
	conformance.Source(t, open, conformance.Want{Set: set, Select: map[string]string{
		id:             shared.Name.String(),
		"sha256:" + id: shared.Name.String(),
		id[:12]:        shared.Name.String(),
	}})
}

func TestStoreConformanceSink(t *testing.T) {
	conformance.Sink(t, func(t *testing.T) conformance.Place {
		d := emptied(t, parts.SharedDockerCurrent(t))
		return conformance.Place{
			Set:       conformance.New(t, "registry.example/team"),
			Sink:      func(t *testing.T) transport.Sink { return anySink(t, d.Host) },
			Source:    func(t *testing.T) (transport.Source, error) { return NewSource(t.Context(), Options{Host: d.Host}) },
			Leftovers: func(t *testing.T) []string { return dangling(t, d) },
			Remembers: false, // it is not worth it for small blobs
			// Docker names nothing that has no platform, and does not export what it has
			// of an index that lists indexes only.
			Unkept: []string{"cache", "lists"},
		}
	})
}

func TestPodmanConformanceSource(t *testing.T) {
	d := emptied(t, parts.SharedPodman(t))
	set := ownSet(t)
	set.Images = set.Resolve(t, &amd64)
	copyAll(t, d.Host, set.Source(), set.Images)
	open := func(t *testing.T) transport.Source {
		s := anySource(t, d.Host)
		images(t, s, "") // nothing is there before it is selected
		return s
	}
	id := strings.TrimPrefix(idOf(t, d, "registry.example/team/shared:1.0"), "sha256:")
	conformance.Source(t, open, conformance.Want{Set: forgotten(t, set), Select: map[string]string{
		id:             "registry.example/team/shared:1.0",
		"sha256:" + id: "registry.example/team/shared:1.0",
		id[:12]:        "registry.example/team/shared:1.0",
	}})
}

func TestPodmanConformanceSink(t *testing.T) {
	conformance.Sink(t, func(t *testing.T) conformance.Place {
		d := emptied(t, parts.SharedPodman(t))
		set := ownSet(t)
		return conformance.Place{
			Set:    set,
			Sink:   func(t *testing.T) transport.Sink { return anySink(t, d.Host) },
			Source: func(t *testing.T) (transport.Source, error) { return NewSource(t.Context(), Options{Host: d.Host}) },
			Unkept: []string{"bare"}, // what has no tag is there, but not by its digest
			Start:  func(t *testing.T, s transport.Sink, images []transport.Image) { plan(t, s, set, images) },
			Visible: func(t *testing.T, name transport.Name) bool {
				return d.Run(t, "images", "--quiet", name.String()) != ""
			},
			Check:     func(t *testing.T, img transport.Image) { wantDigest(t, d, img) },
			Leftovers: func(t *testing.T) []string { return dangling(t, d) },
		}
	})
}

// wantDigest fails the test unless Podman knows an image by the digest that it
// came with, and has all of its layers.
func wantDigest(t *testing.T, d *parts.DockerPart, img transport.Image) {
	t.Helper()
	digests := d.Run(t, "inspect", "--type", "image", "--format", "{{join .RepoDigests \" \"}}", img.Name.String())
	if want := img.Name.Repository() + "@" + img.Root.Digest.String(); !strings.Contains(digests, want) {
		t.Errorf("%s has the digests %s, not %s", img.Name, digests, want)
	}
	src := anySource(t, d.Host)
	wantReadable(t, src, img.Name)
	if err := src.Close(); err != nil {
		t.Error(err)
	}
}
