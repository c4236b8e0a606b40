package transport_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
)

// Parts of manifests as JSON.
var (
	zeros       = strings.Repeat("0", 64)
	jsonLayer   = `{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:` + zeros + `","size":7}`
	jsonLayers  = `"layers":[` + jsonLayer + `]`
	jsonConfig  = `"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:` + zeros + `","size":5}`
	jsonEntries = `"manifests":[{"mediaType":"` + v1.MediaTypeImageManifest + `","digest":"sha256:` + zeros + `","size":9,` +
		`"platform":{"os":"linux","architecture":"arm","variant":"v7","os.version":"1"}}]`
)

func TestParseManifest(t *testing.T) {
	zero := digest.NewDigestFromEncoded(digest.SHA256, zeros)
	config := &v1.Descriptor{MediaType: v1.MediaTypeImageConfig, Digest: zero, Size: 5}
	layers := []v1.Descriptor{{MediaType: v1.MediaTypeImageLayer, Digest: zero, Size: 7}}
	entries := []v1.Descriptor{{MediaType: v1.MediaTypeImageManifest, Digest: zero, Size: 9,
		Platform: &v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7", OSVersion: "1"}}}
	for _, c := range []struct {
		name, mediaType, content string
		want                     *transport.Manifest
		kind                     error
	}{
		{"OCI manifest", v1.MediaTypeImageManifest, `{` + jsonConfig + `,` + jsonLayers + `}`, &transport.Manifest{Config: config, Layers: layers}, nil},
		{"Docker manifest", transport.DockerManifest, `{` + jsonConfig + `,` + jsonLayers + `}`, &transport.Manifest{Config: config, Layers: layers}, nil},
		{"no layers", v1.MediaTypeImageManifest, `{` + jsonConfig + `}`, &transport.Manifest{Config: config}, nil},
		{"layers that are null", v1.MediaTypeImageManifest, `{` + jsonConfig + `,"layers":null,"manifests":null}`, &transport.Manifest{Config: config}, nil},
		{"its own media type", v1.MediaTypeImageManifest, `{"mediaType":"` + v1.MediaTypeImageManifest + `",` + jsonConfig + `}`, &transport.Manifest{Config: config}, nil},
		{"OCI index", v1.MediaTypeImageIndex, `{` + jsonEntries + `}`, &transport.Manifest{Manifests: entries}, nil},
		{"Docker list", transport.DockerIndex, `{` + jsonEntries + `}`, &transport.Manifest{Manifests: entries}, nil},
		{"empty index", v1.MediaTypeImageIndex, `{"manifests":[]}`, &transport.Manifest{Manifests: []v1.Descriptor{}}, nil},
		{"unknown members", v1.MediaTypeImageManifest, `{"subject":{},"annotations":{"a":"b"},` + jsonConfig + `}`, &transport.Manifest{Config: config}, nil},

		{"schema 1", transport.DockerSchema1, `{}`, nil, fault.ErrUnsupported},
		{"signed schema 1", transport.DockerSchema1Signed, `{}`, nil, fault.ErrUnsupported},
		{"unknown type", "application/vnd.example+json", `{}`, nil, fault.ErrUnsupported},
		{"no type", "", `{` + jsonConfig + `}`, nil, fault.ErrUnsupported},
		{"unknown digest algorithm", v1.MediaTypeImageManifest, `{"config":{"digest":"sha384:` + zeros + zeros[:32] + `","size":1}}`, nil, fault.ErrUnsupported},

		{"nothing", v1.MediaTypeImageManifest, ``, nil, fault.ErrDamaged},
		{"no JSON", v1.MediaTypeImageManifest, `<html>`, nil, fault.ErrDamaged},
		{"two documents", v1.MediaTypeImageIndex, `{"manifests":[]}{}`, nil, fault.ErrDamaged},
		{"other JSON", v1.MediaTypeImageIndex, `[]`, nil, fault.ErrDamaged},
		{"list that is none", v1.MediaTypeImageManifest, `{` + jsonConfig + `,"layers":{}}`, nil, fault.ErrDamaged},
		{"list that is text", v1.MediaTypeImageIndex, `{"manifests":"no"}`, nil, fault.ErrDamaged},
		{"list of numbers", v1.MediaTypeImageIndex, `{"manifests":[1]}`, nil, fault.ErrDamaged},
		{"list of nulls", v1.MediaTypeImageIndex, `{"manifests":[null]}`, nil, fault.ErrDamaged},
		{"list twice", v1.MediaTypeImageIndex, `{"manifests":[],"manifests":[]}`, nil, fault.ErrDamaged},
		{"list twice, spelled otherwise", v1.MediaTypeImageIndex, `{"manifests":[],"Manifests":[]}`, nil, fault.ErrDamaged},
		{"other media type", v1.MediaTypeImageManifest, `{"mediaType":"` + transport.DockerManifest + `",` + jsonConfig + `}`, nil, fault.ErrDamaged},
		{"manifest that says index", v1.MediaTypeImageManifest, `{"mediaType":"` + v1.MediaTypeImageIndex + `",` + jsonConfig + `}`, nil, fault.ErrDamaged},
		{"manifest with manifests", v1.MediaTypeImageManifest, `{` + jsonConfig + `,` + jsonEntries + `}`, nil, fault.ErrDamaged},
		{"manifest with no manifests", v1.MediaTypeImageManifest, `{` + jsonConfig + `,"manifests":[]}`, nil, fault.ErrDamaged},
		{"index with layers", v1.MediaTypeImageIndex, `{` + jsonEntries + `,` + jsonLayers + `}`, nil, fault.ErrDamaged},
		{"index with LAYERS", v1.MediaTypeImageIndex, `{` + jsonEntries + `,` + strings.Replace(jsonLayers, "layers", "LAYERS", 1) + `}`, nil, fault.ErrDamaged},
		{"index with config", v1.MediaTypeImageIndex, `{` + jsonEntries + `,` + jsonConfig + `}`, nil, fault.ErrDamaged},
		{"schema 1 in disguise", transport.DockerManifest, `{"fsLayers":[],` + jsonConfig + `}`, nil, fault.ErrDamaged},
		{"no config", v1.MediaTypeImageManifest, `{` + jsonLayers + `}`, nil, fault.ErrDamaged},
		{"config that is null", v1.MediaTypeImageManifest, `{"config":null,` + jsonLayers + `}`, nil, fault.ErrDamaged},
		{"config without digest", v1.MediaTypeImageManifest, `{"config":{"size":1}}`, nil, fault.ErrDamaged},
		{"config of less than nothing", v1.MediaTypeImageManifest, strings.Replace(`{`+jsonConfig+`}`, `:5`, `:-1`, 1), nil, fault.ErrDamaged},
		{"config with a fraction", v1.MediaTypeImageManifest, strings.Replace(`{`+jsonConfig+`}`, `:5`, `:5.5`, 1), nil, fault.ErrDamaged},
		{"layer with a path as digest", v1.MediaTypeImageManifest, `{` + jsonConfig + `,"layers":[{"digest":"sha256:../../etc/passwd","size":1}]}`, nil, fault.ErrDamaged},
		{"layer with a short digest", v1.MediaTypeImageManifest, `{` + jsonConfig + `,"layers":[{"digest":"sha256:00","size":1}]}`, nil, fault.ErrDamaged},
		{"layer too large to be true", v1.MediaTypeImageManifest, strings.Replace(`{`+jsonConfig+`,`+jsonLayers+`}`, `:7`, `:4398046511105`, 1), nil, fault.ErrDamaged},
		{"layer over any number", v1.MediaTypeImageManifest, strings.Replace(`{`+jsonConfig+`,`+jsonLayers+`}`, `:7`, `:9223372036854775808`, 1), nil, fault.ErrDamaged},
		{"layer with many URLs", v1.MediaTypeImageManifest, strings.Replace(`{`+jsonConfig+`,`+jsonLayers+`}`, `"size":7`,
			`"size":7,"urls":[`+strings.Repeat(`"",`, transport.MaxURLs)+`""]`, 1), nil, fault.ErrDamaged},
	} {
		got, err := transport.ParseManifest(c.mediaType, []byte(c.content))
		if !errors.Is(err, c.kind) || (err == nil) != (c.kind == nil) || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v; want %+v, %v", c.name, got, err, c.want, c.kind)
		}
	}
}

func TestSchema1HasAHint(t *testing.T) {
	_, err := transport.ParseManifest(transport.DockerSchema1Signed, nil)
	if fault.Hint(err) == "" {
		t.Errorf("%v has no hint", err)
	}
}

// A registry must not make us use many times the memory of what it sends.
func TestParseManifestTakesLittleMemory(t *testing.T) {
	const size = 256 << 10
	fill := func(before, each, after string) []byte {
		n := (size - len(before) - len(after)) / len(each)
		return []byte(before + strings.TrimSuffix(strings.Repeat(each, n), ",") + after)
	}
	full := `{"digest":"sha256:` + zeros + `",%s},`
	for name, content := range map[string][]byte{
		"descriptors that say nothing":   fill(`{`+jsonConfig+`,"layers":[`, `{},`, `]}`),
		"nulls":                          fill(`{`+jsonConfig+`,"layers":[`, `null,`, `]}`),
		"descriptors that say little":    fill(`{`+jsonConfig+`,"layers":[`, strings.Replace(full, ",%s", "", 1), `]}`),
		"annotations":                    fill(`{`+jsonConfig+`,"layers":[`, fmt.Sprintf(full, `"annotations":{"a":"","b":"","c":"","d":""}`), `]}`),
		"annotations of the config":      fill(strings.TrimSuffix(`{`+jsonConfig, `}`)+`,"annotations":{`, `"a":"",`, `}}`),
		"URLs of one":                    fill(strings.TrimSuffix(`{`+jsonConfig, `}`)+`,"urls":[`, `"",`, `]}}`),
		"URLs of many":                   fill(`{`+jsonConfig+`,"layers":[`, fmt.Sprintf(full, `"urls":[`+strings.TrimSuffix(strings.Repeat(`"",`, transport.MaxURLs), ",")+`]`), `]}`),
		"members that nobody knows":      fill(`{`+jsonConfig+`,"x":[`, `{},`, `]}`),
		"features of the platform":       fill(strings.TrimSuffix(`{`+jsonConfig, `}`)+`,"platform":{"os.features":[`, `"",`, `]}}}`),
		"nesting as deep as JSON may be": []byte(`{` + jsonConfig + `,"x":` + strings.Repeat("[", 9990) + strings.Repeat("]", 9990) + `}`),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := transport.ParseManifest(v1.MediaTypeImageManifest, content)
		runtime.ReadMemStats(&after)
		// All that was ever allocated; what is in use at a time is a part of it.
		if n, limit := after.TotalAlloc-before.TotalAlloc, uint64(32*size); n > limit {
			t.Errorf("%s: %d bytes allocated for %d (%v)", name, n, len(content), err)
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	types := []string{v1.MediaTypeImageManifest, v1.MediaTypeImageIndex, transport.DockerManifest, transport.DockerIndex,
		transport.DockerSchema1, "application/json"}
	for i, content := range []string{
		`{` + jsonConfig + `,` + jsonLayers + `}`,
		`{` + jsonEntries + `}`,
		`{"mediaType":"` + transport.DockerManifest + `",` + jsonConfig + `,` + jsonLayers + `}`,
		`{"manifests":[],"layers":[]}`,
		`{"fsLayers":[{}],"history":[{}]}`,
		`{"layers":[{}],"config":{}}`,
		`{"layers":[` + jsonLayer + `,` + jsonLayer + `],` + jsonConfig + `,"Layers":null}`,
		`{"manifests":[{"urls":["x"],"platform":null}]}`,
	} {
		f.Add(uint8(i), []byte(content))
	}
	f.Fuzz(func(t *testing.T, kind uint8, content []byte) {
		mediaType := types[int(kind)%len(types)]
		m, err := transport.ParseManifest(mediaType, content)
		if err != nil {
			if m != nil {
				t.Fatal("an error and a result")
			}
			if !errors.Is(err, fault.ErrDamaged) && !errors.Is(err, fault.ErrUnsupported) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		// What is accepted must be what any other reader sees.
		var image v1.Manifest
		var index v1.Index
		if transport.IsIndex(mediaType) {
			must(t, json.Unmarshal(content, &index))
		} else {
			must(t, json.Unmarshal(content, &image))
			if m.Config == nil || m.Config.Digest != image.Config.Digest || m.Config.Size != image.Config.Size {
				t.Fatalf("config %v, others see %v", m.Config, image.Config)
			}
		}
		if (m.Config == nil) != transport.IsIndex(mediaType) ||
			!slices.EqualFunc(m.Layers, image.Layers, same) || !slices.EqualFunc(m.Manifests, index.Manifests, same) {
			t.Fatalf("%+v, others see %+v, %+v", m, image, index)
		}
		for _, d := range slices.Concat(m.Layers, m.Manifests) {
			if err := blob.Check(d.Digest, d.Size); err != nil || d.Size > transport.MaxBlob {
				t.Fatalf("accepted %v (%v)", d, err)
			}
		}
	})
}

func same(a, b v1.Descriptor) bool {
	return a.MediaType == b.MediaType && a.Digest == b.Digest && a.Size == b.Size && slices.Equal(a.URLs, b.URLs) &&
		(a.Platform == nil) == (b.Platform == nil) &&
		(a.Platform == nil || a.Platform.OS == b.Platform.OS && a.Platform.Architecture == b.Platform.Architecture && a.Platform.Variant == b.Platform.Variant)
}
