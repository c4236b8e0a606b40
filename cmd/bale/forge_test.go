package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/container"
	"bale/bundle/deflate"
	"bale/bundle/index"
	"bale/bundle/pack"
	"bale/sign"
)

// The keys that forged bundles are signed with, in testdata/keys. Signatures by
// ED25519 and RSA are the same each time.
const (
	forgeKey   = "ed25519.pem"
	forgePub   = "ed25519.pub"
	strangeKey = "rsa.pem"
)

// forgedImage is what the one image of a forged bundle is called.
const forgedImage = "docker.io/library/tiny:1"

// entryFile is one entry of a bundle.
type entryFile struct {
	name string
	data []byte
}

// forgery makes a small bundle: one image with one layer of two chunks, in two
// packs. Each step may be replaced by a lie; all that comes after it fits the
// lie, down to the signature. A nil step is the honest one.
type forgery struct {
	apart  bool                                     // the layer is gzip, and was taken apart
	frame  func(n int, honest []byte) []byte        // 0, 1: the layer's chunks; 2: config and manifest
	pack   func(n int, honest []byte) []byte        // 0: frames 0 and 1; 1: frame 2
	index  func(x *index.Index)                     // before it is encoded
	table  func(honest []byte) []byte               // index.zst
	header func(honest string) string               // bale.json
	signed func(e []entryFile) []entryFile          // the entries that SHA256SUMS will list
	sign   func(t testing.TB, sums []byte) [][]byte // the signatures
	after  func(e []entryFile) []entryFile          // all entries: whoever does this has no key
	raw    func(tar []byte) []byte                  // the file
}

// forgedTime is when forged bundles were made.
var forgedTime = time.Unix(1_800_000_000, 0).UTC()

const forgedHeader = `{
  "format": "bale",
  "version": 1,
  "id": "000102030405060708090a0b0c0d0e0f",
  "created": "2027-01-15T08:00:00Z",
  "creator": "bale test"
}
`

// tiny is the content of a forged bundle.
type tiny struct {
	layer, config, manifest []byte
	cut                     int // where the layer's second chunk begins

	blob   []byte // the layer as it came
	params []byte // of its recipe, if it was taken apart
}

func newTiny(t testing.TB, apart bool) *tiny {
	t.Helper()
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	for _, name := range []string{"hello", "world"} {
		h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(name)), ModTime: forgedTime, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c := &tiny{layer: layer.Bytes(), cut: 1024, blob: layer.Bytes()}
	mediaType := ocispec.MediaTypeImageLayer
	if apart {
		mediaType = ocispec.MediaTypeImageLayerGzip
		c.takeApart(t)
	}
	c.config = mustJSON(t, ocispec.Image{
		Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(c.layer)}},
	})
	c.manifest = mustJSON(t, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: digest.FromBytes(c.config), Size: int64(len(c.config))},
		Layers: []ocispec.Descriptor{{MediaType: mediaType, Digest: digest.FromBytes(c.blob), Size: int64(len(c.blob))}},
	})
	return c
}

// takeApart makes the layer a gzip stream with a recipe (FORMAT.md, 5.1). It was
// not made by any compressor, so that it will always be the same.
func (c *tiny) takeApart(t testing.TB) {
	t.Helper()
	n := len(c.layer)
	c.blob = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1, byte(n), byte(n >> 8), ^byte(n), ^byte(n >> 8)}
	c.blob = append(c.blob, c.layer...)
	c.blob = binary.LittleEndian.AppendUint32(c.blob, crc32.ChecksumIEEE(c.layer))
	c.blob = binary.LittleEndian.AppendUint32(c.blob, uint32(n))
	var corrections bytes.Buffer
	r, err := deflate.Analyze(t.Context(), bytes.NewReader(c.blob), int64(len(c.blob)), &corrections)
	if err != nil {
		t.Fatal(err)
	}
	c.params = append([]byte{byte(len(r.Params))}, r.Params...)
	c.params = append(c.params, corrections.Bytes()...)
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// make puts the bundle together.
func (f forgery) make(t testing.TB) []byte {
	t.Helper()
	entries := f.entries(t)
	if f.signed != nil {
		entries = f.signed(entries)
	}
	sums := sumsOf(entries)
	entries = append(entries, entryFile{container.SumsName, sums})
	if f.sign == nil {
		f.sign = signWith(forgeKey)
	}
	for n, s := range f.sign(t, sums) {
		entries = append(entries, entryFile{container.SignatureName(container.Sigstore, n), s})
	}
	if f.after != nil {
		entries = f.after(entries)
	}
	out := pile(t, entries)
	if f.raw != nil {
		out = f.raw(out)
	}
	return out
}

