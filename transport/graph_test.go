package transport_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
)

// sized returns a descriptor with another size.
func sized(d v1.Descriptor, size int64) v1.Descriptor {
	d.Size = size
	return d
}

// other returns a descriptor with another digest.
func other(d v1.Descriptor, s string) v1.Descriptor {
	d.Digest = digest.Digest(s)
	return d
}

func TestLyingManifestsAreRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		root func(l *library) v1.Descriptor
		kind error
	}{
		{"root shorter than it says", func(l *library) v1.Descriptor { d := l.entry(amd64, "x"); return sized(d, d.Size+1) }, fault.ErrDamaged},
		{"root longer than it says", func(l *library) v1.Descriptor { d := l.entry(amd64, "x"); return sized(d, d.Size-1) }, fault.ErrDamaged},
		{"root of no size", func(l *library) v1.Descriptor { return sized(l.entry(amd64, "x"), 0) }, fault.ErrDamaged},
		{"root of less than nothing", func(l *library) v1.Descriptor { return sized(l.entry(amd64, "x"), -1) }, fault.ErrDamaged},
		{"root over the limit", func(l *library) v1.Descriptor { return sized(l.entry(amd64, "x"), transport.MaxManifest+1) }, fault.ErrDamaged},
		{"root over any limit", func(l *library) v1.Descriptor { return sized(l.entry(amd64, "x"), math.MaxInt64) }, fault.ErrDamaged},
		{"root with no digest", func(l *library) v1.Descriptor { return other(l.entry(amd64, "x"), "") }, fault.ErrDamaged},
		{"root with a path as digest", func(l *library) v1.Descriptor { return other(l.entry(amd64, "x"), "sha256:../../etc/passwd") }, fault.ErrDamaged},
		{"root with an unknown algorithm", func(l *library) v1.Descriptor {
			return other(l.entry(amd64, "x"), string(digest.SHA384.FromString("x")))
		}, fault.ErrUnsupported},
		{"root that is not there", func(l *library) v1.Descriptor {
			return other(l.entry(amd64, "x"), string(digest.FromString("no")))
		}, fault.ErrMissing},
		{"root with other bytes", func(l *library) v1.Descriptor {
			d := l.entry(amd64, "x")
			l.Content[d.Digest] = bytes.Replace(l.Content[d.Digest], []byte(`2`), []byte(`3`), 1)
			return d
		}, fault.ErrDamaged},
		{"root with more bytes", func(l *library) v1.Descriptor {
			d := l.entry(amd64, "x")
			l.Content[d.Digest] = append(bytes.Clone(l.Content[d.Digest]), ' ')
			return d
		}, fault.ErrDamaged},
		{"child shorter than it says", func(l *library) v1.Descriptor { d := l.entry(amd64, "x"); return l.index(sized(d, d.Size+1)) }, fault.ErrDamaged},
		{"child over the limit", func(l *library) v1.Descriptor {
			return l.index(sized(l.entry(amd64, "x"), transport.MaxManifest+1))
		}, fault.ErrDamaged},
		{"children over any number together", func(l *library) v1.Descriptor {
			return l.index(sized(l.entry(amd64, "x"), transport.MaxBlob), sized(l.entry(amd64, "y"), transport.MaxBlob))
		}, fault.ErrDamaged},
		{"child that is not there", func(l *library) v1.Descriptor {
			return l.index(other(l.entry(amd64, "x"), string(digest.FromString("no"))))
		}, fault.ErrMissing},
		{"child with two sizes", func(l *library) v1.Descriptor {
			d := l.entry(amd64, "x")
			return l.index(d, sized(d, d.Size+1))
		}, fault.ErrDamaged},
		{"child of two types", func(l *library) v1.Descriptor {
			d := l.json(v1.MediaTypeImageManifest, map[string]any{"config": l.blob(v1.MediaTypeImageConfig, []byte("{}"))})
			docker := d
			docker.MediaType = transport.DockerManifest
			return l.index(d, docker)
		}, fault.ErrDamaged},
		{"layer with two sizes", func(l *library) v1.Descriptor {
			return l.image(amd64, l.layer("x"), sized(l.layer("x"), 7))
		}, fault.ErrDamaged},
		{"config that is a layer of another size", func(l *library) v1.Descriptor {
			c := l.blob(v1.MediaTypeImageConfig, []byte("{}"))
			return l.json(v1.MediaTypeImageManifest, v1.Manifest{Config: c, Layers: []v1.Descriptor{sized(c, 3)}})
		}, fault.ErrDamaged},
		{"layer over any number", func(l *library) v1.Descriptor { return l.image(amd64, sized(l.layer("x"), math.MaxInt64)) }, fault.ErrDamaged},
		{"index among the layers", func(l *library) v1.Descriptor {
			return l.json(v1.MediaTypeImageIndex, map[string]any{"layers": []v1.Descriptor{l.layer("x")}, "manifests": []v1.Descriptor{}})
		}, fault.ErrDamaged},
	} {
		lib := newLibrary(t)
		root := c.root(lib)
		wantRefused(t, c.name, lib, c.kind, transport.Image{Name: name(t, team+"/app:1"), Root: root})
	}
}

