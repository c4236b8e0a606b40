package layout_test

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/layout"
)

// readIndex returns a layout's index.json.
func readIndex(t *testing.T, dir string) v1.Index {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, "index.json"))
	must(t, err)
	var idx v1.Index
	must(t, json.Unmarshal(content, &idx))
	return idx
}

// snapshot returns every file of a layout and its content.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	for _, name := range tree(t, dir) {
		content, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			files[name] = "a folder"
			continue
		}
		files[name] = string(content)
	}
	return files
}

func TestNamesThatAreWritten(t *testing.T) {
	for _, c := range []struct {
		ref, wantRef, wantFull string
		opts                   []layout.Option
	}{
		{"none", team + "/plain:1.0", team + "/plain:1.0", nil},
		{"a tag", "2.0", "", []layout.Option{layout.WithRef("2.0")}},
		{"a full name", "other.example/app:3", "other.example/app:3", []layout.Option{layout.WithRef("other.example/app:3")}},
		{"a familiar name", "app:3", "docker.io/library/app:3", []layout.Option{layout.WithRef("app:3")}},
	} {
		t.Run(c.ref, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "images")
			set := conformance.New(t, team).Only("plain")
			fill(t, dir, set, c.opts...)
			idx := readIndex(t, dir)
			if len(idx.Manifests) != 1 {
				t.Fatalf("%d entries, want 1", len(idx.Manifests))
			}
			d := idx.Manifests[0]
			full, hasFull := d.Annotations["io.containerd.image.name"]
			if d.Annotations[v1.AnnotationRefName] != c.wantRef || full != c.wantFull || hasFull != (c.wantFull != "") {
				t.Errorf("annotations %v, want %q and %q", d.Annotations, c.wantRef, c.wantFull)
			}
			if root := set.Images[0].Root; d.MediaType != root.MediaType || d.Digest != root.Digest || d.Size != root.Size {
				t.Errorf("entry %v, want %v", d, root)
			}
			if idx.SchemaVersion != 2 || idx.MediaType != v1.MediaTypeImageIndex {
				t.Errorf("schema version %d, media type %q", idx.SchemaVersion, idx.MediaType)
			}
		})
	}
}

func TestRefThatIsNone(t *testing.T) {
	for _, ref := range []string{"", " ", "a b", "-a", "a/", "a\nb", "ä", digestOfFoo, strings.Repeat("a", transport.MaxName+1)} {
		if _, err := layout.NewSink(t.TempDir(), layout.WithRef(ref)); !errors.Is(err, fault.ErrUsage) {
			t.Errorf("%q: %v, want an ErrUsage", ref, err)
		}
	}
}

func TestRefIsForOneImage(t *testing.T) {
	set := conformance.New(t, team).Only("plain", "shared")
	dir := filepath.Join(t.TempDir(), "images")
	s := newSink(t, dir, layout.WithRef("1.0"))
	if _, err := s.Holds(t.Context(), set.Images[0], nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Holds(t.Context(), set.Images[1], nil); !errors.Is(err, fault.ErrUsage) {
		t.Errorf("Holds of a second image: %v, want an ErrUsage", err)
	}
	if err := s.Commit(t.Context(), set.Images); !errors.Is(err, fault.ErrUsage) {
		t.Errorf("Commit of two images: %v, want an ErrUsage", err)
	}
	if err := s.Commit(t.Context(), nil); !errors.Is(err, fault.ErrUsage) {
		t.Errorf("Commit of no image: %v, want an ErrUsage", err)
	}
	must(t, s.Close())
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is there: %v", err)
	}
}

