package conformance

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"bale/bundle/fault"
	"bale/transport"
)

// HoldingPlace is an empty place under test for [Holding]. Of the Place, Set
// and Sink are needed. Its sources are [transport.Holding].
type HoldingPlace struct {
	Place

	// Remove deletes an image and all content that is its own.
	Remove func(t *testing.T, img transport.Image)

	// Unpacked is set if the place keeps layers unpacked, and so has none
	// under the digest that it came by.
	Unpacked bool

	// Whole is set if the place looks everywhere, whatever repositories it is told.
	Whole bool
}

// Holding tests how a place finds layers. Each call of open returns an empty
// place.
func Holding(t *testing.T, open func(t *testing.T) HoldingPlace) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(*holdingTest)
	}{
		{"another tag", (*holdingTest).anotherTag},
		{"tag that was moved", (*holdingTest).movedTag},
		{"compressed otherwise", (*holdingTest).otherwise},
		{"many images in one repository", (*holdingTest).oneRepository},
		{"some of what is looked for", (*holdingTest).some},
		{"the same layer several times", (*holdingTest).twice},
		{"not there", (*holdingTest).notThere},
		{"another repository", (*holdingTest).anotherRepository},
		{"nothing looked for", (*holdingTest).nothing},
		{"ended context", (*holdingTest).ended},
		{"deleted meanwhile", (*holdingTest).deleted},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(&holdingTest{T: t, place: open(t)}) })
	}
}

type holdingTest struct {
	*testing.T
	place    HoldingPlace
	platform *v1.Platform // that the place keeps, once something was put there
}

// put writes a set to the place and returns the images as they are there.
func (t *holdingTest) put(set *Set) []transport.Image {
	t.Helper()
	p := t.place.Place
	p.Set = set
	w := newWriter(t.T, p, set)
	w.all()
	t.platform = w.props.Platform
	return w.images
}

// open opens the place as it is now.
func (t *holdingTest) open() transport.Holding {
	t.Helper()
	src, err := t.place.Source(t.T)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := src.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return src.(transport.Holding)
}

// near returns the images' names under a tag that none of them has.
func near(images []transport.Image) []transport.Name {
	var names []transport.Name
	for _, img := range images {
		img.Name.Tag, img.Name.Digest = "no-such-tag", ""
		names = append(names, img.Name)
	}
	return names
}

// layers returns the layers of images in the set.
func (t *holdingTest) layers(s *Set, images ...transport.Image) []transport.Layer {
	t.Helper()
	var out []transport.Layer
	for _, d := range s.Graph(t, images...).Layers {
		if !strings.Contains(d.MediaType, "tar") {
			continue // of an artifact
		}
		raw, ok := s.unpack(t, d)
		if !ok {
			raw = s.Content[d.Digest]
		}
		out = append(out, transport.Layer{Digest: d.Digest, Size: d.Size, DiffID: digest.FromBytes(raw)})
	}
	if len(out) == 0 {
		t.Fatal("no layers to look for")
	}
	return out
}

