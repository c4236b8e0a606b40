package archive_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/archive"
	"bale/transport/conformance"
)

// listOnly writes the suite's images as engines before Docker 25 do: with
// manifest.json and no more. Each has the tags that it is given.
func listOnly(t *testing.T, path string, tags map[string][]string) {
	t.Helper()
	set := loadable(t)
	f, err := os.Create(path)
	must(t, err)
	w := archive.NewWriter(f)
	var items []archive.Item
	for _, img := range set.Images {
		m, err := transport.ParseManifest(img.Root.MediaType, set.Content[img.Root.Digest])
		must(t, err)
		it := archive.Item{RepoTags: tags[filepath.Base(img.Name.Path)]}
		for _, d := range append(m.Layers, *m.Config) {
			must(t, w.WriteBlob(d, bytes.NewReader(set.Content[d.Digest])))
			it.Layers = append(it.Layers, w.Name(d.Digest))
		}
		it.Layers = slices.Delete(it.Layers, len(m.Layers), len(m.Layers)+1)
		it.Config = w.Name(m.Config.Digest)
		items = append(items, it)
	}
	must(t, w.Close(items))
	must(t, f.Close())
}

// contents reads all that a source has.
func contents(t *testing.T, src transport.Source) *conformance.Set {
	t.Helper()
	defer func() { _ = src.Close() }()
	images, err := src.Images(t.Context(), "")
	must(t, err)
	set := &conformance.Set{Images: images, Content: make(map[digest.Digest][]byte)}
	for _, img := range images {
		content, err := src.Manifest(t.Context(), img, img.Root)
		must(t, err)
		set.Content[img.Root.Digest] = content
		m, err := transport.ParseManifest(img.Root.MediaType, content)
		must(t, err)
		for _, d := range append(m.Layers, *m.Config) {
			set.Content[d.Digest] = read(t, src, img, d)
		}
	}
	return set
}

func TestListOnlySource(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Some images.tar.gz")
	listOnly(t, path, map[string][]string{
		"plain": {"plain:1.0", "localhost:5000/plain:2"}, "shared": {"<none>:<none>"}, "docker": {team + "/docker:1.0", team + "/docker:1.0"},
	})
	set := contents(t, openFile(t, path))
	unnamed := set.Images[2]
	if got, want := []string{set.Images[0].Name.String(), set.Images[1].Name.String(), unnamed.Name.String(), set.Images[3].Name.String()}, []string{
		"docker.io/library/plain:1.0", "localhost:5000/plain:2", "localhost/some-images@" + unnamed.Root.Digest.String(), team + "/docker:1.0",
	}; !slices.Equal(got, want) {
		t.Errorf("images %q, want %q", got, want)
	}
	conformance.Source(t, func(t *testing.T) transport.Source { return openFile(t, path) }, conformance.Want{
		Set: set,
		Select: map[string]string{
			"plain:1.0":                        "docker.io/library/plain:1.0",
			"@0":                               "docker.io/library/plain:1.0",
			"@1":                               unnamed.Name.String(),
			"@2":                               team + "/docker:1.0",
			unnamed.Root.Digest.String():       unnamed.Name.String(),
			"@" + unnamed.Root.Digest.String(): unnamed.Name.String(),
			configOf(t, set, unnamed):          unnamed.Name.String(),
			strings.TrimPrefix(configOf(t, set, unnamed), "sha256:"):        unnamed.Name.String(),
			team + "/docker:1.0@" + set.Images[3].Root.Digest.String():      team + "/docker:1.0",
			"localhost:5000/plain@" + configOf(t, set, set.Images[0]):       "localhost:5000/plain:2",
			"docker.io/library/plain@" + set.Images[0].Root.Digest.String(): "docker.io/library/plain:1.0",
		},
	})
	src := openFile(t, path)
	defer func() { _ = src.Close() }()
	for selector, kind := range map[string]error{
		"@3": fault.ErrMissing, "@99999999999999999999": fault.ErrMissing, "no such name": fault.ErrUsage, "plain:2": fault.ErrMissing,
		digest.FromString("nothing").String():                fault.ErrMissing,
		"plain@" + digest.FromString("no").String():          fault.ErrMissing,
		team + "/docker:1.0@" + unnamed.Root.Digest.String(): fault.ErrMissing,
	} {
		if _, err := src.Images(t.Context(), selector); !errors.Is(err, kind) {
			t.Errorf("%q: %v, want %v", selector, err, kind)
		}
	}
}

