package docker

import (
	"bytes"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/parts"
)

// storeSet is the suite's images, to which more may be added.
func storeSet(t *testing.T) *conformance.Set {
	t.Helper()
	set := conformance.New(t, "registry.example/team")
	set.Content = maps.Clone(set.Content) // which all sets share
	return set
}

// reopened returns what an engine has under some selectors now.
func reopened(t *testing.T, host string, selectors ...string) []transport.Image {
	t.Helper()
	src := anySource(t, host)
	got := images(t, src, selectors...)
	if err := src.Close(); err != nil {
		t.Error(err)
	}
	return got
}

// called returns an image by another name.
func called(t *testing.T, name string, img transport.Image) transport.Image {
	t.Helper()
	n, err := transport.ParseName(name)
	if err != nil {
		t.Fatal(err)
	}
	img.Name = n
	return img
}

// TestStoreNames gives images several tags, and digests for names; new ones and
// ones that the engine has.
func TestStoreNames(t *testing.T) {
	d := emptied(t, parts.SharedDockerCurrent(t))
	set := storeSet(t)
	plain, multi := set.Image(t, "plain"), set.Image(t, "multi")
	for _, round := range []string{"first", "second"} { // the second time all is held
		images := []transport.Image{
			called(t, "busybox:"+round, plain), called(t, "registry.example:5000/a/b:"+round, plain),
			called(t, "registry.example/"+round+"@"+plain.Root.Digest.String(), plain),
			called(t, "registry.example/"+round+"@"+multi.Root.Digest.String(), multi),
		}
		p := copyAll(t, d.Host, set.Source(), images)
		if n, _ := p.Blobs(); round == "second" && n != 0 {
			t.Errorf("%d blobs were sent again", n)
		}
	}
	var got []string
	for _, img := range reopened(t, d.Host, "") {
		got = append(got, img.Name.String())
	}
	want := []string{
		"docker.io/library/busybox:first", "docker.io/library/busybox:second",
		"registry.example/first@" + multi.Root.Digest.String(), "registry.example/first@" + plain.Root.Digest.String(),
		"registry.example/second@" + multi.Root.Digest.String(), "registry.example/second@" + plain.Root.Digest.String(),
		"registry.example:5000/a/b:first", "registry.example:5000/a/b:second",
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the engine has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if left := dangling(t, d); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	byDigest := "busybox@" + plain.Root.Digest.String()
	if got := reopened(t, d.Host, byDigest); len(got) != 1 || got[0].Root.Digest != plain.Root.Digest || got[0].Name.Digest != plain.Root.Digest {
		t.Errorf("%s: %v", byDigest, got)
	}
	src := anySource(t, d.Host)
	defer func() { _ = src.Close() }()
	for _, sel := range []string{"busybox@" + multi.Root.Digest.String(), "nothing@" + plain.Root.Digest.String()} {
		if got, err := src.Images(t.Context(), sel); !errors.Is(err, fault.ErrMissing) {
			t.Errorf("%s: %v, %v", sel, got, err)
		}
	}
}

// TestStoreReplacesTag moves a tag to another image.
func TestStoreReplacesTag(t *testing.T) {
	d := emptied(t, parts.SharedDockerCurrent(t))
	set := storeSet(t)
	copyAll(t, d.Host, set.Source(), []transport.Image{called(t, "app:1", set.Image(t, "plain"))})
	copyAll(t, d.Host, set.Source(), []transport.Image{called(t, "app:1", set.Image(t, "multi"))})
	if got := reopened(t, d.Host, "")[0].Root.Digest; got != set.Image(t, "multi").Root.Digest {
		t.Errorf("app:1 is %s", got)
	}
	// Like after a pull, what had the tag is there without a name.
	if left := dangling(t, d); len(left) != 1 {
		t.Errorf("without a name: %v", left)
	}
}

// attach adds to a set something that is attached to a manifest of another image.
func attach(t *testing.T, set *conformance.Set, in transport.Name, subject v1.Descriptor, text string) transport.Image {
	t.Helper()
	root := put(set, v1.MediaTypeImageManifest, encode(t, v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, ArtifactType: "application/vnd.example.sbom",
		Config: put(set, v1.MediaTypeEmptyJSON, []byte("{}")), Layers: []v1.Descriptor{put(set, "text/plain", []byte(text))},
		Subject: &v1.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
	}))
	return transport.Image{Name: transport.Name{Domain: in.Domain, Path: in.Path, Digest: root.Digest}, Root: root}
}

