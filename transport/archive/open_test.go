package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
)

const (
	rawType  = "application/vnd.oci.image.layer.v1.tar"
	gzipType = rawType + "+gzip"
	zstdType = rawType + "+zstd"
)

// TestOpen reads one image of two layers in every shape that archives have.
func TestOpen(t *testing.T) {
	one, two := layerOf(t, "bin/tool", "one"), layerOf(t, "etc/motd", "two")
	config := configOf(t, one, two)
	id := digest.FromString(config)
	blobName := func(s string) string { return "blobs/sha256/" + digest.FromString(s).Encoded() }
	gz, zst := gzipped(t, one), zstdOf(t, two)
	old := Item{Config: id.Encoded() + ".json", RepoTags: []string{"app:1"}, Layers: []string{"a/layer.tar", "b/layer.tar"}}

	for _, c := range []struct {
		name   string
		files  []file
		layers []string // media type, content, …
	}{
		{"as Docker 20.10 writes it", []file{
			{name: "a/", kind: tar.TypeDir}, {name: "a/VERSION", data: "1.0"}, {name: "a/json", data: "{}"}, {name: "a/layer.tar", data: one},
			{name: "b/", kind: tar.TypeDir}, {name: "b/VERSION", data: "1.0"}, {name: "b/json", data: "{}"}, {name: "b/layer.tar", data: two},
			{name: old.Config, data: config}, listOf(t, old), {name: "repositories", data: `{"app":{"1":"b"}}`},
		}, []string{rawType, one, rawType, two}},
		{"list first, layers last", []file{
			listOf(t, old), {name: old.Config, data: config}, {name: "b/layer.tar", data: two}, {name: "a/layer.tar", data: one},
		}, []string{rawType, one, rawType, two}},
		{"layer as symbolic link", []file{
			{name: "a/layer.tar", kind: tar.TypeSymlink, link: "../c/layer.tar"}, {name: "b/layer.tar", data: two}, {name: "c/layer.tar", data: one},
			{name: old.Config, data: config}, listOf(t, old),
		}, []string{rawType, one, rawType, two}},
		{"layer as absolute link to a link", []file{
			{name: "a/layer.tar", kind: tar.TypeSymlink, link: "/d.tar"}, {name: "b/layer.tar", data: two}, {name: "c/layer.tar", data: one},
			{name: "d.tar", kind: tar.TypeSymlink, link: "c/layer.tar"}, {name: old.Config, data: config}, listOf(t, old),
		}, []string{rawType, one, rawType, two}},
		{"layer as hard link", []file{
			{name: "c/layer.tar", data: one}, {name: "a/layer.tar", kind: tar.TypeLink, link: "c/layer.tar"}, {name: "b/layer.tar", data: two},
			{name: old.Config, data: config}, listOf(t, old),
		}, []string{rawType, one, rawType, two}},
		{"packed again by tar -C dir .", []file{
			{name: "./", kind: tar.TypeDir}, {name: "./a/layer.tar", data: one}, {name: "./b/layer.tar", data: two},
			{name: "./" + old.Config, data: config}, {name: "./manifest.json", data: listOf(t, old).data},
		}, []string{rawType, one, rawType, two}},
		{"a name twice, the last counts", []file{
			{name: "a/layer.tar", data: "not this"}, {name: "a/layer.tar", data: one}, {name: "b/layer.tar", data: two},
			{name: old.Config, data: config}, listOf(t, old),
		}, []string{rawType, one, rawType, two}},
		{"as Docker 25 writes it", []file{
			{name: blobName(one), data: one}, {name: blobName(two), data: two}, {name: blobName(config), data: config},
			{name: "index.json", data: `{"schemaVersion":2}`}, {name: "oci-layout", data: `{}`},
			listOf(t, Item{Config: blobName(config), RepoTags: []string{"app:1"}, Layers: []string{blobName(one), blobName(two)}}),
		}, []string{rawType, one, rawType, two}},
		{"compressed layers", []file{
			{name: blobName(gz), data: gz}, {name: blobName(zst), data: zst}, {name: blobName(config), data: config},
			listOf(t, Item{Config: blobName(config), RepoTags: []string{"app:1"}, Layers: []string{blobName(gz), blobName(zst)}}),
		}, []string{gzipType, gz, zstdType, zst}},
		{"as go-containerregistry writes it", []file{
			{name: "sha256:" + id.Encoded(), data: config}, {name: "1.tar.gz", data: gz}, {name: "2.tar.gz", data: gzipped(t, two)},
			listOf(t, Item{Config: "sha256:" + id.Encoded(), RepoTags: []string{"app:1"}, Layers: []string{"1.tar.gz", "2.tar.gz"}}),
		}, []string{gzipType, gz, gzipType, gzipped(t, two)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := open(tarOf(t, c.files...))
			if err != nil {
				t.Fatal(err)
			}
			if len(a.Images()) != 1 {
				t.Fatalf("%d images, want 1", len(a.Images()))
			}
			m := a.Images()[0]
			if m.ID != id || !slices.Equal(m.Tags, []string{"app:1"}) {
				t.Errorf("image %s %v, want %s [app:1]", m.ID, m.Tags, id)
			}
			got, err := m.Manifest(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":` +
				descriptor("application/vnd.oci.image.config.v1+json", config) + `,"layers":[` +
				descriptor(c.layers[0], c.layers[1]) + "," + descriptor(c.layers[2], c.layers[3]) + "]}"
			if string(got) != want {
				t.Errorf("manifest\n%s\nwant\n%s", got, want)
			}
			for _, content := range []string{config, c.layers[1], c.layers[3]} {
				r, ok := a.Blob(digest.FromString(content))
				if !ok {
					t.Errorf("no blob %s", digest.FromString(content))
					continue
				}
				if b, err := io.ReadAll(r); err != nil || string(b) != content {
					t.Errorf("blob %s: other content, %v", digest.FromString(content), err)
				}
			}
		})
	}
}

// TestOpenMany reads images that share layers, a config, or an entry.
func TestOpenMany(t *testing.T) {
	base, top := layerOf(t, "base", "base"), layerOf(t, "top", "top")
	c1, c2 := configOf(t, base), configOf(t, base, top, base)
	a, err := open(tarOf(t,
		file{name: "base.tar", data: base}, file{name: "top.tar", data: top}, file{name: "1.json", data: c1}, file{name: "2.json", data: c2},
		listOf(t,
			Item{Config: "1.json", RepoTags: []string{"one:1", "one:latest"}, Layers: []string{"base.tar"}},
			Item{Config: "2.json", Layers: []string{"base.tar", "top.tar", "base.tar"}},
			Item{Config: "1.json", Layers: []string{"base.tar"}})))
	if err != nil {
		t.Fatal(err)
	}
	var ids []digest.Digest
	for _, m := range a.Images() {
		ids = append(ids, m.ID)
		if _, err := m.Manifest(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if want := []digest.Digest{digest.FromString(c1), digest.FromString(c2), digest.FromString(c1)}; !slices.Equal(ids, want) {
		t.Errorf("images %v, want %v", ids, want)
	}
	if len(a.layers) != 2 {
		t.Errorf("%d layers were read, want each of 2 once", len(a.layers))
	}
}

func TestOpenNone(t *testing.T) {
	a, err := open(tarOf(t, file{name: "manifest.json", data: "[]"}))
	if err != nil || len(a.Images()) != 0 {
		t.Errorf("an empty list: %v, %v", a, err)
	}
}

// TestOpenBad gives Open, and Manifest where Open cannot know, archives that
// are wrong in one way each.
func TestOpenBad(t *testing.T) {
	layer := layerOf(t, "f", "content")
	config := configOf(t, layer)
	list := listOf(t, Item{Config: "c.json", Layers: []string{"l.tar"}})
	good := []file{{name: "c.json", data: config}, {name: "l.tar", data: layer}, list}
	with := func(i int, f ...file) []byte {
		files := slices.Clone(good)
		return tarOf(t, slices.Replace(files, i, i+1, f...)...)
	}
	for _, c := range []struct {
		name string
		data []byte
		kind error
	}{
		{"empty", nil, fault.ErrDamaged},
		{"no tar", []byte(strings.Repeat("no tar ", 1000)), fault.ErrDamaged},
		{"empty tar", tarOf(t), fault.ErrDamaged},
		{"no list", with(2), fault.ErrDamaged},
		{"two lists", with(2, list, list), fault.ErrDamaged},
		{"list is a folder", with(2, file{name: "manifest.json/", kind: tar.TypeDir}), fault.ErrDamaged},
		{"list is null", with(2, file{name: "manifest.json", data: "null"}), fault.ErrDamaged},
		{"list is an object", with(2, file{name: "manifest.json", data: "{}"}), fault.ErrDamaged},
		{"list is cut short", with(2, file{name: "manifest.json", data: list.data[:len(list.data)-2]}), fault.ErrDamaged},
		{"list links to nothing", with(2, file{name: "manifest.json", kind: tar.TypeSymlink, link: "nothing"}), fault.ErrDamaged},
		{"no config", with(0), fault.ErrDamaged},
		{"config is no JSON", with(0, file{name: "c.json", data: "<"}), fault.ErrDamaged},
		{"config has no layers", with(0, file{name: "c.json", data: "{}"}), fault.ErrDamaged},
		{"config has more layers", with(0, file{name: "c.json", data: configOf(t, layer, layer)}), fault.ErrDamaged},
		{"config has no digest", with(0, file{name: "c.json", data: `{"rootfs":{"diff_ids":["sha256:12"]}}`}), fault.ErrDamaged},
		{"config has a SHA-512", with(0, file{name: "c.json", data: `{"rootfs":{"diff_ids":["` + digest.SHA512.FromString(layer).String() + `"]}}`}), fault.ErrUnsupported},
		{"config is too large", with(0, file{name: "c.json", data: config + strings.Repeat(" ", MaxConfig)}), fault.ErrDamaged},
		{"config is not what its name says", tarOf(t, file{name: digest.FromString("x").Encoded() + ".json", data: config}, good[1],
			listOf(t, Item{Config: digest.FromString("x").Encoded() + ".json", Layers: []string{"l.tar"}})), fault.ErrDamaged},
		{"no layer", with(1), fault.ErrDamaged},
		{"layer is another", with(1, file{name: "l.tar", data: layerOf(t, "f", "CONTENT")}), fault.ErrDamaged},
		{"layer unpacks to another", with(1, file{name: "l.tar", data: gzipped(t, layerOf(t, "f", "CONTENT"))}), fault.ErrDamaged},
		{"layer does not unpack", with(1, file{name: "l.tar", data: gzipped(t, layer)[:40]}), fault.ErrDamaged},
		{"zstd layer does not unpack", with(1, file{name: "l.tar", data: zstdOf(t, layer)[:40]}), fault.ErrDamaged},
		{"layer is a few bytes", with(1, file{name: "l.tar", data: "\x1f\x8b"}), fault.ErrDamaged},
		{"layer links to itself", with(1, file{name: "l.tar", kind: tar.TypeSymlink, link: "l.tar"}), fault.ErrDamaged},
		{"layer links out of the archive", with(1, file{name: "l.tar", kind: tar.TypeSymlink, link: "../../../etc/passwd"}), fault.ErrDamaged},
		{"layer is sparse", sparseTar(t, good), fault.ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := open(c.data)
			if err == nil {
				_, err = a.Images()[0].Manifest(t.Context())
			}
			if !errors.Is(err, c.kind) {
				t.Errorf("%v, want kind %v", err, c.kind)
			}
			if errors.Is(err, io.EOF) {
				t.Errorf("%v is an io.EOF", err)
			}
		})
	}
}

// sparseTar is an archive whose layer is marked as GNU tar --sparse does.
func sparseTar(t *testing.T, good []file) []byte {
	t.Helper()
	b := tarOf(t, good...)
	i := 0
	for !bytes.HasPrefix(b[i:], []byte("l.tar\x00")) {
		i += 512
	}
	h := b[i : i+512]
	h[156] = tar.TypeGNUSparse
	copy(h[257:], "ustar  \x00")
	copy(h[148:156], "        ")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// TestOpenCut cuts an archive short at every block.
func TestOpenCut(t *testing.T) {
	layer := layerOf(t, "f", "content")
	whole := tarOf(t, file{name: "c.json", data: configOf(t, layer)}, file{name: "l.tar", data: layer},
		listOf(t, Item{Config: "c.json", Layers: []string{"l.tar"}}))
	end := len(whole) - 1024 // the two empty blocks are a formality
	for n := 0; n < end; n += 128 {
		a, err := open(whole[:n])
		if err == nil && n <= end-512 {
			t.Errorf("cut at %d of %d: %v", n, end, a.Images())
		}
		if err != nil && !errors.Is(err, fault.ErrDamaged) {
			t.Errorf("cut at %d: %v, want ErrDamaged", n, err)
		}
	}
}

func TestManifestCancelled(t *testing.T) {
	layer := layerOf(t, "f", "content")
	a, err := open(tarOf(t, file{name: "c.json", data: configOf(t, layer)}, file{name: "l.tar", data: gzipped(t, layer)},
		listOf(t, Item{Config: "c.json", Layers: []string{"l.tar"}})))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Images()[0].Manifest(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
	if _, err := a.Images()[0].Manifest(t.Context()); err != nil {
		t.Errorf("again: %v", err)
	}
}

// TestOpenUnreadable makes sure that a disk that fails is no damaged archive.
func TestOpenUnreadable(t *testing.T) {
	layer := layerOf(t, "f", "content")
	b := tarOf(t, file{name: "c.json", data: configOf(t, layer)}, file{name: "l.tar", data: layer},
		listOf(t, Item{Config: "c.json", Layers: []string{"l.tar"}}))
	_, err := Open(badDisk{}, int64(len(b)))
	if !errors.Is(err, errDisk) || errors.Is(err, fault.ErrDamaged) {
		t.Errorf("%v, want %v and not ErrDamaged", err, errDisk)
	}
}

var errDisk = errors.New("disk on fire")

type badDisk struct{}

func (badDisk) ReadAt([]byte, int64) (int, error) { return 0, errDisk }