// A blob's content is only known when it is read; a lie must come out then.
func TestLyingBlobsAreNotCommitted(t *testing.T) {
	for _, c := range []struct {
		name string
		lie  func(d v1.Descriptor) v1.Descriptor
		kind error
	}{
		{"shorter than it says", func(d v1.Descriptor) v1.Descriptor { return sized(d, d.Size+1) }, fault.ErrDamaged},
		{"longer than it says", func(d v1.Descriptor) v1.Descriptor { return sized(d, d.Size-1) }, fault.ErrDamaged},
		{"no size", func(d v1.Descriptor) v1.Descriptor { return sized(d, 0) }, fault.ErrDamaged},
		{"far shorter than it says", func(d v1.Descriptor) v1.Descriptor { return sized(d, transport.AheadBytes) }, fault.ErrDamaged},
		{"streamed, far shorter than it says", func(d v1.Descriptor) v1.Descriptor { return sized(d, transport.AheadBytes+1) }, fault.ErrDamaged},
		{"as large as may be", func(d v1.Descriptor) v1.Descriptor { return sized(d, transport.MaxBlob) }, fault.ErrDamaged},
		{"not there", func(d v1.Descriptor) v1.Descriptor { return other(d, string(digest.FromString("no"))) }, fault.ErrMissing},
	} {
		for _, p := range ways {
			t.Run(c.name+"/"+p.name, func(t *testing.T) {
				lib := newLibrary(t)
				bad := c.lie(lib.layer("bad"))
				img := lib.name(team+"/app:1", lib.image(amd64, lib.layer("good"), bad))
				s := newSpy(p)
				_, err := transport.Copy(t.Context(), all(s.source(lib.Source()), img), discard{s}, transport.Options{SpoolDir: t.TempDir()})
				var side *transport.Error
				if !errors.Is(err, c.kind) || !errors.As(err, &side) || side.Side != transport.AtSource || side.Object != bad.Digest.String() {
					t.Errorf("%v, want %v of the source's %s", err, c.kind, bad.Digest)
				}
				if s.committed != nil {
					t.Error("committed")
				}
			})
		}
	}
}

// A source that has an index which contains itself must be lying about bytes.
func TestIndexThatContainsItself(t *testing.T) {
	lib := newLibrary(t)
	root := lib.index(lib.entry(amd64, "x"))
	self := lib.index(root)
	lib.Content[root.Digest] = append(bytes.Clone(lib.Content[self.Digest]), bytes.Repeat([]byte(" "), int(root.Size))...)[:root.Size]
	wantRefused(t, "index that contains itself", lib, fault.ErrDamaged, lib.name(team+"/app:1", root))
}

