package transport_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
)

func TestParsePlatforms(t *testing.T) {
	for s, want := range map[string]string{
		"linux/amd64":             "linux/amd64",
		"linux/x86_64":            "linux/amd64",
		"linux/aarch64":           "linux/arm64",
		"linux/arm64/v8":          "linux/arm64",
		"linux/arm":               "linux/arm/v7",
		"linux/arm/v6":            "linux/arm/v6",
		"windows/amd64":           "windows/amd64",
		"all":                     "",
		"":                        "usage",
		"amd64":                   "usage",
		"linux":                   "usage",
		"linux/":                  "usage",
		"/amd64":                  "usage",
		"linux/arm/v7/v8":         "usage",
		"linux/a b":               "usage",
		"linux/arm/v100":          "usage",
		"linux/amd64/v2000000000": "usage",
		"linux/amd64/v4":          "linux/amd64/v4",
		"linux/mips/softfloat":    "linux/mips/softfloat",
		"linux/\x1b[2J":           "usage",
	} {
		got, all, err := transport.ParsePlatforms([]string{s})
		switch {
		case want == "usage":
			if !errors.Is(err, fault.ErrUsage) || got != nil {
				t.Errorf("ParsePlatforms(%q) = %v, %v; want a usage error", s, got, err)
			}
		case err != nil:
			t.Errorf("ParsePlatforms(%q): %v", s, err)
		case all != (want == ""), want == "" && got != nil, want != "" && (len(got) != 1 || transport.FormatPlatform(got[0]) != want):
			t.Errorf("ParsePlatforms(%q) = %v, want %q", s, got, want)
		}
	}
}

// What an image says of itself must not reach a terminal as it is.
func TestFormatPlatformIsFitToBeShown(t *testing.T) {
	for want, p := range map[string]v1.Platform{
		"linux/amd64":  amd64,
		"linux/arm/v7": armV7,
		"unknown":      {Architecture: "amd64"},
		"li?[2j?ux/?":  {OS: "li\x1b[2J\nux", Architecture: "\u202e"},
	} {
		if got := transport.FormatPlatform(p); got != want {
			t.Errorf("FormatPlatform(%+v) = %q, want %q", p, got, want)
		}
	}
	if got := transport.FormatPlatform(v1.Platform{OS: strings.Repeat("x", 1<<20), Architecture: "y"}); len(got) > 200 {
		t.Errorf("%d bytes are shown", len(got))
	}
}

// entry is an image for a platform in an index; its layer tells which it is.
func (l *library) entry(p v1.Platform, what string) v1.Descriptor { return l.image(p, l.layer(what)) }

