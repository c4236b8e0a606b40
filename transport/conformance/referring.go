package conformance

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"bale/transport"
)

// attached checks what a source says is attached to what it has.
func (t *sourceTest) attached() {
	referrers(t.T, t.src, t.want.Set, t.want.Set.Images, t.want.Set.Attached)
}

// lacking checks that a source lacks nothing of what it has.
func (t *sourceTest) lacking() {
	p := t.src.(transport.Partial)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, img := range t.want.Set.Images {
		for _, d := range t.want.Set.Graph(t, img).Manifests {
			if lacks, err := p.Lacks(t.Context(), img, d); lacks || err != nil {
				t.Errorf("%s lacks %s: %t, %v", img.Name, d.Digest, lacks, err)
			}
			if _, err := p.Lacks(ended, img, d); !errors.Is(err, context.Canceled) {
				t.Errorf("Lacks after the end: %v, want context.Canceled", err)
			}
		}
	}
}

// referrers checks what a source says is attached to all manifests of images and
// of what is attached to them, which are called as they are there.
func referrers(t *testing.T, src transport.Source, set *Set, images []transport.Image, attached []Attached) {
	t.Helper()
	r := src.(transport.Referring)
	images = slices.Clone(images)
	for _, a := range attached {
		images = append(images, a.Image)
	}
	type subject struct {
		img  transport.Image
		desc v1.Descriptor
	}
	var subjects []subject
	seen := make(map[digest.Digest]bool)
	for _, img := range images {
		for _, d := range set.Graph(t, img).Manifests {
			if !seen[d.Digest] {
				seen[d.Digest] = true
				subjects = append(subjects, subject{img, d})
			}
		}
	}
	first, again := make([][]transport.Image, len(subjects)), make([][]transport.Image, len(subjects))
	for i, s := range subjects {
		got, err := r.Referrers(t.Context(), s.img, s.desc)
		if err != nil {
			t.Errorf("%s: what is attached to %s: %v", s.img.Name, s.desc.Digest, err)
			continue
		}
		var want []transport.Image
		for _, a := range attached {
			if a.To == s.desc.Digest {
				want = append(want, a.Image)
			}
		}
		sameLines(t, "attached to "+s.desc.Digest.String()+" of "+s.img.Name.String(), roots(got), roots(want))
		first[i] = got
	}
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(8)
	for i, s := range subjects {
		group.Go(func() (err error) {
			again[i], err = r.Referrers(ctx, s.img, s.desc)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Errorf("from several goroutines: %v", err)
	}
	for i := range subjects {
		if !slices.Equal(names(first[i]), names(again[i])) {
			t.Errorf("asked again, it says\n%v\nafter\n%v", names(again[i]), names(first[i]))
		}
	}
	none := v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromString("no such manifest"), Size: 12}
	if got, err := r.Referrers(t.Context(), subjects[0].img, none); len(got) > 0 || err != nil {
		t.Errorf("what is attached to nothing: %v, %v", got, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Referrers(ended, subjects[0].img, subjects[0].desc); !errors.Is(err, context.Canceled) {
		t.Errorf("Referrers after the end: %v, want context.Canceled", err)
	}
}

// names are the names of images, in their order.
func names(images []transport.Image) []string {
	var list []string
	for _, img := range images {
		list = append(list, img.Name.String())
	}
	return list
}

// planned tells a sink about images as the engine does.
func planned(t *testing.T, p Place) {
	w := newWriter(t, p, p.Set)
	sink := w.sink.(transport.Planning)
	for _, img := range w.images {
		config := p.Set.parse(t, img.Root).Config
		if !transport.IsConfig(config.MediaType) {
			continue
		}
		// Two tags of an image are told one by one.
		for range 2 {
			if err := sink.Plan(t.Context(), img, p.Set.Content[img.Root.Digest], p.Set.Content[config.Digest]); err != nil {
				t.Errorf("%s: %v", img.Name, err)
			}
		}
	}
	w.all()
	p.wantImages(t, w.images)
}