// chain nests a manifest in so many indexes.
func chain(l *library, d v1.Descriptor, indexes int) []v1.Descriptor {
	list := []v1.Descriptor{d}
	for range indexes {
		d = l.index(d)
		list = append(list, d)
	}
	return list
}

func TestDepthIsBounded(t *testing.T) {
	lib := newLibrary(t)
	deepest := chain(lib, lib.entry(amd64, "x"), transport.MaxDepth+1)
	img := lib.name(team+"/deep:1", deepest[transport.MaxDepth])
	var place conformance.Memory
	_, err := transport.Copy(t.Context(), all(lib.Source(), img), place.Sink(), transport.Options{})
	must(t, err)
	wantWhole(t, &place, &lib.Set, img)

	wantRefused(t, "one deeper", lib, fault.ErrDamaged, lib.name(team+"/deeper:1", deepest[transport.MaxDepth+1]))
	// Listed from the top as well, each is known before it is found deep down.
	flat := lib.index(deepest[:transport.MaxDepth+1]...)
	wantRefused(t, "one deeper, but known", lib, fault.ErrDamaged, lib.name(team+"/flat:1", flat))
	long := chain(lib, lib.entry(amd64, "y"), 2000)
	var s spy
	if _, err := transport.Copy(t.Context(), all(s.source(lib.Source()), lib.name(team+"/long:0", long[2000])), discard{&s}, transport.Options{}); !errors.Is(err, fault.ErrDamaged) {
		t.Errorf("very deep: %v, want an ErrDamaged", err)
	}
	if n := len(s.of("manifest")); n > transport.MaxDepth+1 {
		t.Errorf("very deep: %d manifests were read", n)
	}
	wantRefused(t, "very deep, but known", lib, fault.ErrDamaged, lib.name(team+"/long:1", lib.index(long...)))
}

// Indexes that repeat what is under them are small and would be huge unfolded.
func TestRepeatedChildrenAreReadOnce(t *testing.T) {
	lib := newLibrary(t)
	d := lib.entry(amd64, "x")
	for range transport.MaxDepth {
		d = lib.index(slices.Repeat([]v1.Descriptor{d}, 200)...)
	}
	img := lib.name(team+"/app:1", d)
	var s spy
	var place conformance.Memory
	_, err := transport.Copy(t.Context(), all(s.source(lib.Source()), img, lib.name(team+"/app:2", d)), s.sink(&place), transport.Options{})
	must(t, err)
	if n := len(s.of("manifest")); n != transport.MaxDepth+1 {
		t.Errorf("%d manifests were asked for, want %d", n, transport.MaxDepth+1)
	}
	if n := len(s.of("write manifest")); n != transport.MaxDepth+1 {
		t.Errorf("%d manifests were written, want %d", n, transport.MaxDepth+1)
	}
	if len(s.committed) != 2 || s.committed[0].Root.Digest != img.Root.Digest {
		t.Errorf("committed %v", s.committed)
	}
}

// All manifests of a run are kept, so all together are bounded.
func TestManifestsAreBoundedTogether(t *testing.T) {
	lib := newLibrary(t)
	const size, fit = transport.MaxManifest - 1000, transport.MaxManifests / (transport.MaxManifest - 1000)
	config := lib.blob(v1.MediaTypeImageConfig, []byte("{}"))
	pad := bytes.Repeat([]byte(" "), size)
	var list []v1.Descriptor
	for i := range fit + 1 {
		head := fmt.Appendf(nil, `{"config":{"digest":%q,"size":2},"n":%d}`, config.Digest, i)
		list = append(list, lib.blob(v1.MediaTypeImageManifest, append(head, pad[len(head):]...)))
	}
	good := lib.name(team+"/good:1", lib.index(list[:fit]...))
	_, err := transport.Copy(t.Context(), all(lib.Source(), good), (&conformance.Memory{}).Sink(), transport.Options{})
	must(t, err)
	// The bound is on all images of the run together.
	one := lib.name(team+"/one:1", list[fit])
	_, err = transport.Copy(t.Context(), all(lib.Source(), good, one), (&conformance.Memory{}).Sink(), transport.Options{})
	if !errors.Is(err, fault.ErrDamaged) {
		t.Errorf("%v, want an ErrDamaged", err)
	}
}

