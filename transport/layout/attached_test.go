package layout_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/layout"
)

// editor changes a layout in a folder as another tool would.
type editor struct {
	t   *testing.T
	dir string
}

func (e editor) blob(mediaType string, content []byte) v1.Descriptor {
	e.t.Helper()
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
	put(e.t, e.path(d), string(content))
	return d
}

func (e editor) path(d v1.Descriptor) string {
	return filepath.Join(e.dir, "blobs", "sha256", d.Digest.Encoded())
}

func (e editor) json(mediaType string, v any) v1.Descriptor {
	e.t.Helper()
	content, err := json.Marshal(v)
	must(e.t, err)
	return e.blob(mediaType, content)
}

// artifact makes a manifest with one blob and perhaps a subject.
func (e editor) artifact(content string, subject *v1.Descriptor) v1.Descriptor {
	e.t.Helper()
	m := v1.Manifest{
		MediaType: v1.MediaTypeImageManifest, ArtifactType: "application/vnd.example.note", Subject: subject,
		Config: e.blob(v1.MediaTypeEmptyJSON, []byte("{}")), Layers: []v1.Descriptor{e.blob("text/plain", []byte(content))},
	}
	m.SchemaVersion = 2
	return e.json(v1.MediaTypeImageManifest, m)
}

// list adds an entry to index.json.
func (e editor) list(d v1.Descriptor, ref string) {
	e.t.Helper()
	idx := readIndex(e.t, e.dir)
	if ref != "" {
		d.Annotations = map[string]string{v1.AnnotationRefName: ref}
	}
	idx.Manifests = append(idx.Manifests, d)
	content, err := json.Marshal(idx)
	must(e.t, err)
	put(e.t, filepath.Join(e.dir, "index.json"), string(content))
}

// plainDescriptor is a descriptor with what names content.
func plainDescriptor(d v1.Descriptor) *v1.Descriptor {
	return &v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
}

// newEditor fills a layout with a set.
func newEditor(t *testing.T, set *conformance.Set) editor {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "images")
	fill(t, dir, set)
	return editor{t, dir}
}