func TestPlatformOfAnIndex(t *testing.T) {
	attestation := v1.Platform{OS: "unknown", Architecture: "unknown"}
	amd64v3 := v1.Platform{OS: "linux", Architecture: "amd64", Variant: "v3"}
	anonymous := func(d v1.Descriptor) v1.Descriptor {
		d.Platform = nil
		return d
	}
	for _, c := range []struct {
		name  string
		index func(l *library) v1.Descriptor
		want  map[string]string // platform: layer of the image taken, or "" for missing
		has   []string          // what the error says there is
	}{
		{"usual", func(l *library) v1.Descriptor {
			return l.index(l.entry(attestation, "attestation"), l.entry(arm64, "arm64"), l.entry(amd64, "amd64"), l.entry(armV7, "arm/v7"), l.entry(attestation, "other"))
		}, map[string]string{
			"linux/amd64": "amd64", "linux/arm64": "arm64", "linux/arm64/v8": "arm64", "linux/arm/v7": "arm/v7", "linux/arm": "arm/v7",
			"linux/arm/v6": "", "linux/s390x": "", "windows/amd64": "", "linux/386": "", "unknown/unknown": "",
		}, []string{"linux/arm64", "linux/amd64", "linux/arm/v7"}},
		{"older variants", func(l *library) v1.Descriptor {
			return l.index(l.entry(v1.Platform{OS: "linux", Architecture: "arm", Variant: "v5"}, "v5"), l.entry(armV6, "v6"))
		}, map[string]string{"linux/arm/v7": "v6", "linux/arm/v6": "v6", "linux/arm/v5": "v5", "linux/arm64": ""}, []string{"linux/arm/v5", "linux/arm/v6"}},
		{"newer variant", func(l *library) v1.Descriptor { return l.index(l.entry(amd64v3, "v3")) },
			map[string]string{"linux/amd64": "", "linux/amd64/v3": "v3", "linux/amd64/v4": "v3"}, []string{"linux/amd64/v3"}},
		{"no other architecture", func(l *library) v1.Descriptor {
			return l.index(l.entry(v1.Platform{OS: "linux", Architecture: "386"}, "386"), l.entry(armV7, "v7"))
		}, map[string]string{"linux/amd64": "", "linux/arm64": "", "linux/386": "386"}, []string{"linux/386", "linux/arm/v7"}},
		{"the first of two that suit alike", func(l *library) v1.Descriptor { return l.index(l.entry(amd64, "one"), l.entry(amd64, "two")) },
			map[string]string{"linux/amd64": "one"}, nil},
		{"index for a platform", func(l *library) v1.Descriptor {
			inner := l.index(l.entry(amd64, "inner"))
			inner.Platform = &amd64
			return l.index(l.entry(arm64, "arm64"), inner)
		}, map[string]string{"linux/amd64": "inner", "linux/arm64": "arm64"}, nil},
		{"index for no platform", func(l *library) v1.Descriptor {
			return l.index(l.index(l.index(l.entry(arm64, "arm64"), l.entry(armV6, "v6"))), l.entry(armV7, "v7"))
		}, map[string]string{"linux/arm64": "arm64", "linux/arm/v7": "v7", "linux/arm/v6": "v6", "linux/amd64": ""}, []string{"linux/arm64", "linux/arm/v6", "linux/arm/v7"}},
		{"manifest for no platform", func(l *library) v1.Descriptor { return l.index(anonymous(l.entry(amd64, "amd64"))) },
			map[string]string{"linux/amd64": ""}, nil},
		{"platform without OS", func(l *library) v1.Descriptor { return l.index(l.entry(v1.Platform{Architecture: "amd64"}, "x")) },
			map[string]string{"linux/amd64": "", "windows/amd64": "", "darwin/amd64": ""}, nil},
		{"empty", func(l *library) v1.Descriptor { return l.index() }, map[string]string{"linux/amd64": ""}, nil},
	} {
		for platform, layer := range c.want {
			// Asked for by the user, or all that the place can keep.
			for _, asked := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%s/%t", c.name, strings.ReplaceAll(platform, "/", "-"), asked), func(t *testing.T) {
					lib := newLibrary(t)
					img := lib.name(team+"/app:1", c.index(lib))
					p, _, err := transport.ParsePlatforms([]string{platform})
					must(t, err)
					var s spy
					var o transport.Options
					if asked {
						o.Platforms = p
					} else {
						s.props.Platform = &p[0]
					}
					var place conformance.Memory
					plan, err := transport.Copy(t.Context(), all(s.source(lib.Source()), img), s.sink(&place), o)
					if layer == "" {
						if !errors.Is(err, fault.ErrMissing) {
							t.Fatalf("%v, want an ErrMissing", err)
						}
						for _, has := range c.has {
							if !strings.Contains(fault.Hint(err), has) {
								t.Errorf("hint %q does not name %s", fault.Hint(err), has)
							}
						}
						if h := fault.Hint(err); h == "" || c.has != nil && strings.Contains(h, "unknown") {
							t.Errorf("hint %q", fault.Hint(err))
						}
						wantEmpty(t, &place)
						return
					}
					must(t, err)
					got := plan.Images[0]
					if got.Source.Name != img.Name || got.Source.Root.Digest != img.Root.Digest || transport.IsIndex(got.Target.Root.MediaType) != asked || got.Target.Root.Platform != nil {
						t.Errorf("planned %+v", got)
					}
					if wantPlatforms := []string{transport.FormatPlatform(p[0])}; !slices.Equal(got.Platforms, wantPlatforms) && (got.Reindexed() || !asked) {
						t.Errorf("platforms %v", got.Platforms)
					}
					wantWhole(t, &place, &conformance.Set{Content: placeContent(t, &place, got.Target)}, got.Target)
					if blobs := s.of("blob"); len(blobs) != 2 || blobs[0] != lib.layer(layer).Digest && blobs[1] != lib.layer(layer).Digest {
						t.Errorf("copied %v, want the layer of %s", blobs, layer)
					}
					if !asked && len(s.of("write manifest")) != 1 {
						t.Errorf("%d manifests were written", len(s.of("write manifest")))
					}
				})
			}
		}
	}
}