// wantFound fails the test unless exactly those layers are found that indices
// names, with the right content.
func (t *holdingTest) wantFound(found []transport.FoundLayer, want []transport.Layer, indices ...int) {
	t.Helper()
	var got []int
	for _, f := range found {
		got = append(got, f.Index)
	}
	if !slices.Equal(got, indices) {
		t.Fatalf("found %v, want %v", got, indices)
	}
	g, ctx := errgroup.WithContext(t.Context())
	for _, f := range found {
		if t.place.Unpacked && f.Digest != want[f.Index].DiffID {
			t.Errorf("layer %d is said to be %s, not its diff id", f.Index, f.Digest)
		}
		for range 2 {
			g.Go(func() error { return sameLayer(ctx, f, want[f.Index].DiffID) })
		}
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

// sameLayer reads a layer that was found: the blob that it is said to be, which
// unpacks to what was looked for.
func sameLayer(ctx context.Context, f transport.FoundLayer, diffID digest.Digest) error {
	rc, err := f.Open(ctx)
	if err != nil {
		return fmt.Errorf("open layer %d: %w", f.Index, err)
	}
	defer func() { _ = rc.Close() }()
	content, err := io.ReadAll(rc)
	if err != nil {
		return fmt.Errorf("read layer %d: %w", f.Index, err)
	}
	if got := digest.FromBytes(content); got != f.Digest {
		return fmt.Errorf("layer %d is %s, not %s as said", f.Index, got, f.Digest)
	}
	if f.Digest == diffID {
		return nil
	}
	raw, err := decompress(content)
	if err != nil {
		return fmt.Errorf("unpack layer %d: %w", f.Index, err)
	}
	if got := digest.FromBytes(raw); got != diffID {
		return fmt.Errorf("layer %d unpacks to %s, not %s", f.Index, got, diffID)
	}
	return nil
}

func decompress(b []byte) ([]byte, error) {
	if bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(z)
	}
	z, err := zstd.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return io.ReadAll(z)
}

// find looks for layers; that must not fail.
func (t *holdingTest) find(near []transport.Name, want []transport.Layer) []transport.FoundLayer {
	t.Helper()
	found, err := t.open().FindLayers(t.Context(), near, want)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (t *holdingTest) anotherTag() {
	images := t.put(t.place.Set)
	want := t.layers(t.place.Set, images...)
	found := t.find(near(images), want)
	t.wantFound(found, want, upTo(len(want))...)
	for _, f := range found {
		if !t.place.Unpacked && f.Digest != want[f.Index].Digest {
			t.Errorf("layer %d is found as %s, not as the blob that was looked for", f.Index, f.Digest)
		}
	}
}

func upTo(n int) []int {
	var all []int
	for i := range n {
		all = append(all, i)
	}
	return all
}

func (t *holdingTest) movedTag() {
	old := t.put(t.place.Set.Only("plain"))
	t.put(t.place.Set.Only("shared").Rename(func(transport.Name) transport.Name { return old[0].Name }))
	want := t.layers(t.place.Set, old...)
	t.wantFound(t.find([]transport.Name{old[0].Name}, want), want, upTo(len(want))...)
}

func (t *holdingTest) otherwise() {
	for _, name := range slices.Sorted(maps.Keys(ways)) {
		pack := ways[name]
		if t.place.Unpacked && name == "zstd" {
			continue // whether an engine can unpack it is a matter of its age
		}
		t.Run(name, func(tt *testing.T) {
			t := &holdingTest{T: tt, place: t.place}
			set := t.place.Set.Only("plain").Rename(func(n transport.Name) transport.Name {
				n.Path = strings.TrimSuffix(n.Path, "plain") + strings.ReplaceAll(name, " ", "-")
				return n
			})
			images := t.put(set.repack(t.T, pack))
			want := t.layers(set, set.Images...)
			found := t.find(near(images), want)
			t.wantFound(found, want, upTo(len(want))...)
			for _, f := range found {
				if f.Digest == want[f.Index].Digest {
					t.Errorf("layer %d is there under the digest %s that it came by", f.Index, f.Digest)
				}
			}
		})
	}
}

// ways are compressions that the suite's layers do not have.
var ways = map[string]func(raw []byte) (mediaType string, content []byte){
	"gzip fast":   func(raw []byte) (string, []byte) { return gzipped(raw, gzip.BestSpeed) },
	"gzip stored": func(raw []byte) (string, []byte) { return gzipped(raw, gzip.NoCompression) },
	"raw":         func(raw []byte) (string, []byte) { return v1.MediaTypeImageLayer, raw },
	"zstd": func(raw []byte) (string, []byte) {
		z, err := zstd.NewWriter(nil)
		must(err)
		return v1.MediaTypeImageLayerZstd, z.EncodeAll(raw, nil)
	},
}

func gzipped(raw []byte, level int) (string, []byte) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, level)
	must(err)
	_, err = z.Write(raw)
	must(err)
	must(z.Close())
	return v1.MediaTypeImageLayerGzip, b.Bytes()
}

// repack returns the set with its layers compressed otherwise. Configs, and so
// an engine's image IDs, stay.
func (s *Set) repack(t testing.TB, pack func([]byte) (string, []byte)) *Set {
	t.Helper()
	b := &builder{Content: map[digest.Digest][]byte{}}
	for _, img := range s.Images {
		img.Root = s.repackNode(t, b, img.Root, pack)
		b.Images = append(b.Images, img)
	}
	return (*Set)(b)
}

func (s *Set) repackNode(t testing.TB, b *builder, d v1.Descriptor, pack func([]byte) (string, []byte)) v1.Descriptor {
	t.Helper()
	content := s.Content[d.Digest]
	n := s.parse(t, d)
	var made v1.Descriptor
	if n.Config == nil {
		var idx v1.Index
		must(json.Unmarshal(content, &idx))
		for i, c := range idx.Manifests {
			idx.Manifests[i] = s.repackNode(t, b, c, pack)
		}
		made = b.json(d.MediaType, idx)
	} else {
		var m v1.Manifest
		must(json.Unmarshal(content, &m))
		b.Content[m.Config.Digest] = s.Content[m.Config.Digest]
		for i, l := range m.Layers {
			raw, ok := s.unpack(t, l)
			if !ok {
				raw = s.Content[l.Digest]
			}
			mediaType, packed := l.MediaType, raw
			if strings.Contains(l.MediaType, "tar") {
				mediaType, packed = pack(raw)
			}
			m.Layers[i] = b.blob(mediaType, packed)
		}
		made = b.json(d.MediaType, m)
	}
	made.Platform = d.Platform
	return made
}