func TestReferrers(t *testing.T) {
	set := conformance.New(t, team).Only("plain", "multi")
	plain, multi := set.Image(t, "plain"), set.Image(t, "multi")
	e := newEditor(t, set)
	sbom := e.artifact("sbom", plainDescriptor(plain.Root))
	e.list(sbom, "") // as oras lists it
	onSBOM := e.artifact("signature of the sbom", plainDescriptor(sbom))
	e.list(onSBOM, "")
	onIndex := e.artifact("of the index", plainDescriptor(multi.Root))
	e.list(onIndex, team+"/multi@"+onIndex.Digest.String()) // as bale lists it
	listed := e.artifact("listed", plainDescriptor(plain.Root))
	fallback := v1.Index{MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{sbom, listed}}
	fallback.SchemaVersion = 2
	e.list(e.json(v1.MediaTypeImageIndex, fallback), transport.AttachedTag(plain.Root.Digest, "")) // as regctl does
	signature := e.artifact("cosign", nil)
	e.list(signature, team+"/plain:"+transport.AttachedTag(plain.Root.Digest, "sig"))
	elsewhere := e.artifact("cosign, somewhere else", nil)
	e.list(elsewhere, "other.example/plain:"+transport.AttachedTag(plain.Root.Digest, "sig"))
	attestation := e.artifact("attestation", nil)
	e.list(attestation, transport.AttachedTag(multi.Root.Digest, "att"))

	named := func(repository string, d v1.Descriptor) string { return repository + "@" + d.Digest.String() }
	for name, source := range map[string]transport.Source{"folder": open(t, e.dir), "tar": openTar(t, tarOfFolder(t, e.dir))} {
		src := source.(transport.Referring)
		for _, c := range []struct {
			what string
			in   transport.Image
			d    v1.Descriptor
			want []string
		}{
			{"plain", plain, plain.Root, []string{
				named(team+"/plain", sbom), named(team+"/plain", listed),
				team + "/plain:" + transport.AttachedTag(plain.Root.Digest, "sig"),
			}},
			{"sbom", plain, sbom, []string{named(team+"/plain", onSBOM)}},
			{"multi", multi, multi.Root, []string{
				named(team+"/multi", onIndex), team + "/multi:" + transport.AttachedTag(multi.Root.Digest, "att"),
			}},
			{"nothing", plain, signature, nil},
		} {
			found, err := src.Referrers(t.Context(), c.in, c.d)
			must(t, err)
			var got []string
			for _, img := range found {
				got = append(got, img.Name.String())
				if _, err := source.Manifest(t.Context(), img, img.Root); err != nil {
					t.Errorf("%s: %s: %v", name, img.Name, err)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: to %s, %q are attached, want %q", name, c.what, got, c.want)
			}
		}
		// What has no name is called after what it is attached to.
		for _, selector := range []string{named(team+"/plain", sbom), named(team+"/plain", onSBOM), onSBOM.Digest.String()} {
			found, err := source.Images(t.Context(), selector)
			if err != nil || len(found) != 1 {
				t.Errorf("%s: %q: %v, %v", name, selector, found, err)
			}
		}
		all, err := source.Images(t.Context(), "")
		must(t, err)
		for _, d := range []v1.Descriptor{sbom, onSBOM} {
			if !slices.ContainsFunc(all, func(img transport.Image) bool { return img.Name.String() == named(team+"/plain", d) }) {
				t.Errorf("%s: %s is not listed in the repository of what it is attached to", name, d.Digest)
			}
		}
		must(t, source.Close())
	}
}

// All that is attached goes where the images go, and is found there again.
func TestReferrersAreCopied(t *testing.T) {
	set := conformance.New(t, team).Only("plain")
	plain := set.Image(t, "plain")
	e := newEditor(t, set)
	sbom := e.artifact("sbom", plainDescriptor(plain.Root))
	e.list(sbom, "")
	signature := e.artifact("cosign", nil)
	e.list(signature, team+"/plain:"+transport.AttachedTag(plain.Root.Digest, "sig"))
	src := open(t, e.dir)
	defer func() { _ = src.Close() }()
	var out bytes.Buffer
	s := layout.NewTarSink(&out, "test", layout.Hybrid(amd64))
	_, err := transport.Copy(t.Context(), []transport.Request{{Source: src, Image: plain, Target: plain.Name}}, s, transport.Options{})
	must(t, err)
	must(t, s.Close())
	back := openTar(t, out.Bytes())
	found, err := back.(transport.Referring).Referrers(t.Context(), plain, plain.Root)
	must(t, err)
	if len(found) != 2 || found[0].Root.Digest != sbom.Digest || found[1].Root.Digest != signature.Digest {
		t.Errorf("%v is attached, want %s and %s", found, sbom.Digest, signature.Digest)
	}
	var list []struct{ RepoTags []string }
	for _, f := range tarEntries(t, out.Bytes()) {
		if f.Name == "manifest.json" {
			must(t, json.Unmarshal(f.content, &list))
		}
	}
	if len(list) != 1 || !slices.Equal(list[0].RepoTags, []string{team + "/plain:1.0"}) {
		t.Errorf("manifest.json lists %v, want the image alone", list)
	}
}

// What is listed as attached and is not there, or cannot be read, is an error.
func TestReferrersThatAreGone(t *testing.T) {
	set := conformance.New(t, team).Only("plain")
	plain := set.Image(t, "plain")
	for name, c := range map[string]struct {
		do   func(e editor)
		want error
	}{
		"in the list": {func(e editor) {
			gone := e.artifact("gone", plainDescriptor(plain.Root))
			index := v1.Index{MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{gone}}
			index.SchemaVersion = 2
			e.list(e.json(v1.MediaTypeImageIndex, index), transport.AttachedTag(plain.Root.Digest, ""))
			must(t, os.Remove(e.path(gone)))
		}, fault.ErrMissing},
		"damaged": {func(e editor) {
			d := e.artifact("damaged", plainDescriptor(plain.Root))
			e.list(d, "")
			put(t, e.path(d), "{}")
		}, fault.ErrDamaged},
	} {
		e := newEditor(t, set)
		c.do(e)
		src := open(t, e.dir)
		if _, err := src.(transport.Referring).Referrers(t.Context(), plain, plain.Root); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		// The image itself is as good as before.
		if found, err := src.Images(t.Context(), plain.Name.String()); err != nil || len(found) != 1 {
			t.Errorf("%s: %v, %v", name, found, err)
		}
		must(t, src.Close())
	}
}

// A layout may hold an index in part.
func TestLacks(t *testing.T) {
	set := conformance.New(t, team).Only("multi")
	multi := set.Image(t, "multi")
	index, err := transport.ParseManifest(multi.Root.MediaType, set.Content[multi.Root.Digest])
	must(t, err)
	child := func(i int) (m *transport.Manifest, d v1.Descriptor) {
		d = index.Manifests[i]
		m, err := transport.ParseManifest(d.MediaType, set.Content[d.Digest])
		must(t, err)
		return m, d
	}
	m, second := child(1)
	for name, c := range map[string]struct {
		do   func(e editor)
		want bool
		err  error
	}{
		"whole":              {func(editor) {}, false, nil},
		"manifest gone":      {func(e editor) { must(t, os.Remove(e.path(second))) }, true, nil},
		"config gone":        {func(e editor) { must(t, os.Remove(e.path(*m.Config))) }, true, nil},
		"layer gone":         {func(e editor) { must(t, os.Remove(e.path(m.Layers[0]))) }, true, nil},
		"manifest cut short": {func(e editor) { must(t, os.Truncate(e.path(second), 9)) }, false, fault.ErrDamaged},
		"layer cut short":    {func(e editor) { must(t, os.Truncate(e.path(m.Layers[0]), 9)) }, false, nil},
	} {
		e := newEditor(t, set)
		c.do(e)
		for place, src := range map[string]transport.Source{"folder": open(t, e.dir), "tar": openTar(t, tarOfFolder(t, e.dir))} {
			lacks, err := src.(transport.Partial).Lacks(t.Context(), multi, second)
			if lacks != c.want || !errors.Is(err, c.err) {
				t.Errorf("%s, %s: %t, %v; want %t, %v", name, place, lacks, err, c.want, c.err)
			}
			if !c.want {
				must(t, src.Close())
				continue
			}
			// What is there is copied, and the index stays what it was.
			var out bytes.Buffer
			s := layout.NewTarSink(&out, "test", layout.Hybrid(amd64))
			plan, err := transport.Copy(t.Context(), []transport.Request{{Source: src, Image: multi, Target: multi.Name}}, s, transport.Options{})
			must(t, err)
			must(t, s.Close())
			if len(plan.Images) != 1 || plan.Images[0].Target.Root.Digest != multi.Root.Digest || len(plan.Images[0].Omitted) != 1 {
				t.Errorf("%s, %s: the plan is %+v, want the index as it was without one manifest", name, place, plan.Images)
			}
			must(t, src.Close())
			back := openTar(t, out.Bytes())
			if lacks, err := back.(transport.Partial).Lacks(t.Context(), multi, second); !lacks || err != nil {
				t.Errorf("%s, %s: in the copy: %t, %v", name, place, lacks, err)
			}
		}
	}
}

// tarOfFolder packs a folder as tar does.
func tarOfFolder(t *testing.T, dir string) []byte {
	t.Helper()
	var list []tarEntry
	for _, name := range tree(t, dir) {
		content, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			continue // a folder
		}
		e := tarEntry{content: content}
		e.Typeflag, e.Name, e.Mode = '0', name, 0o644
		list = append(list, e)
	}
	return tarOfEntries(t, list)
}
