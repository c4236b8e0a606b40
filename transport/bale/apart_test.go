package bale_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle"
	"bale/bundle/index"
	"bale/transport"
	"bale/transport/bale"
	"bale/transport/conformance"
)

// apart returns which blobs of a bundle were taken apart.
func apart(o *opened) []digest.Digest {
	var out []digest.Digest
	for _, b := range o.r.Index().Blobs {
		if b.Recipe == index.Deflate {
			out = append(out, b.Digest)
		}
	}
	return out
}

// Layers that are worth it are taken apart, and come out as they were.
func TestTakenApart(t *testing.T) {
	set := conformance.New(t, team)
	kept, path := saved(t, set), savedApart(t, set)
	if got := apart(mustOpen(t, kept)); len(got) > 0 {
		t.Errorf("%v are taken apart without being asked", got)
	}
	src := mustOpen(t, path)
	layers := set.Graph(t, set.Images...).Layers
	largest := slices.MaxFunc(layers, func(a, b v1.Descriptor) int { return int(a.Size - b.Size) })
	if got := apart(src); !slices.Equal(got, []digest.Digest{largest.Digest}) {
		t.Errorf("%v are taken apart, want %s", got, largest.Digest)
	}
	wantWhole(t, src, set, set.Images...)
	small, err := os.Stat(path)
	must(t, err)
	large, err := os.Stat(kept)
	must(t, err)
	if small.Size() > large.Size()*7/10 {
		t.Errorf("%d bytes taken apart, %d as they came", small.Size(), large.Size())
	}

	// Unpacked without being rebuilt, it is what it decompresses to.
	z, err := gzip.NewReader(bytes.NewReader(set.Content[largest.Digest]))
	must(t, err)
	want, err := io.ReadAll(z)
	must(t, err)
	if size, ok := src.RawSize(largest); !ok || size != int64(len(want)) {
		t.Errorf("%d bytes unpacked (%t), want %d", size, ok, len(want))
	}
	rc, err := src.OpenRaw(t.Context(), set.Images[0], largest)
	must(t, err)
	defer func() { _ = rc.Close() }()
	if got, err := io.ReadAll(rc); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d other bytes, %v", len(got), err)
	}
	for _, d := range layers {
		if _, ok := src.RawSize(d); ok && d.Digest != largest.Digest {
			t.Errorf("%s is not taken apart, but has a raw size", d.Digest)
		}
	}
}

// The same images give the same bytes, whoever is fast or slow and however many
// are looked at side by side.
func TestTakenApartSameBytes(t *testing.T) {
	set := manyLayers(t)
	var want []byte
	for seed := range uint64(2) {
		for _, n := range []int{1, 3} {
			synctest.Test(t, func(t *testing.T) {
				o := fixed(filepath.Join(t.TempDir(), "images.bale"))
				o.Writer.Workers = n
				o.Preparer = &bundle.Preparer{Workers: n}
				src := slow{set.Source(), new(sync.Mutex), rand.New(rand.NewPCG(seed, 1))}
				_, err := save(t.Context(), o, src, set.Images, transport.Options{Downloads: n, Uploads: n, Workers: n, SpoolDir: t.TempDir()})
				must(t, err)
				got, err := os.ReadFile(o.Path)
				must(t, err)
				if want == nil {
					want = got
				}
				if !bytes.Equal(got, want) {
					t.Errorf("seed %d, %d at a time: other bytes", seed, n)
				}
			})
		}
	}
}

// manyLayers is one image of layers that are worth being taken apart, and that
// share most of what is in them.
func manyLayers(t *testing.T) *conformance.Set {
	t.Helper()
	r := newRaw(t)
	noise := make([]byte, 40<<10)                  // more than gzip looks back
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise) // never fails
	var layers []v1.Descriptor
	for i := range 6 {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, err := z.Write(slices.Concat([]byte{byte(i)}, noise, noise))
		must(t, err)
		must(t, z.Close())
		layers = append(layers, r.blob(v1.MediaTypeImageLayerGzip, b.Bytes()))
	}
	root := r.manifest(layers...)
	name, err := transport.ParseName(team + "/many:1")
	must(t, err)
	return &conformance.Set{Images: []transport.Image{{Name: name, Root: root}}, Content: r.content}
}

// Whatever ends it while layers are taken apart, nothing is left of it.
func TestNothingIsLeftOfTakingApart(t *testing.T) {
	set := manyLayers(t)
	layers := set.Graph(t, set.Images...).Layers
	for name, at := range map[string]int{"first": 0, "third": 2, "last": len(layers) - 1} {
		for _, cancels := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					dir, scratch := t.TempDir(), t.TempDir()
					ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
					defer cancel()
					f, want := conformance.FailRead(layers[at].Digest, 1000), conformance.ErrInjected
					if cancels {
						f, want = conformance.Hook(layers[at].Digest, 1000, cancel), context.Canceled
					}
					o := fixed(filepath.Join(dir, "images.bale"))
					o.Preparer = &bundle.Preparer{Scratch: scratch}
					_, err := save(ctx, o, conformance.Inject(t, set.Source(), f), set.Images, transport.Options{SpoolDir: scratch})
					synctest.Wait()
					if !errors.Is(err, want) {
						t.Errorf("%v, want %v", err, want)
					}
					if left := append(ls(t, dir), ls(t, scratch)...); len(left) > 0 {
						t.Errorf("left over: %v", left)
					}
					files, _ := filepath.Glob("/proc/self/fd/*")
					for _, fd := range files {
						if to, err := os.Readlink(fd); err == nil && (strings.HasPrefix(to, dir) || strings.HasPrefix(to, scratch)) {
							t.Errorf("still open: %s", to)
						}
					}
				})
			})
		}
	}
}

// It counts what was taken apart.
func TestApartIsCounted(t *testing.T) {
	set := manyLayers(t)
	o := fixed(filepath.Join(t.TempDir(), "images.bale"))
	o.Preparer = &bundle.Preparer{}
	sink, err := bale.NewSink(o)
	must(t, err)
	defer func() { must(t, sink.Close()) }()
	img := set.Images[0]
	_, err = transport.Copy(t.Context(), []transport.Request{{Source: set.Source(), Image: img, Target: img.Name}}, sink,
		transport.Options{SpoolDir: t.TempDir(), Planned: func(p *transport.Plan) error { return sink.Start(t.Context(), p) }})
	must(t, err)
	if n := sink.Apart(); n != 6 {
		t.Errorf("%d blobs were taken apart, want 6", n)
	}
}