func TestTwoImagesOfOneName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "images.tar")
	listOnly(t, path, map[string][]string{"plain": {"app:1"}, "shared": {"app:1"}})
	src := openFile(t, path)
	defer func() { _ = src.Close() }()
	_, err := src.Images(t.Context(), "")
	if !errors.Is(err, fault.ErrUsage) || !strings.Contains(fault.Hint(err), ":@1") {
		t.Errorf("%v (%s), want an ErrUsage that says how to choose", err, fault.Hint(err))
	}
	for selector, n := range map[string]int{"@0": 0, "@1": 1} {
		if found, err := src.Images(t.Context(), selector); err != nil || idOf(t, src, found[0]).String() != configOf(t, loadable(t), loadable(t).Images[n]) {
			t.Errorf("%s: %v, %v", selector, found, err)
		}
	}
}

// rewrite passes the files of a tar through f, which returns what is to be
// there instead; nil leaves one out.
func rewrite(t *testing.T, path string, f func(name string, content []byte) []byte) {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for r := tar.NewReader(bytes.NewReader(content)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		b, err := io.ReadAll(r)
		must(t, err)
		if b = f(h.Name, b); b == nil {
			continue
		}
		h.Size = int64(len(b))
		must(t, w.WriteHeader(h))
		_, err = w.Write(b)
		must(t, err)
	}
	must(t, w.Close())
	must(t, os.WriteFile(path, out.Bytes(), 0o600))
}

// TestHybrid reads an archive that has both an OCI layout and manifest.json
// after one change to it: by the one if it is whole, else by the other.
func TestHybrid(t *testing.T) {
	set := loadable(t).Only("docker") // whose manifest is none that bale makes
	img := set.Images[0]
	for name, c := range map[string]struct {
		change func(name string, content []byte) []byte
		layout bool // read as one
		err    error
	}{
		"as it was": {func(_ string, b []byte) []byte { return b }, true, nil},
		"no index.json": {func(name string, b []byte) []byte {
			if name == "index.json" {
				return nil
			}
			return b
		}, false, nil},
		"index.json makes no sense": {func(name string, b []byte) []byte {
			if name == "index.json" {
				return []byte("{")
			}
			return b
		}, false, nil},
		"index.json lists nothing": {func(name string, b []byte) []byte {
			if name == "index.json" {
				return []byte(`{"schemaVersion":2,"manifests":[]}`)
			}
			return b
		}, false, nil},
		"index.json has another name": {func(name string, b []byte) []byte {
			if name == "index.json" {
				return bytes.ReplaceAll(b, []byte(":1.0"), []byte(":2.0"))
			}
			return b
		}, false, nil},
		"no manifest": {func(name string, b []byte) []byte {
			if strings.HasSuffix(name, img.Root.Digest.Encoded()) {
				return nil
			}
			return b
		}, false, nil},
		"manifest damaged": {func(name string, b []byte) []byte {
			if strings.HasSuffix(name, img.Root.Digest.Encoded()) {
				return bytes.ToUpper(b)
			}
			return b
		}, false, nil},
		"no manifest.json": {func(name string, b []byte) []byte {
			if name == "manifest.json" {
				return nil
			}
			return b
		}, false, fault.ErrDamaged},
		"neither": {func(name string, b []byte) []byte {
			if name == "manifest.json" || name == "index.json" {
				return nil
			}
			return b
		}, false, fault.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "images.tar")
			fill(t, path, set)
			rewrite(t, path, c.change)
			src, err := archive.OpenFile(t.Context(), path)
			if !errors.Is(err, c.err) {
				t.Fatalf("%v, want %v", err, c.err)
			}
			if err != nil {
				return
			}
			got := contents(t, src)
			if len(got.Images) != 1 || got.Images[0].Name != img.Name {
				t.Fatalf("images %v, want %s", got.Images, img.Name)
			}
			if same := got.Images[0].Root.Digest == img.Root.Digest; same != c.layout {
				t.Errorf("it has its own manifest: %t, want %t", same, c.layout)
			}
			if a, b := configOf(t, got, got.Images[0]), configOf(t, set, img); a != b {
				t.Errorf("image %s, want %s", a, b)
			}
		})
	}
}

