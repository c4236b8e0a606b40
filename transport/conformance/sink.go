package conformance

import (
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"bale/transport"
)

// Sink tests a sink. Each call of fresh gives an empty place of its own.
func Sink(t *testing.T, fresh func(t *testing.T) Place) {
	t.Helper()
	type test struct {
		name string
		run  func(t *testing.T, p Place)
	}
	tests := []test{
		{"write", write},
		{"content asked for", ask},
		{"blob of two images", twoOwners},
		{"no commit", noCommit},
		{"image that was not written", notWritten},
		{"closed twice", closedTwice},
		{"ended context", endedContext},
		{"context that ends in mid-stream", endsMidStream},
		{"failing openers", failingOpeners},
		{"there and back", thereAndBack},
		{"one platform", onePlatform},
	}
	p := fresh(t)
	s := p.Sink(t)
	props := s.Properties()
	if p, ok := s.(transport.Preparing); ok && p.Prepares(v1.Descriptor{MediaType: v1.MediaTypeImageLayerGzip, Size: bigFile}) {
		tests = append(tests, []test{
			{"prepared", prepared}, {"prepared in vain", preparedInVain}, {"prepared badly", preparedBadly},
		}...)
	}
	if _, ok := s.(transport.Unpacking); ok {
		tests = append(tests, []test{{"unpacked", unpacked}, {"unpacked badly", unpackedBadly}}...)
	}
	if _, ok := s.(transport.Planning); ok {
		tests = append(tests, test{"planned", planned})
	}
	if p.Remove != nil && props.Platform == nil {
		tests = append(tests, test{"layer that went missing", lostLayer})
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close of an unused sink: %v", err)
	}
	p.wantClean(t)
	if slices.ContainsFunc(p.Set.Graph(t, p.Set.Images...).Layers, isEmpty) {
		tests = append(tests, test{"zero bytes", zeroBytes})
	}
	if !props.Ordered {
		tests = append(tests, test{"many at once", manyAtOnce})
	}
	if !p.Anew {
		tests = append(tests, []test{
			{"write again", again}, {"replace", replace}, {"no commit keeps the old", keepsOld}, {"images that are held", held},
		}...)
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) { c.run(t, fresh(t)) })
	}
	t.Run("opener that fails once", func(t *testing.T) { failsOnce(t, fresh) })
}

func write(t *testing.T, p Place) {
	w := newWriter(t, p, p.Set)
	w.blobs()
	w.manifests()
	p.wantNone(t, w.images)
	w.commit()
	w.Close()
	p.wantImages(t, w.images)
	p.wantClean(t)
}

// ask checks that a sink knows what it has not got.
func ask(t *testing.T, p Place) {
	w := newWriter(t, p, p.Set)
	none := v1.Descriptor{MediaType: v1.MediaTypeImageLayerGzip, Digest: digest.FromString("no such blob"), Size: 12}
	w.graph.Owners[none.Digest] = w.images
	for _, d := range append(w.graph.Blobs(), none) {
		if w.has(d) {
			t.Errorf("Has %s: true at an empty place", d.Digest)
		}
	}
	for _, img := range w.images {
		if ok, err := w.sink.Holds(t.Context(), img, p.Set.Content[img.Root.Digest]); ok || err != nil {
			t.Errorf("Holds %s: %t, %v at an empty place", img.Name, ok, err)
		}
	}
	w.blobs()
	if w.has(none) {
		t.Error("Has: true for a blob that was never written")
	}
	w.manifests()
	w.commit()
	w.Close()
	p.wantImages(t, w.images)
}

func twoOwners(t *testing.T, p Place) {
	w := newWriter(t, p, p.Set.Only("plain", "shared"))
	if len(w.images) != 2 || !slices.ContainsFunc(w.graph.Layers, func(d v1.Descriptor) bool { return len(w.graph.Owners[d.Digest]) == 2 }) {
		t.Fatal("the set has no two images with a layer in common")
	}
	w.all()
	p.wantImages(t, w.images)
}

func noCommit(t *testing.T, p Place) {
	w := newWriter(t, p, p.Set)
	w.blobs()
	w.manifests()
	w.wantFailed()

	w = newWriter(t, p, p.Set)
	w.all()
	p.wantImages(t, w.images)
}