// Entries that others have made stay as and where they are, and an image of
// the same name takes the place of the old one.
func TestIndexIsMerged(t *testing.T) {
	set := conformance.New(t, team)
	dir := filepath.Join(t.TempDir(), "images")
	fill(t, dir, set.Only("plain", "shared", "docker"))
	idx := readIndex(t, dir)
	foreign := v1.Descriptor{MediaType: "application/xml", Digest: digestOfFoo, Size: 3,
		Annotations: map[string]string{"a": "b", v1.AnnotationRefName: team + "/shared:1.0"}} // not an image, so not replaced
	idx.Manifests = append([]v1.Descriptor{foreign}, idx.Manifests...)
	idx.Annotations = map[string]string{"kept": "yes"}
	content, err := json.Marshal(idx)
	must(t, err)
	put(t, filepath.Join(dir, "index.json"), string(content))

	update := set.Only("multi", "artifact").Rename(func(n transport.Name) transport.Name {
		if n.Path == "team/multi" {
			n.Path = "team/shared"
		}
		return n
	})
	fill(t, dir, update)
	got := readIndex(t, dir)
	var names []string
	for _, d := range got.Manifests {
		names = append(names, d.Annotations["io.containerd.image.name"]+"="+d.Digest.String())
	}
	want := []string{
		"=" + digestOfFoo,
		team + "/plain:1.0=" + set.Image(t, "plain").Root.Digest.String(),
		team + "/shared:1.0=" + set.Image(t, "multi").Root.Digest.String(),
		team + "/docker:1.0=" + set.Image(t, "docker").Root.Digest.String(),
		team + "/artifact:1.0=" + set.Image(t, "artifact").Root.Digest.String(),
	}
	if !slices.Equal(names, want) {
		t.Errorf("entries\n%s\nwant\n%s", strings.Join(names, "\n"), strings.Join(want, "\n"))
	}
	if got.Manifests[0].Annotations["a"] != "b" || got.Annotations["kept"] != "yes" {
		t.Errorf("annotations are lost: %v, %v", got.Manifests[0].Annotations, got.Annotations)
	}

	before := snapshot(t, dir)
	fill(t, dir, update)
	if after := snapshot(t, dir); !maps.Equal(before, after) {
		t.Errorf("writing the same again changes the layout: %s", after["index.json"])
	}
}

func TestTwoImagesOfOneNameAreRefused(t *testing.T) {
	set := conformance.New(t, team).Only("plain", "shared").Rename(func(n transport.Name) transport.Name {
		n.Path = "team/app"
		return n
	})
	dir := filepath.Join(t.TempDir(), "images")
	s := newSink(t, dir)
	write(t, s, set)
	if err := s.Commit(t.Context(), set.Images); !errors.Is(err, fault.ErrUsage) {
		t.Errorf("Commit: %v, want an ErrUsage", err)
	}
	must(t, s.Close())
}

// A blob of the right name and size but other content is not believed, and is
// put right.
func TestDamagedBlobIsReplaced(t *testing.T) {
	set := conformance.New(t, team).Only("plain")
	g := set.Graph(t, set.Images...)
	dir := filepath.Join(t.TempDir(), "images")
	fill(t, dir, set)
	layer := g.Layers[0]
	file := filepath.Join(dir, "blobs", "sha256", layer.Digest.Encoded())
	bad := bytes.Clone(set.Content[layer.Digest])
	bad[len(bad)/2] ^= 1
	put(t, file, string(bad))

	s := newSink(t, dir)
	if ok, err := s.Has(t.Context(), layer, set.Images); ok || err != nil {
		t.Fatalf("Has of a damaged blob: %t, %v", ok, err)
	}
	if ok, err := s.Has(t.Context(), g.Configs[0], set.Images); !ok || err != nil {
		t.Fatalf("Has of a good blob: %t, %v", ok, err)
	}
	must(t, s.WriteBlob(t.Context(), layer, set.Images, opener(set.Source(), set.Images[0], layer)))
	if ok, err := s.Has(t.Context(), layer, set.Images); !ok || err != nil {
		t.Errorf("Has after writing: %t, %v", ok, err)
	}
	must(t, s.Close()) // without Commit: the blob was there before, so it stays
	if err := readAll(t.Context(), g, dir); err != nil {
		t.Error(err)
	}
}

