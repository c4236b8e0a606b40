package layout_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/layout"
	"bale/transport/savelist"
)

// listIn returns the list for engines in a tar.
func listIn(t *testing.T, content []byte) []savelist.Item {
	t.Helper()
	for _, e := range tarEntries(t, content) {
		if e.Name == savelist.Name {
			var list []savelist.Item
			must(t, json.Unmarshal(e.content, &list))
			return list
		}
	}
	t.Fatal("no list")
	return nil
}

func blobName(d digest.Digest) string { return "blobs/sha256/" + d.Encoded() }

// TestHybridList looks at which images engines are told of, and as what.
func TestHybridList(t *testing.T) {
	set := conformance.New(t, team)
	for arch, want := range map[string][]string{
		"amd64": {"plain", "shared", "docker", "multi", "nested"},
		"arm64": {"plain", "shared", "docker", "multi", "nested"},
		"s390x": {"plain", "shared", "docker"}, // which have one platform
	} {
		list := listIn(t, tarOf(t, set, layout.Hybrid(v1.Platform{OS: "linux", Architecture: arch})))
		var got []string
		for _, it := range list {
			for _, tag := range it.RepoTags {
				got = append(got, strings.TrimSuffix(strings.TrimPrefix(tag, team+"/"), ":1.0"))
			}
			config := set.Content[digest.Digest("sha256:"+strings.TrimPrefix(it.Config, "blobs/sha256/"))]
			var c v1.Image
			must(t, json.Unmarshal(config, &c))
			if len(c.RootFS.DiffIDs) != len(it.Layers) {
				t.Errorf("%s: %v has %d layers, its config %d", arch, it.RepoTags, len(it.Layers), len(c.RootFS.DiffIDs))
			}
			// Of an index, engines get what they run.
			if name := got[len(got)-1]; (name == "multi" || name == "nested") && c.Architecture != arch {
				t.Errorf("%s: %s is for %s", arch, name, c.Architecture)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: engines are told of %q, want %q", arch, got, want)
		}
	}
}

// Several names of one image are one line, and the name that the user gave is
// the only one.
func TestHybridNames(t *testing.T) {
	set := conformance.New(t, team).Only("plain")
	img := set.Images[0]
	m, err := transport.ParseManifest(img.Root.MediaType, set.Content[img.Root.Digest])
	must(t, err)
	second, byDigest := img, img
	second.Name.Tag = "2.0"
	byDigest.Name.Tag, byDigest.Name.Digest = "", img.Root.Digest
	several := *set
	several.Images = []transport.Image{img, second, byDigest}
	only := *set
	only.Images = []transport.Image{byDigest}
	for name, c := range map[string]struct {
		set  *conformance.Set
		opts []layout.Option
		want []string
	}{
		"several":            {&several, nil, []string{team + "/plain:1.0", team + "/plain:2.0"}},
		"none":               {&only, nil, nil},
		"a full name":        {set, []layout.Option{layout.WithRef("app:3")}, []string{"docker.io/library/app:3"}},
		"no more than a tag": {set, []layout.Option{layout.WithRef("3")}, nil},
	} {
		list := listIn(t, tarOf(t, c.set, append(c.opts, layout.Hybrid(amd64))...))
		if len(list) != 1 || !slices.Equal(list[0].RepoTags, c.want) || list[0].Config != blobName(m.Config.Digest) ||
			!slices.Equal(list[0].Layers, []string{blobName(m.Layers[0].Digest), blobName(m.Layers[1].Digest)}) {
			t.Errorf("%s: the list is %+v, want one image called %q", name, list, c.want)
		}
	}
}