// TestHybridSelect chooses an image by what stands in manifest.json alone.
func TestHybridSelect(t *testing.T) {
	path := filepath.Join(t.TempDir(), "images.tar")
	w := write(t, path, true, newSink(t, path, archive.Platform(amd64)), testRequests(t))
	src := openFile(t, path)
	defer func() { _ = src.Close() }()
	for selector, want := range map[string]loaded{
		"@0": w.images[0], "@1": w.images[2], w.images[2].id.String(): w.images[2], w.images[3].id.Encoded(): w.images[3],
		"busybox:again": w.images[1], "@" + w.images[3].root.String(): w.images[3],
	} {
		found, err := src.Images(t.Context(), selector)
		if err != nil || len(found) != 1 || found[0].Name.String() != want.name || found[0].Root.Digest != want.root {
			t.Errorf("%q: %v, %v; want %s", selector, found, err, want.name)
		}
	}
	for _, selector := range []string{"@3", digest.FromString("nothing").String(), "other:1"} {
		if _, err := src.Images(t.Context(), selector); !errors.Is(err, fault.ErrMissing) {
			t.Errorf("%q: %v, want an ErrMissing", selector, err)
		}
	}
}

func TestOpenFileBad(t *testing.T) {
	dir := t.TempDir()
	at := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, content, 0o600))
		return path
	}
	good := filepath.Join(dir, "good.tar")
	fill(t, good, loadable(t))
	content, err := os.ReadFile(good)
	must(t, err)
	for name, c := range map[string]struct {
		path string
		want error
	}{
		"not there":         {filepath.Join(dir, "nothing"), fault.ErrMissing},
		"a folder":          {dir, fault.ErrUsage},
		"no stream":         {"-", fault.ErrUsage},
		"empty":             {at("empty", nil), fault.ErrDamaged},
		"text":              {at("text", []byte(strings.Repeat("text ", 1000))), fault.ErrDamaged},
		"cut short":         {at("cut", content[:len(content)/2]), fault.ErrDamaged},
		"gzip of cut short": {at("cut.gz", gzipped(t, content[:len(content)/2])), fault.ErrDamaged},
		"gzip cut short":    {at("gz.cut", gzipped(t, content)[:1000]), fault.ErrDamaged},
	} {
		if src, err := archive.OpenFile(t.Context(), c.path); !errors.Is(err, c.want) || errors.Is(err, io.EOF) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
			if err == nil {
				_ = src.Close()
			}
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := archive.OpenFile(ended, good); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}

func TestSinkRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "images.tar")
	must(t, os.WriteFile(path, []byte("something else"), 0o600))
	if _, err := archive.NewSink(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file that is there: %v, want fs.ErrExist", err)
	}
	for _, opts := range [][]archive.Option{
		{archive.WithRef("no name")}, {archive.WithRef("app@" + digest.FromString("x").String())},
	} {
		if _, err := archive.NewSink(filepath.Join(dir, "new.tar"), opts...); !errors.Is(err, fault.ErrUsage) {
			t.Errorf("a name that is none: %v, want an ErrUsage", err)
		}
	}
	if _, err := archive.NewSink("-"); !errors.Is(err, fault.ErrUsage) {
		t.Errorf("no stream: %v, want an ErrUsage", err)
	}

	set := conformance.New(t, team)
	s := newSink(t, path, archive.Overwrite(), archive.WithRef("app:1"))
	for _, short := range []string{"artifact", "multi"} {
		img := set.Image(t, short)
		if _, err := s.Holds(t.Context(), img, set.Content[img.Root.Digest]); !errors.Is(err, fault.ErrUnsupported) {
			t.Errorf("%s: %v, want an ErrUnsupported", short, err)
		}
	}
	for i, want := range []error{nil, fault.ErrUsage} {
		img := set.Images[i]
		if _, err := s.Holds(t.Context(), img, set.Content[img.Root.Digest]); !errors.Is(err, want) {
			t.Errorf("image %d of one: %v, want %v", i, err, want)
		}
	}
	must(t, s.Close())
	if b, err := os.ReadFile(path); err != nil || string(b) != "something else" {
		t.Errorf("the file has become %q, %v", b, err)
	}
}

func TestSinkWithRef(t *testing.T) {
	path := filepath.Join(t.TempDir(), "images.tar")
	fill(t, path, loadable(t).Only("plain"), archive.WithRef("app:2"))
	set := contents(t, openFile(t, path))
	if len(set.Images) != 1 || set.Images[0].Name.String() != "docker.io/library/app:2" {
		t.Errorf("images %v, want docker.io/library/app:2", set.Images)
	}
	rewrite(t, path, func(name string, b []byte) []byte {
		if name == "manifest.json" && !bytes.Contains(b, []byte(`"RepoTags":["docker.io/library/app:2"]`)) {
			t.Errorf("manifest.json is %s", b)
		}
		return b
	})
}