// TestStoreReferrers keeps what is attached to images, to manifests in an index,
// and to what is attached, whether the engine had those or not.
func TestStoreReferrers(t *testing.T) {
	for _, held := range []bool{false, true} {
		t.Run(map[bool]string{false: "together", true: "later"}[held], func(t *testing.T) {
			d := emptied(t, parts.SharedDockerCurrent(t))
			set := storeSet(t)
			multi := set.Image(t, "multi")
			child := decode[v1.Index](t, set.Content[multi.Root.Digest]).Manifests[1]
			sbom := attach(t, set, multi.Name, child, "an SBOM\n")
			signed := attach(t, set, multi.Name, sbom.Root, "its signature\n")
			of := attach(t, set, multi.Name, multi.Root, "of the index\n")
			tagged := called(t, "registry.example/team/multi:"+transport.AttachedTag(multi.Root.Digest, "sig"), set.Image(t, "artifact"))
			if held {
				copyAll(t, d.Host, set.Source(), []transport.Image{multi})
			}
			attached := []transport.Image{sbom, signed, of}
			copyAll(t, d.Host, set.Source(), append(attached, tagged, multi))
			if left := dangling(t, d); len(left) > 0 {
				t.Errorf("left over: %v", left)
			}

			src := anySource(t, d.Host).(*storeSource)
			defer func() { _ = src.Close() }()
			img := images(t, src, multi.Name.String())[0]
			for _, c := range []struct {
				of   v1.Descriptor
				want []transport.Image
			}{{multi.Root, []transport.Image{of, tagged}}, {child, []transport.Image{sbom}}, {sbom.Root, []transport.Image{signed}}, {signed.Root, nil}} {
				got, err := src.Referrers(t.Context(), img, c.of)
				if err != nil {
					t.Fatal(err)
				}
				if len(got) != len(c.want) {
					t.Fatalf("attached to %s: %v, want %v", c.of.Digest, got, c.want)
				}
				for i, w := range c.want {
					if got[i].Name != w.Name || got[i].Root.Digest != w.Root.Digest || got[i].Root.Size != w.Root.Size {
						t.Errorf("attached to %s: %v, want %v", c.of.Digest, got[i], w)
					}
					content, err := src.Manifest(t.Context(), got[i], got[i].Root)
					if err != nil || !bytes.Equal(content, set.Content[w.Root.Digest]) {
						t.Errorf("%s: %v", w.Root.Digest, err)
					}
				}
			}
		})
	}
}

// TestStoreSparse writes an index of which the engine gets one platform, and reads
// it again: one that suits it, and one that does not.
func TestStoreSparse(t *testing.T) {
	for _, platform := range []v1.Platform{amd64, {OS: "linux", Architecture: "arm64", Variant: "v8"}} {
		t.Run(platform.Architecture, func(t *testing.T) {
			d := emptied(t, parts.SharedDockerCurrent(t))
			set := storeSet(t)
			multi := set.Image(t, "multi")
			for range 2 { // the second time it is held
				sink := anySink(t, d.Host)
				p, err := transport.Copy(t.Context(), []transport.Request{{Source: set.Source(), Image: multi, Target: multi.Name}}, sink,
					transport.Options{Platforms: []v1.Platform{platform}})
				if err != nil {
					t.Fatal(err)
				}
				if err := sink.Close(); err != nil {
					t.Fatal(err)
				}
				if p.Images[0].Target.Root.Digest != multi.Root.Digest {
					t.Errorf("it has become %s", p.Images[0].Target.Root.Digest)
				}
			}
			src := anySource(t, d.Host).(*storeSource)
			defer func() { _ = src.Close() }()
			img := images(t, src, multi.Name.String())[0]
			if img.Root.Digest != multi.Root.Digest {
				t.Errorf("it is %s", img.Root.Digest)
			}
			for _, c := range decode[v1.Index](t, set.Content[multi.Root.Digest]).Manifests {
				got, err := src.Lacks(t.Context(), img, c)
				if want := c.Platform.Architecture != platform.Architecture; err != nil || got != want {
					t.Errorf("lacks %s: %v, %v", c.Platform.Architecture, got, err)
				}
			}
			// And on to another place, as it is.
			var place conformance.Memory
			p, err := transport.Copy(t.Context(), []transport.Request{{Source: src, Image: img, Target: img.Name}}, place.Sink(), transport.Options{})
			if err != nil || len(p.Images[0].Omitted) != 1 {
				t.Errorf("copied on: %v, %+v", err, p)
			}
		})
	}
}

