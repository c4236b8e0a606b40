package bale_test

import (
	"path/filepath"
	"slices"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/index"
	"bale/transport"
	"bale/transport/bale"
	"bale/transport/conformance"
)

// What is attached to an image goes through a bundle, is found there by what it
// is attached to, and a bundle of one platform says what it lacks.
func TestAttachedThroughABundle(t *testing.T) {
	r := newRaw(t)
	amd, arm := r.manifest(), r.manifest(r.blob(v1.MediaTypeImageLayerGzip, []byte("arm")))
	amd.Platform, arm.Platform = &v1.Platform{OS: "linux", Architecture: "amd64"}, &v1.Platform{OS: "linux", Architecture: "arm64"}
	root := r.index(amd, arm)
	attach := func(to v1.Descriptor, text string) v1.Descriptor {
		to.Platform = nil
		return r.json(v1.MediaTypeImageManifest, map[string]any{
			"schemaVersion": 2, "mediaType": v1.MediaTypeImageManifest, "subject": to,
			"config": r.blob(v1.MediaTypeEmptyJSON, []byte("{}")), "layers": []v1.Descriptor{r.blob("text/plain", []byte(text))},
		})
	}
	name := func(s string) transport.Name {
		n, err := transport.ParseName(s)
		must(t, err)
		return n
	}
	onIndex, onArm := attach(root, "sbom"), attach(arm, "about arm")
	sig := attach(v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: amd.Digest, Size: amd.Size}, "by tag")
	set := &conformance.Set{Content: r.content, Images: []transport.Image{
		{Name: name(team + "/app:1"), Root: root},
		{Name: name(team + "/app@" + onIndex.Digest.String()), Root: onIndex},
		{Name: name(team + "/app@" + onArm.Digest.String()), Root: onArm},
		{Name: name(team + "/app:" + transport.AttachedTag(amd.Digest, "sig")), Root: sig},
		{Name: name(team + "/other:1"), Root: attach(root, "in another repository")},
	}}
	path := filepath.Join(t.TempDir(), "all.bale")
	_, err := save(t.Context(), fixed(path), set.Source(), set.Images, transport.Options{})
	must(t, err)
	src := mustOpen(t, path)
	for d, want := range map[*v1.Descriptor][]v1.Descriptor{&root: {onIndex}, &amd: {sig}, &arm: {onArm}, &onIndex: nil} {
		found, err := src.Referrers(t.Context(), set.Images[0], *d)
		must(t, err)
		var got []string
		for _, i := range found {
			got = append(got, i.Root.Digest.String())
		}
		var wanted []string
		for _, w := range want {
			wanted = append(wanted, w.Digest.String())
		}
		if !slices.Equal(got, wanted) {
			t.Errorf("attached to %s: %v, want %v", d.Digest, got, wanted)
		}
	}

	part := filepath.Join(t.TempDir(), "part.bale")
	_, err = save(t.Context(), fixed(part), src, set.Images[:1], transport.Options{Platforms: []v1.Platform{*amd.Platform}})
	must(t, err)
	one := mustOpen(t, part)
	must(t, bale.Complete(t.Context(), one.r))
	var held []string
	for _, i := range one.r.Index().Images {
		held = append(held, i.Name)
	}
	want := []string{set.Images[3].Name.String(), set.Images[0].Name.String(), set.Images[1].Name.String()}
	slices.Sort(held)
	slices.Sort(want)
	if !slices.Equal(held, want) {
		t.Errorf("the bundle of one platform has %v, want %v", held, want)
	}
	x := one.r.Index().Images[slices.IndexFunc(one.r.Index().Images, func(i index.Image) bool { return i.Name == set.Images[0].Name.String() })]
	if x.Digest != root.Digest || x.Platform != "linux/amd64" || len(x.Omitted) != 1 || x.Omitted[0] != (index.Omission{Digest: arm.Digest, Reason: index.OtherPlatform}) {
		t.Errorf("the bundle says %+v", x)
	}
	for d, want := range map[*v1.Descriptor]bool{&amd: false, &arm: true, &onArm: false} {
		if got, err := one.Lacks(t.Context(), set.Images[0], *d); err != nil || got != want {
			t.Errorf("lacks %s: %t, %v; want %t", d.Digest, got, err, want)
		}
	}
}