func TestHasEndsWithItsContext(t *testing.T) {
	set := conformance.New(t, team).Only("plain")
	g := set.Graph(t, set.Images...)
	dir := filepath.Join(t.TempDir(), "images")
	fill(t, dir, set)
	s := newSink(t, dir)
	defer func() { _ = s.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if ok, err := s.Has(ctx, g.Layers[0], set.Images); ok || !errors.Is(err, context.Canceled) {
		t.Errorf("Has: %t, %v, want context.Canceled", ok, err)
	}
}

// A run that breaks off leaves a layout that was there just as it was.
func TestBrokenRunLeavesOldLayoutAlone(t *testing.T) {
	set := conformance.New(t, team)
	dir := filepath.Join(t.TempDir(), "images")
	fill(t, dir, set.Only("plain"))
	orphan := filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(digestOfFoo, "sha256:"))
	put(t, orphan, "foo") // not needed, but not of this run
	before := snapshot(t, dir)
	s := newSink(t, dir)
	write(t, s, set)
	foo := v1.Descriptor{MediaType: "text/plain", Digest: digestOfFoo, Size: 3}
	must(t, s.WriteBlob(t.Context(), foo, set.Images, text("foo")))
	must(t, s.Close())
	if after := snapshot(t, dir); !maps.Equal(before, after) {
		t.Errorf("left %v, want %v", slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)))
	}
}

// What a broken run wrote stays if another run has committed images that need
// it, and so does the folder that it made.
func TestBrokenRunLeavesWhatAnotherNeeds(t *testing.T) {
	set := conformance.New(t, team)
	dir := filepath.Join(t.TempDir(), "images")
	broken := newSink(t, dir)
	write(t, broken, set.Only("shared", "multi"))
	fill(t, dir, set.Only("plain")) // finds the large layer, does not write it
	must(t, broken.Close())
	plain := set.Only("plain")
	if err := readAll(t.Context(), plain.Graph(t, plain.Images...), dir); err != nil {
		t.Error(err)
	}
	if n := len(plain.Graph(t, plain.Images...).Owners); len(tree(t, dir)) != 4+n {
		t.Errorf("left %v, want %d blobs", tree(t, dir), n)
	}
}

// If it cannot be told what is in use, nothing is removed.
func TestBrokenRunInDamagedLayoutRemovesNothing(t *testing.T) {
	set := conformance.New(t, team)
	dir := filepath.Join(t.TempDir(), "images")
	fill(t, dir, set.Only("multi"))
	s := newSink(t, dir)
	write(t, s, set.Only("plain"))
	multi := set.Image(t, "multi").Root
	put(t, filepath.Join(dir, "blobs", "sha256", multi.Digest.Encoded()), strings.Repeat(" ", int(multi.Size)))
	before := snapshot(t, dir)
	if err := s.Close(); !errors.Is(err, fault.ErrDamaged) {
		t.Errorf("Close: %v, want an ErrDamaged", err)
	}
	if after := snapshot(t, dir); !maps.Equal(before, after) {
		t.Errorf("left %v, want %v", slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)))
	}
}

func TestFolderThatIsNoLayout(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, dir string)
		want error
	}{
		{"empty", func(*testing.T, string) {}, nil},
		{"what a killed run leaves", func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "oci-layout"), `{"imageLayoutVersion":"1.0.0"}`)
			must(t, os.Mkdir(filepath.Join(dir, "blobs"), 0o755))
		}, nil},
		{"somebody's files", func(t *testing.T, dir string) { put(t, filepath.Join(dir, "letter.txt"), "x") }, fault.ErrUsage},
		{"another version", func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "oci-layout"), `{"imageLayoutVersion":"9"}`)
		}, fault.ErrUnsupported},
		{"damaged index.json", func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "oci-layout"), `{"imageLayoutVersion":"1.0.0"}`)
			put(t, filepath.Join(dir, "index.json"), `{`)
		}, fault.ErrDamaged},
		{"a file", func(t *testing.T, dir string) { must(t, os.Remove(dir)); put(t, dir, "x") }, fault.ErrUsage},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			c.do(t, dir)
			s, err := layout.NewSink(dir)
			if !errors.Is(err, c.want) {
				t.Fatalf("NewSink: %v, want %v", err, c.want)
			}
			if err != nil {
				return
			}
			set := conformance.New(t, team).Only("plain")
			write(t, s, set)
			must(t, s.Commit(t.Context(), set.Images))
			must(t, s.Close())
			if err := readAll(t.Context(), set.Graph(t, set.Images...), dir); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestLinkThatLeadsOutIsNotWrittenThrough(t *testing.T) {
	for _, folder := range []string{"blobs", "blobs/sha256"} {
		t.Run(folder, func(t *testing.T) {
			set := conformance.New(t, team).Only("plain")
			dir, outside := t.TempDir(), t.TempDir()
			put(t, filepath.Join(dir, "oci-layout"), `{"imageLayoutVersion":"1.0.0"}`)
			must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, folder)), 0o755))
			link(t, outside, filepath.Join(dir, folder))
			s := newSink(t, dir)
			layer := set.Graph(t, set.Images...).Layers[0]
			err := s.WriteBlob(t.Context(), layer, set.Images, opener(set.Source(), set.Images[0], layer))
			if !errors.Is(err, fault.ErrDamaged) {
				t.Errorf("WriteBlob: %v, want an ErrDamaged", err)
			}
			must(t, s.Close())
			if left := tree(t, outside); len(left) > 0 {
				t.Errorf("written outside: %v", left)
			}
		})
	}
}