// TestStoreRefused gives the engine layers that are not what the config says.
func TestStoreRefused(t *testing.T) {
	d := emptied(t, parts.SharedDockerCurrent(t))
	set := storeSet(t)
	bad := &conformance.Set{Images: []transport.Image{set.Image(t, "plain"), set.Image(t, "shared")}, Content: set.Content}
	copyAll(t, d.Host, set.Source(), []transport.Image{called(t, "registry.example/team/shared:1.0", set.Image(t, "multi"))})
	before := reopened(t, d.Host, "")
	alter(t, bad, 1, func(m *v1.Manifest) {
		m.Layers[1] = put(bad, v1.MediaTypeImageLayer, layer(t, "another", []byte("content")))
	})
	sink := anySink(t, d.Host)
	err := write(t.Context(), sink, bad.Source(), bad.Images)
	if err == nil {
		err = sink.Commit(t.Context(), bad.Images)
	}
	if cerr := sink.Close(); cerr != nil {
		t.Error(cerr)
	}
	if !errors.Is(err, fault.ErrDamaged) || !strings.Contains(err.Error(), d.Host) || !strings.Contains(err.Error(), "wrong diff id") {
		t.Errorf("%v, want what %s says of the diff id", err, d.Host)
	}
	if after := reopened(t, d.Host, ""); !reflect.DeepEqual(after, before) {
		t.Errorf("the engine had %v and has %v", before, after)
	}
	if left := dangling(t, d); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

// TestStoreNotExported selects an index that lists no more than an index, which the
// engine takes and does not export, alone and among others.
func TestStoreNotExported(t *testing.T) {
	d := emptied(t, parts.SharedDockerCurrent(t))
	set := storeSet(t)
	lists := called(t, "registry.example/team/lists:1", transport.Image{Root: put(set, v1.MediaTypeImageIndex, encode(t, v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex,
		Manifests: []v1.Descriptor{set.Image(t, "multi").Root},
	}))})
	plain, shared := set.Image(t, "plain"), set.Image(t, "shared")
	copyAll(t, d.Host, set.Source(), []transport.Image{lists, plain, shared})
	for _, sel := range []string{"", lists.Name.String()} {
		src := anySource(t, d.Host)
		_, err := src.Images(t.Context(), sel)
		if err == nil || !strings.Contains(err.Error(), lists.Name.String()) || !strings.Contains(err.Error(), d.Host) ||
			!strings.Contains(fault.Hint(err), "from its registry") {
			t.Errorf("%q: %v, hint %q", sel, err, fault.Hint(err))
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	}
	if got := reopened(t, d.Host, plain.Name.String(), shared.Name.String()); len(got) != 2 {
		t.Errorf("the others: %v", got)
	}
	src := anySource(t, d.Host)
	defer func() { _ = src.Close() }()
	t.Setenv("TMPDIR", "/nowhere")
	if _, err := src.Images(t.Context(), plain.Name.String()); err == nil || strings.Contains(fault.Hint(err), "registry") {
		t.Errorf("without a folder for the export: %v, hint %q", err, fault.Hint(err))
	}
}

// TestStoreFindLayers finds layers by what they unpack to.
func TestStoreFindLayers(t *testing.T) {
	d := emptied(t, parts.SharedDockerCurrent(t))
	set := storeSet(t)
	plain := set.Image(t, "plain")
	copyAll(t, d.Host, set.Source(), []transport.Image{plain, set.Image(t, "multi")})
	src := anySource(t, d.Host)
	defer func() { _ = src.Close() }()
	m := decode[v1.Manifest](t, set.Content[plain.Root.Digest])
	config := decode[v1.Image](t, set.Content[m.Config.Digest])
	var want []transport.Layer
	for i, l := range m.Layers {
		want = append(want, transport.Layer{Digest: l.Digest, Size: l.Size, DiffID: config.RootFS.DiffIDs[i]})
	}
	want = append(want, transport.Layer{DiffID: digest.FromString("nothing")})
	found, err := src.(transport.Holding).FindLayers(t.Context(), nil, want)
	if err != nil || len(found) != 2 {
		t.Fatalf("%v, %v", found, err)
	}
	for _, f := range found {
		if f.Digest != want[f.Index].DiffID {
			t.Errorf("layer %d is given as %s", f.Index, f.Digest)
		}
		r, err := f.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got, err := digest.SHA256.FromReader(r)
		if err != nil || got != want[f.Index].DiffID {
			t.Errorf("layer %d: %s, %v", f.Index, got, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	removeAll(t, d)
	again := anySource(t, d.Host)
	defer func() { _ = again.Close() }()
	if found, err := again.(transport.Holding).FindLayers(t.Context(), nil, want); err != nil || len(found) != 0 {
		t.Errorf("in an empty engine: %v, %v", found, err)
	}
}

// TestStoreSharedProbes asks for many blobs at once.
func TestStoreSharedProbes(t *testing.T) {
	d := emptied(t, parts.SharedDockerCurrent(t))
	set := storeSet(t)
	copyAll(t, d.Host, set.Source(), []transport.Image{set.Image(t, "plain")})
	sink := anySink(t, d.Host).(*storeSink)
	base := set.Graph(t, set.Image(t, "plain")).Layers[0]
	type answer struct {
		d   v1.Descriptor
		has bool
		err error
	}
	answers := make(chan answer)
	for i := range 100 {
		d := v1.Descriptor{Digest: digest.FromString(strings.Repeat("x", i)), Size: leastProbed}
		if i%10 == 0 {
			d = base
		}
		go func() {
			has, err := sink.Has(t.Context(), d, nil)
			answers <- answer{d, has, err}
		}()
	}
	for range 100 {
		if a := <-answers; a.err != nil || a.has != (a.d.Digest == base.Digest) {
			t.Errorf("%s: %v, %v", a.d.Digest, a.has, a.err)
		}
	}
	if has, err := sink.Has(t.Context(), v1.Descriptor{Digest: base.Digest, Size: leastProbed - 1}, nil); has || err != nil {
		t.Errorf("a small blob: %v, %v", has, err)
	}
	if err := sink.Close(); err != nil {
		t.Error(err)
	}
	if left := dangling(t, d); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}