// entries returns what SHA256SUMS lists.
func (f forgery) entries(t testing.TB) []entryFile {
	t.Helper()
	c := newTiny(t, f.apart)
	raws := [][]byte{c.layer[:c.cut], c.layer[c.cut:], slices.Concat(c.config, c.manifest)}
	x := &index.Index{}
	z, err := pack.NewEncoder(pack.Default)
	if err != nil {
		t.Fatal(err)
	}
	var frames [][]byte
	for n, raw := range raws {
		b := z.Encode(nil, raw)
		if f.frame != nil {
			b = f.frame(n, b)
		}
		frames = append(frames, b)
		x.Frames = append(x.Frames, index.Frame{Stored: int64(len(b)), Raw: int64(len(raw)), Chunks: 1})
	}
	x.Frames[2].Chunks = 2
	for _, chunk := range [][]byte{raws[0], raws[1], c.config, c.manifest} {
		x.Chunks.Add(sha256.Sum256(chunk), len(chunk))
	}
	var packs []entryFile
	for n, in := range [][][]byte{frames[:2], frames[2:]} {
		p := f.packOf(t, n, in)
		x.Packs = append(x.Packs, index.Pack{Digest: digest.FromBytes(p), Size: int64(len(p)), Frames: len(in)})
		packs = append(packs, entryFile{container.PackName(digest.FromBytes(p)), p})
	}
	x.Blobs = []index.Blob{{
		Digest: digest.FromBytes(c.blob), Size: int64(len(c.blob)), Params: c.params, RawSize: int64(len(c.layer)),
		Lanes: [][]index.Run{{{First: 0, Count: 2}}},
	}}
	if f.apart {
		x.Blobs[0].Recipe = index.Deflate
	}
	for _, b := range []struct {
		data         []byte
		first, count uint32
	}{{c.config, 2, 1}, {c.manifest, 3, 1}} {
		x.Blobs = append(x.Blobs, index.Blob{
			Digest: digest.FromBytes(b.data), Size: int64(len(b.data)), RawSize: int64(len(b.data)),
			Lanes: [][]index.Run{{{First: b.first, Count: b.count}}},
		})
	}
	slices.SortFunc(x.Blobs, func(a, b index.Blob) int { return cmp.Compare(a.Digest, b.Digest) })
	x.Images = []index.Image{{
		Name: forgedImage, MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(c.manifest), Size: int64(len(c.manifest)),
	}}
	if f.index != nil {
		f.index(x)
	}
	var table bytes.Buffer
	if err := x.Write(&table); err != nil {
		t.Fatal(err)
	}
	head := forgedHeader
	if f.header != nil {
		head = f.header(head)
	}
	tableBytes := table.Bytes()
	if f.table != nil {
		tableBytes = f.table(tableBytes)
	}
	return append(append([]entryFile{{container.HeaderName, []byte(head)}}, packs...), entryFile{container.IndexName, tableBytes})
}

func (f forgery) packOf(t testing.TB, n int, frames [][]byte) []byte {
	t.Helper()
	var b pack.Builder
	for _, frame := range frames {
		if _, err := b.Add(frame); err != nil {
			t.Fatal(err)
		}
	}
	p := b.Finish().Data
	if f.pack != nil {
		p = f.pack(n, p)
	}
	return p
}

// sumsOf lists entries as sha256sum does.
func sumsOf(entries []entryFile) []byte {
	var b bytes.Buffer
	for _, e := range entries {
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(e.data), e.name)
	}
	return b.Bytes()
}

// signWith signs with keys of testdata/keys that have no password.
func signWith(keys ...string) func(testing.TB, []byte) [][]byte {
	return func(t testing.TB, sums []byte) [][]byte {
		t.Helper()
		var out [][]byte
		for _, name := range keys {
			k, err := sign.LoadPrivateKey(testdata(t, "keys", name), nil)
			if err != nil {
				t.Fatal(err)
			}
			s, err := k.Sign(t.Context(), sums)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, s.Data)
		}
		return out
	}
}

// pile writes entries one after the other, as a bundle's container.
func pile(t testing.TB, entries []entryFile) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := container.NewWriter(&out, forgedTime)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := w.Add(e.name, e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
