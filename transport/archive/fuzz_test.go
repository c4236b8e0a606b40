package archive

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
)

// FuzzOpen takes bytes as an archive.
func FuzzOpen(f *testing.F) {
	layer := layerOf(f, "f", "content")
	list := listOf(f, Item{Config: "c.json", RepoTags: []string{"a:1"}, Layers: []string{"l"}})
	config := file{name: "c.json", data: configOf(f, layer)}
	whole := tarOf(f, config, file{name: "l", data: layer}, list)
	f.Add(whole)
	f.Add(whole[:len(whole)-2000])
	f.Add(tarOf(f, config, list, file{name: "l", kind: tar.TypeSymlink, link: "../m"}, file{name: "m", data: gzipped(f, layer)}))
	f.Add(tarOf(f, config, list, file{name: "l", data: zstdOf(f, layer)}))
	f.Fuzz(check)
}

// FuzzEntries builds a tar that is one from fuzz bytes, so that what is looked
// for is behind the tar's checksums. Each entry takes a byte for its name, one
// for its type or content, and perhaps a length and as many bytes.
func FuzzEntries(f *testing.F) {
	layer := layerOf(f, "f", "content")
	config := configOf(f, layer)
	list := listOf(f, Item{Config: "c", Layers: []string{"l"}}).data
	manifest, err := makeManifest(v1.Descriptor{Digest: digest.FromString(config), Size: int64(len(config))},
		[]v1.Descriptor{{MediaType: v1.MediaTypeImageLayer, Digest: digest.FromString(layer), Size: int64(len(layer))}})
	if err != nil {
		f.Fatal(err)
	}
	blob := func(s string) string { return "blobs/sha256/" + digest.FromString(s).Encoded() }
	index := `{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"` + digest.FromBytes(manifest).String() +
		fmt.Sprintf(`","size":%d}]}`, len(manifest))
	names := []string{"manifest.json", "c", "l", "./l", "m/../l", "/c", "..", "", blob(config), blob(layer), blob(string(manifest)), "index.json", "oci-layout"}
	contents := []string{layer, gzipped(f, layer), zstdOf(f, layer), config, list, "[]", "null",
		listOf(f, Item{Config: "c"}).data, listOf(f, Item{Config: "c", Layers: []string{"l"}}, Item{Config: "c", Layers: []string{"./l"}}).data,
		string(manifest), index, `{"imageLayoutVersion":"1.0.0"}`,
		listOf(f, Item{Config: blob(config), Layers: []string{blob(layer)}}).data}
	f.Add([]byte{8, 3, 9, 0, 10, 9, 11, 10, 12, 11, 0, 12}) // an OCI layout too
	f.Add([]byte{1, 3, 2, 0, 0, 4})                         // config, raw layer, list
	f.Add([]byte{0, 4, 2, 1, 1, 3})                         // list, gzip layer, config
	f.Add([]byte{1, 3, 2, 100, 4, 4, 1, 0, 4})              // layer is a link
	f.Add([]byte{1, 3, 2, 2, 0, 8})                         // two images
	f.Add([]byte{1, 3, 2, 0, 0, 200, 3, '[', '{', '}'})     // list from the bytes
	f.Fuzz(func(t *testing.T, program []byte) {
		var files []file
		next := func() byte {
			if len(program) == 0 {
				return 0
			}
			b := program[0]
			program = program[1:]
			return b
		}
		for len(program) > 0 && len(files) < 64 {
			e := file{name: names[int(next())%len(names)]}
			switch b := next(); {
			case b >= 200:
				n := min(int(next()), len(program))
				e.data, program = string(program[:n]), program[n:]
			case b >= 150:
				e.kind, e.link = tar.TypeLink, names[int(next())%len(names)]
			case b >= 100:
				e.kind, e.link = tar.TypeSymlink, names[int(next())%len(names)]
			default:
				e.data = contents[int(b)%len(contents)]
			}
			files = append(files, e)
		}
		check(t, tarOf(t, files...))
	})
}

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// checkSource opens what may be an OCI layout too.
func checkSource(t *testing.T, data []byte, known func(error)) {
	t.Helper()
	src, err := openSource(t.Context(), inMemory{bytes.NewReader(data)}, int64(len(data)), "test", "local")
	if err != nil {
		known(err)
		return
	}
	for _, selector := range []string{"", "@0", "a:1"} {
		images, err := src.Images(t.Context(), selector)
		if err != nil {
			known(err)
			continue
		}
		for _, img := range images {
			content, err := src.Manifest(t.Context(), img, img.Root)
			if err != nil {
				known(err)
			} else if digest.FromBytes(content) != img.Root.Digest {
				t.Errorf("manifest %s is another", img.Root.Digest)
			}
			if found, err := src.Images(t.Context(), img.Name.String()); err != nil || len(found) != 1 {
				t.Errorf("%s is not found by its name: %v, %v", img.Name, found, err)
			}
		}
	}
}

// check holds for any input: Open and Manifest fail with a known kind, or what
// they say is true.
func check(t *testing.T, data []byte) {
	t.Helper()
	known := func(err error) {
		t.Helper()
		for _, kind := range []error{fault.ErrDamaged, fault.ErrUnsupported, fault.ErrMissing, fault.ErrUsage} {
			if errors.Is(err, kind) && !errors.Is(err, io.EOF) {
				return
			}
		}
		t.Errorf("error of no kind: %v", err)
	}
	checkSource(t, data, known)
	a, err := open(data)
	if err != nil {
		known(err)
		return
	}
	for _, img := range a.Images() {
		b, err := img.Manifest(t.Context())
		if err != nil {
			known(err)
			continue
		}
		if again, err := img.Manifest(t.Context()); err != nil || !bytes.Equal(b, again) {
			t.Errorf("manifest differs the second time: %v", err)
		}
		var m v1.Manifest
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		for _, d := range append(m.Layers, m.Config) {
			r, ok := a.Blob(d.Digest)
			if !ok {
				t.Fatalf("no blob %s", d.Digest)
			}
			if _, err := blob.ReadAll(r, d.Digest, d.Size, int64(len(data))); err != nil {
				t.Error(err)
			}
		}
	}
}