func TestClosedSink(t *testing.T) {
	set := conformance.New(t, team).Only("plain")
	dir := filepath.Join(t.TempDir(), "images")
	s := newSink(t, dir)
	write(t, s, set)
	must(t, s.Close())
	must(t, s.Close())
	layer := set.Graph(t, set.Images...).Layers[0]
	if err := s.WriteBlob(t.Context(), layer, set.Images, opener(set.Source(), set.Images[0], layer)); err == nil {
		t.Error("a closed sink takes a blob")
	}
	if err := s.Commit(t.Context(), set.Images); err == nil {
		t.Error("a closed sink commits")
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is there: %v", err)
	}
}

func TestOneBlobByManyAtOnce(t *testing.T) {
	set := conformance.New(t, team).Only("plain")
	g := set.Graph(t, set.Images...)
	dir := filepath.Join(t.TempDir(), "images")
	s := newSink(t, dir)
	var group errgroup.Group
	for range 8 {
		for _, d := range g.Blobs() {
			group.Go(func() error {
				return s.WriteBlob(t.Context(), d, set.Images, opener(set.Source(), set.Images[0], d))
			})
		}
	}
	must(t, group.Wait())
	must(t, s.WriteManifest(t.Context(), set.Images[0].Root, set.Images, set.Content[set.Images[0].Root.Digest]))
	must(t, s.Commit(t.Context(), set.Images))
	must(t, s.Close())
	if err := readAll(t.Context(), g, dir); err != nil {
		t.Error(err)
	}
}

// An opener that breaks its word does not get wrong content published.
func TestContentIsHashed(t *testing.T) {
	const content = "an image's layer"
	sum := sha512.Sum512([]byte(content))
	for _, dgst := range []digest.Digest{digest.FromString(content), digest.NewDigestFromBytes(digest.SHA512, sum[:])} {
		t.Run(dgst.Algorithm().String(), func(t *testing.T) {
			d := v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: dgst, Size: int64(len(content))}
			dir := filepath.Join(t.TempDir(), "images")
			s := newSink(t, dir)
			defer func() { must(t, s.Close()) }()
			folder := filepath.Join(dir, "blobs", dgst.Algorithm().String())
			for _, bad := range []string{"", "an image's laye", "an image's LAYER", content + "s"} {
				if err := s.WriteBlob(t.Context(), d, nil, text(bad)); !errors.Is(err, fault.ErrDamaged) {
					t.Errorf("%q: %v, want an ErrDamaged", bad, err)
				}
				if err := s.WriteManifest(t.Context(), d, nil, []byte(bad)); !errors.Is(err, fault.ErrDamaged) {
					t.Errorf("%q as a manifest: %v, want an ErrDamaged", bad, err)
				}
				if left := tree(t, folder); len(left) > 0 {
					t.Errorf("%q: left %v", bad, left)
				}
			}
			must(t, s.WriteBlob(t.Context(), d, nil, text(content)))
			if got, err := os.ReadFile(filepath.Join(folder, dgst.Encoded())); err != nil || string(got) != content {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// text opens a string.
func text(s string) transport.Opener {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
}
