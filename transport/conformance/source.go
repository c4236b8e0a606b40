package conformance

import (
	"bytes"
	"context"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"bale/bundle/fault"
	"bale/transport"
)

// Want is what a source must answer.
type Want struct {
	// Set is all that the place holds, under the names that it uses. Its Images are
	// what it lists.
	Set *Set
	// NoList is set if the place cannot list itself.
	NoList bool
	// Select holds further selectors and the full names of what they find.
	Select map[string]string
}

// Source tests a source. Each call of open returns a new one over the same
// place; the suite closes it.
func Source(t *testing.T, open func(t *testing.T) transport.Source, want Want) {
	t.Helper()
	if want.Set == nil || len(want.Set.Images) == 0 {
		t.Fatal("the suite needs images to ask for")
	}
	type test struct {
		name string
		test func(*sourceTest)
	}
	tests := []test{
		{"list", (*sourceTest).list},
		{"select", (*sourceTest).choose},
		{"absent name", (*sourceTest).absentName},
		{"absent content", (*sourceTest).absentContent},
		{"content", (*sourceTest).content},
		{"content by many at once", (*sourceTest).concurrent},
		{"stream left early", (*sourceTest).leftEarly},
		{"ended context", (*sourceTest).ended},
		{"context that ends in mid-stream", (*sourceTest).endsMidway},
	}
	first := open(t)
	if _, ok := first.(transport.RawLayers); ok {
		tests = append(tests, test{"unpacked layers", (*sourceTest).raw})
	}
	if _, ok := first.(transport.Referring); ok {
		tests = append(tests, test{"what is attached", (*sourceTest).attached})
	}
	if _, ok := first.(transport.Partial); ok {
		tests = append(tests, test{"what is lacking", (*sourceTest).lacking})
	}
	if err := first.Close(); err != nil {
		t.Errorf("Close of an unused source: %v", err)
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			src := open(t)
			defer func() {
				if err := src.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}()
			c.test(&sourceTest{T: t, src: src, want: want})
		})
	}
}

type sourceTest struct {
	*testing.T
	src  transport.Source
	want Want
}