func notWritten(t *testing.T, p Place) {
	w := newWriter(t, p, p.Set.Only("plain"))
	if err := w.sink.Commit(t.Context(), w.images); err == nil {
		t.Error("Commit named an image that was never written")
	}
	w.wantFailed()
}

func closedTwice(t *testing.T, p Place) {
	w := newWriter(t, p, p.Set.Only("plain"))
	w.all()
	_ = w.sink.Close() // may complain, but must not undo
	p.wantImages(t, w.images)
}

func zeroBytes(t *testing.T, p Place) {
	w := newWriter(t, p, p.Set.Only("artifact"))
	if !slices.ContainsFunc(w.graph.Layers, isEmpty) {
		t.Fatal("the artifact has no zero-byte blob")
	}
	w.all()
	p.wantImages(t, w.images)
}

func isEmpty(d v1.Descriptor) bool { return d.Size == 0 }

func manyAtOnce(t *testing.T, p Place) {
	w := newWriter(t, p, p.Set)
	var layers, configs errgroup.Group
	for _, d := range w.graph.Layers {
		layers.Go(func() error { return w.blob(t.Context(), d) })
	}
	if err := layers.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, d := range w.graph.Configs {
		configs.Go(func() error { return w.blob(t.Context(), d) })
		configs.Go(func() error { _, err := w.sink.Has(t.Context(), d, w.graph.Owners[d.Digest]); return err })
	}
	if err := configs.Wait(); err != nil {
		t.Fatal(err)
	}
	w.manifests()
	w.commit()
	w.Close()
	p.wantImages(t, w.images)
}

func again(t *testing.T, p Place) {
	newWriter(t, p, p.Set).all()
	w := newWriter(t, p, p.Set)
	for _, d := range w.graph.Blobs() {
		if p.Remembers && !w.has(d) {
			t.Errorf("Has %s: false after a run that wrote it", d.Digest)
		}
		// Writing what is there already does no harm.
		if err := w.blob(t.Context(), d); err != nil {
			t.Errorf("WriteBlob %s: %v", d.Digest, err)
		}
	}
	w.manifests()
	w.commit()
	w.Close()
	p.wantImages(t, w.images)
	p.wantClean(t)
}

// other returns the images of p under each other's names: shared is called
// plain, plain shared.
func other(t *testing.T, p Place) *Set {
	t.Helper()
	s := p.Set.Only("plain", "shared")
	plain, shared := s.Image(t, "plain").Name, s.Image(t, "shared").Name
	return s.Rename(func(n transport.Name) transport.Name {
		if n == plain {
			return shared
		}
		return plain
	})
}

func replace(t *testing.T, p Place) {
	first := newWriter(t, p, p.Set)
	first.all()
	w := newWriter(t, p, other(t, p))
	w.all()
	p.wantImages(t, w.images)
	for _, img := range first.images {
		if !slices.ContainsFunc(w.images, func(o transport.Image) bool { return o.Name == img.Name }) {
			p.wantImages(t, []transport.Image{img})
		}
	}
}

func keepsOld(t *testing.T, p Place) {
	first := newWriter(t, p, p.Set)
	first.all()
	w := newWriter(t, p, other(t, p))
	w.blobs()
	w.manifests()
	p.wantImages(t, first.images)
	w.Close()
	p.wantImages(t, first.images)
	p.wantClean(t)
}

// held gives images that the place says it holds another tag, without writing
// anything.
func held(t *testing.T, p Place) {
	newWriter(t, p, p.Set).all()
	w := newWriter(t, p, p.Set.Rename(func(n transport.Name) transport.Name {
		n.Tag = "2.0"
		return n
	}))
	w.images = slices.DeleteFunc(w.images, func(img transport.Image) bool {
		ok, err := w.sink.Holds(t.Context(), img, p.Set.Content[img.Root.Digest])
		if err != nil {
			t.Errorf("Holds %s: %v", img.Name, err)
		}
		return !ok
	})
	if len(w.images) == 0 {
		return // a place that cannot tell may always say no
	}
	w.commit()
	w.Close()
	p.wantImages(t, w.images)
}