// oneRepository has images of all kinds under tags of one repository, so that
// the layers have to be looked for among what is no container image, too.
func (t *holdingTest) oneRepository() {
	set := t.place.Set.Rename(func(n transport.Name) transport.Name {
		i := strings.LastIndex(n.Path, "/") + 1
		n.Path, n.Tag = n.Path[:i]+"all", n.Path[i:]
		return n
	})
	images := t.put(set.repack(t, ways["gzip fast"]))
	want := t.layers(set, set.Resolve(t, t.platform)...)
	if len(want) < 3 {
		t.Fatalf("only %d layers to look for", len(want))
	}
	t.wantFound(t.find(near(images), want), want, upTo(len(want))...)
}

// some looks for layers of one image, for some that are not there, and for one
// of which only the diff id is known.
func (t *holdingTest) some() {
	images := t.put(t.place.Set.Only("plain"))
	own := t.layers(t.place.Set, images...)
	want := []transport.Layer{absent("one"), {DiffID: own[1].DiffID}, absent("two"), own[0], absent("three"), {}}
	t.wantFound(t.find(near(images), want), want, 1, 3)
}

// absent returns a layer that is nowhere.
func absent(s string) transport.Layer {
	return transport.Layer{Digest: digest.FromString(s), Size: int64(len(s)), DiffID: digest.FromString("unpacked " + s)}
}

// twice looks for one layer under several digests, as several bases have it.
func (t *holdingTest) twice() {
	images := t.put(t.place.Set.Only("plain"))
	own := t.layers(t.place.Set, images...)[0]
	other := absent("the same, compressed otherwise")
	other.DiffID = own.DiffID
	want := []transport.Layer{other, own, own, {DiffID: own.DiffID}}
	t.wantFound(t.find(near(images), want), want, 0, 1, 2, 3)
}

func (t *holdingTest) notThere() {
	images := t.put(t.place.Set.Only("plain"))
	t.wantFound(t.find(near(images), []transport.Layer{absent("one"), absent("two")}), nil)
}

func (t *holdingTest) anotherRepository() {
	images := t.put(t.place.Set.Only("plain"))
	want := t.layers(t.place.Set, images...)
	names := near(images)
	other := names[0]
	other.Path += "-no-such-repository"
	t.wantFound(t.find(append([]transport.Name{other}, names...), want), want, upTo(len(want))...)
	if t.place.Whole {
		t.wantFound(t.find([]transport.Name{other}, want), want, upTo(len(want))...)
		t.wantFound(t.find(nil, want), want, upTo(len(want))...)
		return
	}
	t.wantFound(t.find([]transport.Name{other}, want), want)
	t.wantFound(t.find(nil, want), want)
}

func (t *holdingTest) nothing() {
	images := t.put(t.place.Set.Only("plain"))
	t.wantFound(t.find(near(images), nil), nil)
}

func (t *holdingTest) ended() {
	images := t.put(t.place.Set.Only("plain"))
	want := t.layers(t.place.Set, images...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	src := t.open()
	if found, err := src.FindLayers(ctx, near(images), want); !errors.Is(err, context.Canceled) {
		t.Errorf("FindLayers: %v, %v; want context.Canceled", found, err)
	}
	found, err := src.FindLayers(t.Context(), near(images), want)
	if err != nil || len(found) != len(want) {
		t.Fatalf("found %d of %d, %v", len(found), len(want), err)
	}
	for _, f := range found {
		if err := sameLayer(ctx, f, want[f.Index].DiffID); !errors.Is(err, context.Canceled) {
			t.Errorf("Open: %v, want context.Canceled", err)
		}
	}
	t.wantFound(found, want, upTo(len(want))...) // what was broken off can be done again
}

func (t *holdingTest) deleted() {
	images := t.put(t.place.Set.Only("plain"))
	want := t.layers(t.place.Set, images...)
	found, err := t.open().FindLayers(t.Context(), near(images), want)
	if err != nil || len(found) != len(want) {
		t.Fatalf("found %d of %d, %v", len(found), len(want), err)
	}
	t.place.Remove(t.T, images[0])
	for _, f := range found {
		err := sameLayer(t.Context(), f, want[f.Index].DiffID)
		if !errors.Is(err, fault.ErrMissing) || !strings.Contains(err.Error(), f.Digest.String()) || fault.Hint(err) == "" {
			t.Errorf("%v (hint %q), want an ErrMissing that names %s, and a hint", err, fault.Hint(err), f.Digest)
		}
	}
	t.wantFound(t.find(near(images), want), want)
}