// Whatever ends planning, nothing goes on reading from the source.
func TestNothingIsReadAfterPlanningFailed(t *testing.T) {
	for _, bad := range []v1.Descriptor{
		{MediaType: v1.MediaTypeImageManifest, Digest: "no digest", Size: 1},                             // refused at once
		{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromString("no"), Size: math.MaxInt64},     // over all limits
		{MediaType: "application/vnd.example", Digest: digest.FromString("no"), Size: math.MaxInt64 / 2}, // of no known type
	} {
		synctest.Test(t, func(t *testing.T) {
			lib := newLibrary(t)
			slow := lib.name(team+"/slow:1", lib.entry(amd64, "x"))
			s := spy{on: func(ctx context.Context, c call) error {
				if c.op == "manifest" && c.digest == slow.Root.Digest {
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			}}
			img := transport.Image{Name: name(t, team+"/bad:1"), Root: bad}
			_, err := transport.Copy(lasting(t), all(s.source(lib.Source()), slow, img), s.sink(&conformance.Memory{}), transport.Options{})
			synctest.Wait()
			if err == nil || errors.Is(err, context.Canceled) {
				t.Errorf("%v, want the reason", err)
			}
			if begun, ended := s.when("manifest", slow.Root.Digest); begun >= 0 && ended < 0 {
				t.Error("the source is still in use")
			}
		}) // which fails if a goroutine is left
	}
}

// All that is not there is told, not just the first of it.
func TestAllThatIsMissingIsTold(t *testing.T) {
	lib := newLibrary(t)
	gone := func(s string) v1.Descriptor {
		d := lib.entry(amd64, s)
		delete(lib.Content, d.Digest)
		return d
	}
	one, two, three := gone("one"), gone("two"), gone("three")
	images := []transport.Image{lib.name(team+"/a:1", one), lib.name(team+"/b:1", lib.entry(amd64, "there")), lib.name(team+"/c:1", lib.index(two, three))}
	var place conformance.Memory
	_, err := transport.Copy(t.Context(), all(lib.Source(), images...), place.Sink(), transport.Options{})
	if !errors.Is(err, fault.ErrMissing) {
		t.Fatalf("%v, want an ErrMissing", err)
	}
	for _, d := range []v1.Descriptor{one, two, three} {
		if !strings.Contains(err.Error(), d.Digest.String()) {
			t.Errorf("%s is not told: %v", d.Digest, err)
		}
	}
	wantEmpty(t, &place)
}

// Manifests are asked for side by side, but not all at once.
func TestManifestsAreReadSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lib := newLibrary(t)
		var list []v1.Descriptor
		for i := range 50 {
			list = append(list, lib.entry(amd64, fmt.Sprint(i)))
		}
		img := lib.name(team+"/app:1", lib.index(list...))
		release := make(chan struct{})
		s := spy{on: func(ctx context.Context, c call) error {
			if c.op == "manifest" && c.digest != img.Root.Digest {
				<-release
			}
			return nil
		}}
		done := make(chan error)
		go func() {
			_, err := transport.Copy(lasting(t), all(s.source(lib.Source()), img), s.sink(&conformance.Memory{}), transport.Options{})
			done <- err
		}()
		synctest.Wait() // until all that can wait is waiting
		close(release)
		must(t, <-done)
		if n := s.most["manifest"]; n < 2 || n > 8 {
			t.Errorf("%d manifests at a time", n)
		}
	})
}
