package savelist_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
	"bale/transport/savelist"
)

func descriptor(mediaType, content string) string {
	return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, mediaType, digest.FromString(content), len(content))
}

func TestParseImage(t *testing.T) {
	const (
		manifest = "application/vnd.oci.image.manifest.v1+json"
		config   = "application/vnd.oci.image.config.v1+json"
		gzip     = "application/vnd.oci.image.layer.v1.tar+gzip"
	)
	image := func(config string, layers ...string) string {
		return `{"schemaVersion":2,"config":` + config + `,"layers":[` + strings.Join(layers, ",") + `]}`
	}
	for name, c := range map[string]struct {
		mediaType, content string
		want               error
	}{
		"image":          {manifest, image(descriptor(config, "c"), descriptor(gzip, "l")), nil},
		"without layers": {manifest, image(descriptor(config, "c")), nil},
		"Docker's":       {"application/vnd.docker.distribution.manifest.v2+json", image(descriptor("application/vnd.docker.container.image.v1+json", "c"), descriptor(savelist.DockerLayerGzip, "l"), descriptor(savelist.DockerLayer, "m")), nil},
		"artifact":       {manifest, image(descriptor("application/vnd.oci.empty.v1+json", "{}")), fault.ErrUnsupported},
		"cosign's":       {manifest, image(descriptor(config, "c"), descriptor("application/vnd.dev.cosign.simplesigning.v1+json", "l")), fault.ErrUnsupported},
		"SHA-512":        {manifest, image(strings.Replace(descriptor(config, "c"), digest.FromString("c").String(), digest.SHA512.FromString("c").String(), 1)), fault.ErrUnsupported},
		"index":          {"application/vnd.oci.image.index.v1+json", `{"schemaVersion":2,"manifests":[]}`, fault.ErrUnsupported},
		"something else": {"text/plain", "text", fault.ErrUnsupported},
		"no JSON":        {manifest, "{", fault.ErrDamaged},
	} {
		m, err := savelist.ParseImage(c.mediaType, []byte(c.content))
		if !errors.Is(err, c.want) || (err == nil) != (m != nil) {
			t.Errorf("%s: %v, %v; want %v", name, m, err, c.want)
		}
	}

	m, err := savelist.ParseImage(manifest, []byte(image(descriptor(config, "c"), descriptor(gzip, "1"), descriptor(gzip, "2"))))
	if err != nil {
		t.Fatal(err)
	}
	it, ok := m.Item(func(d digest.Digest) string { return d.Encoded() })
	if !ok || it.Config != digest.FromString("c").Encoded() || !slices.Equal(it.Layers, []string{digest.FromString("1").Encoded(), digest.FromString("2").Encoded()}) {
		t.Errorf("item %+v, %t", it, ok)
	}
	for _, gone := range []string{"c", "2"} {
		if it, ok := m.Item(func(d digest.Digest) string {
			if d == digest.FromString(gone) {
				return ""
			}
			return "there"
		}); ok {
			t.Errorf("without %q: item %+v", gone, it)
		}
	}
}

func TestMarshal(t *testing.T) {
	for want, items := range map[string][]savelist.Item{
		`[]`: nil,
		`[{"Config":"c","RepoTags":["a:1"],"Layers":[]},{"Config":"c","RepoTags":null,"Layers":["l"]}]`: {
			{Config: "c", RepoTags: []string{"a:1"}, Layers: []string{}}, {Config: "c", Layers: []string{"l"}},
		},
	} {
		if got, err := savelist.Marshal(items); err != nil || string(got) != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
	if _, err := savelist.Marshal([]savelist.Item{{Config: strings.Repeat("c", savelist.MaxSize)}}); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("too long: %v, want an ErrUnsupported", err)
	}
}