func TestHintOfManyPlatformsIsShort(t *testing.T) {
	lib := newLibrary(t)
	var list []v1.Descriptor
	for i := range 300 {
		list = append(list, lib.entry(v1.Platform{OS: fmt.Sprint("os", i), Architecture: strings.Repeat("x", 1000)}, "x"))
	}
	img := lib.name(team+"/app:1", lib.index(list...))
	_, err := transport.Copy(t.Context(), all(lib.Source(), img), (&conformance.Memory{}).Sink(), transport.Options{Platforms: []v1.Platform{amd64}})
	if !errors.Is(err, fault.ErrMissing) || len(fault.Hint(err)) > 4000 {
		t.Errorf("%v, a hint of %d bytes", err, len(fault.Hint(err)))
	}
}

// An image without an index is for one platform, which its config says.
func TestPlatformOfAManifest(t *testing.T) {
	lib := newLibrary(t)
	img := lib.name(team+"/app:1", lib.entry(armV6, "x"))
	note := lib.name(team+"/note:1", lib.json(v1.MediaTypeImageManifest, v1.Manifest{
		MediaType: v1.MediaTypeImageManifest, Config: lib.blob(v1.MediaTypeEmptyJSON, []byte("{}"))}))
	noOS := lib.name(team+"/noos:1", lib.entry(v1.Platform{Architecture: "amd64"}, "x"))
	noJSON := lib.name(team+"/broken:1", lib.json(v1.MediaTypeImageManifest, v1.Manifest{
		MediaType: v1.MediaTypeImageManifest, Config: lib.blob(v1.MediaTypeImageConfig, []byte("no"))}))
	large := lib.name(team+"/large:1", lib.json(v1.MediaTypeImageManifest, v1.Manifest{
		MediaType: v1.MediaTypeImageManifest, Config: v1.Descriptor{MediaType: v1.MediaTypeImageConfig, Digest: img.Root.Digest, Size: transport.MaxManifest + 1}}))
	for _, c := range []struct {
		img   transport.Image
		asked []v1.Platform
		kept  *v1.Platform
		kind  error
	}{
		{img, []v1.Platform{armV6}, nil, nil},
		{img, []v1.Platform{armV7}, nil, nil},
		{img, []v1.Platform{amd64}, nil, fault.ErrMissing},
		{img, []v1.Platform{arm64}, nil, fault.ErrMissing},
		{img, nil, &amd64, nil}, // an engine takes it; only what is asked for is checked
		{img, []v1.Platform{armV6}, &amd64, nil},
		{note, []v1.Platform{amd64}, nil, fault.ErrMissing},
		{noOS, []v1.Platform{amd64}, nil, fault.ErrMissing},
		{noJSON, []v1.Platform{amd64}, nil, fault.ErrDamaged},
		{large, []v1.Platform{amd64}, nil, fault.ErrDamaged},
	} {
		s := spy{props: transport.Properties{Platform: c.kept}}
		var place conformance.Memory
		_, err := transport.Copy(t.Context(), all(s.source(lib.Source()), c.img), s.sink(&place), transport.Options{Platforms: c.asked})
		if !errors.Is(err, c.kind) || (err == nil) != (c.kind == nil) {
			t.Errorf("%s for %v at a place for %v: %v, want %v", c.img.Name, c.asked, c.kept, err, c.kind)
		}
		if err != nil {
			wantEmpty(t, &place)
		}
	}
}

// A name that is pinned to an index's digest must not lie when one platform is
// taken out of it.
func TestPlatformChangesTheDigestInTheName(t *testing.T) {
	lib := newLibrary(t)
	want := lib.entry(amd64, "x")
	img := lib.name(team+"/app:1", lib.index(want, lib.entry(arm64, "y")))
	img.Name.Digest = img.Root.Digest
	var place conformance.Memory
	s := spy{props: transport.Properties{Platform: &amd64}}
	plan, err := transport.Copy(t.Context(), all(lib.Source(), img), s.sink(&place), transport.Options{})
	must(t, err)
	if got := plan.Images[0].Target.Name; got.Digest != want.Digest || got.Tag != "1" {
		t.Errorf("called %s, want digest %s", got, want.Digest)
	}
	wantWhole(t, &place, &lib.Set, plan.Images[0].Target)
}