// TestUnpackedLayers writes layers in Zstandard, which must be what the config
// says that they unpack to.
func TestUnpackedLayers(t *testing.T) {
	set := recompressed(t)
	img := set.Images[0]
	var m v1.Manifest
	must(t, json.Unmarshal(set.Content[img.Root.Digest], &m))

	path := filepath.Join(t.TempDir(), "images.tar")
	fill(t, path, set)
	got := contents(t, openFile(t, path))
	var made v1.Manifest
	must(t, json.Unmarshal(got.Content[got.Images[0].Root.Digest], &made))
	for i, l := range made.Layers {
		raw, err := unzstd(set.Content[m.Layers[i].Digest])
		must(t, err)
		if l.MediaType != v1.MediaTypeImageLayer || !bytes.Equal(got.Content[l.Digest], raw) {
			t.Errorf("layer %d is %v, want it unpacked", i, l)
		}
	}
	if made.Config.Digest != m.Config.Digest {
		t.Errorf("config %s, want %s", made.Config.Digest, m.Config.Digest)
	}

	// The same image once more, with a config that says something else.
	for name, config := range map[string]string{
		"another layer": strings.Replace(string(set.Content[m.Config.Digest]), "diff_ids\":[\"sha256:", "diff_ids\":[\""+digest.FromString("x").String()+"\",\"sha256:", 1),
		"no layers":     `{"architecture":"amd64","os":"linux"}`,
		"no JSON":       `diff_ids`,
		"too long":      `{"architecture":"amd64","os":"linux"}` + strings.Repeat(" ", archive.MaxConfig),
	} {
		bad := &conformance.Set{Content: map[digest.Digest][]byte{}}
		other := m
		other.Config = v1.Descriptor{MediaType: m.Config.MediaType, Digest: digest.FromString(config), Size: int64(len(config))}
		content, err := json.Marshal(other)
		must(t, err)
		bad.Content[other.Config.Digest] = []byte(config)
		bad.Content[digest.FromBytes(content)] = content
		for _, l := range m.Layers {
			bad.Content[l.Digest] = set.Content[l.Digest]
		}
		bad.Images = []transport.Image{{Name: img.Name, Root: v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromBytes(content), Size: int64(len(content))}}}
		path := filepath.Join(t.TempDir(), "images.tar")
		s := newSink(t, path, archive.Platform(amd64))
		_, err = transport.Copy(t.Context(), []transport.Request{{Source: bad.Source(), Image: bad.Images[0], Target: img.Name}}, s, transport.Options{})
		want := fault.ErrDamaged
		if name == "too long" {
			want = fault.ErrUnsupported
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		must(t, s.Close())
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: there is a file: %v", name, err)
		}
	}
}

// What does not unpack is told as damage of the layer.
func TestLayersThatDoNotUnpack(t *testing.T) {
	for name, content := range map[string][]byte{
		"cut short": zstdOf(t, bytes.Repeat([]byte("content"), 1000))[:20], "altered": append([]byte("\x28\xb5\x2f\xfd"), "something else"...),
	} {
		s := newSink(t, filepath.Join(t.TempDir(), "images.tar"))
		d := v1.Descriptor{MediaType: v1.MediaTypeImageLayerZstd, Digest: digest.FromBytes(content), Size: int64(len(content))}
		err := s.WriteBlob(t.Context(), d, nil, func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
		if !errors.Is(err, fault.ErrDamaged) || errors.Is(err, io.EOF) {
			t.Errorf("%s: %v, want an ErrDamaged", name, err)
		}
		must(t, s.Close())
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		place, file, ref string
		err              error
	}{
		{"images.tar", "images.tar", "", nil},
		{"/srv/images.tar:busybox:1.36", "/srv/images.tar", "busybox:1.36", nil},
		{"images.tar:@0", "images.tar", "@0", nil},
		{"-:host:5000/app:1", "-", "host:5000/app:1", nil},
		{"", "", "", fault.ErrUsage},
		{"images.tar:", "", "", fault.ErrUsage},
	} {
		file, ref, err := archive.Split(c.place)
		if file != c.file || ref != c.ref || !errors.Is(err, c.err) {
			t.Errorf("Split(%q) = %q, %q, %v; want %q, %q, %v", c.place, file, ref, err, c.file, c.ref, c.err)
		}
	}
}