func (t *sourceTest) list() {
	ctx := t.Context()
	got, err := t.src.Images(ctx, "")
	if t.want.NoList {
		if !errors.Is(err, fault.ErrUsage) {
			t.Fatalf(`Images("") = %v, %v; want an ErrUsage`, got, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	again, err := t.src.Images(ctx, "")
	if err != nil || !reflect.DeepEqual(got, again) {
		t.Errorf("a second listing differs: %v, %v", again, err)
	}
	if g, w := roots(got), roots(t.want.Set.Images); !slices.Equal(g, w) {
		t.Errorf("listed\n%s\nwant\n%s", strings.Join(g, "\n"), strings.Join(w, "\n"))
	}
}

func (t *sourceTest) choose() {
	find := func(selector string, want transport.Image) {
		t.Helper()
		got, err := t.src.Images(t.Context(), selector)
		if err != nil {
			t.Errorf("Images(%q): %v", selector, err)
			return
		}
		if g, w := roots(got), roots([]transport.Image{want}); !slices.Equal(g, w) {
			t.Errorf("Images(%q) found %v, want %v", selector, g, w)
		}
	}
	for _, img := range t.want.Set.Images {
		find(img.Name.String(), img)
	}
	for selector, name := range t.want.Select {
		i := slices.IndexFunc(t.want.Set.Images, func(img transport.Image) bool { return img.Name.String() == name })
		if i < 0 {
			t.Fatalf("selector %q: the set has no %q", selector, name)
		}
		find(selector, t.want.Set.Images[i])
	}
}

func (t *sourceTest) absentName() {
	n := t.want.Set.Images[0].Name
	n.Digest = ""
	n.Tag = "no-such-tag"
	wantMissing(t.T, "another tag", func() error { _, err := t.src.Images(t.Context(), n.String()); return err })
	n.Path += "-no-such-repository"
	wantMissing(t.T, "another repository", func() error { _, err := t.src.Images(t.Context(), n.String()); return err })
}

func (t *sourceTest) absentContent() {
	img := t.want.Set.Images[0]
	d := v1.Descriptor{MediaType: v1.MediaTypeImageLayerGzip, Digest: digest.FromString("no such blob"), Size: 12}
	wantMissing(t.T, "blob", func() error {
		rc, err := t.src.Blob(t.Context(), img, d)
		if err != nil {
			return err
		}
		defer func() { _ = rc.Close() }()
		_, err = io.Copy(io.Discard, rc)
		return err
	})
	d.MediaType = v1.MediaTypeImageManifest
	wantMissing(t.T, "manifest", func() error { _, err := t.src.Manifest(t.Context(), img, d); return err })
}

func (t *sourceTest) content() {
	g := t.want.Set.Graph(t, t.want.Set.Images...)
	for _, d := range g.Manifests {
		for _, img := range g.Owners[d.Digest] {
			if err := sameManifest(t.Context(), t.src, t.want.Set, img, d); err != nil {
				t.Error(err)
			}
		}
	}
	for _, d := range g.Blobs() {
		rc, err := t.src.Blob(t.Context(), g.Owners[d.Digest][0], d)
		if err != nil {
			t.Errorf("blob %s: %v", d.Digest, err)
			continue
		}
		if err := iotest.TestReader(rc, t.want.Set.Content[d.Digest]); err != nil {
			t.Errorf("blob %s: %v", d.Digest, err)
		}
		if err := rc.Close(); err != nil {
			t.Errorf("blob %s: close: %v", d.Digest, err)
		}
	}
}

func (t *sourceTest) concurrent() {
	g := t.want.Set.Graph(t, t.want.Set.Images...)
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(16)
	for range 3 {
		for _, img := range t.want.Set.Images {
			group.Go(func() error { _, err := t.src.Images(ctx, img.Name.String()); return err })
		}
		for _, d := range g.Manifests {
			group.Go(func() error { return sameManifest(ctx, t.src, t.want.Set, g.Owners[d.Digest][0], d) })
		}
		for _, d := range g.Blobs() {
			for _, img := range g.Owners[d.Digest] {
				group.Go(func() error { return sameBlob(ctx, t.src, t.want.Set, img, d) })
			}
		}
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

func (t *sourceTest) leftEarly() {
	img, d := t.largest()
	rc, err := t.src.Blob(t.Context(), img, d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(rc, make([]byte, 10)); err != nil {
		t.Error(err)
	}
	_ = rc.Close() // a stream that is cut off may complain
	if err := sameBlob(t.Context(), t.src, t.want.Set, img, d); err != nil {
		t.Errorf("opened again: %v", err)
	}
}

func (t *sourceTest) ended() {
	img, d := t.largest()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for what, err := range map[string]error{
		"Images": func() error { _, err := t.src.Images(ctx, img.Name.String()); return err }(),
		"Manifest": func() error {
			_, err := t.src.Manifest(ctx, img, img.Root)
			return err
		}(),
		"Blob": sameBlob(ctx, t.src, t.want.Set, img, d),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", what, err)
		}
	}
}

// endsMidway allows a source to finish from what it has in memory, but never
// to pass a part off as the whole.
func (t *sourceTest) endsMidway() {
	img, d := t.largest()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rc, err := t.src.Blob(ctx, img, d)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rc.Close() }()
	head := make([]byte, 10)
	if _, err := io.ReadFull(rc, head); err != nil {
		t.Fatal(err)
	}
	cancel()
	rest, err := io.ReadAll(rc)
	switch {
	case errors.Is(err, context.Canceled):
	case err != nil:
		t.Errorf("%v, want context.Canceled", err)
	case !bytes.Equal(append(head, rest...), t.want.Set.Content[d.Digest]):
		t.Errorf("%d of %d bytes and no error", len(head)+len(rest), d.Size)
	}
}

// largest returns the largest layer and an image that it belongs to.
func (t *sourceTest) largest() (transport.Image, v1.Descriptor) {
	t.Helper()
	g := t.want.Set.Graph(t, t.want.Set.Images...)
	d := slices.MaxFunc(g.Layers, func(a, b v1.Descriptor) int { return int(a.Size - b.Size) })
	return g.Owners[d.Digest][0], d
}
