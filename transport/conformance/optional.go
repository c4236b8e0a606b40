package conformance

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
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

// unpack returns what a layer of the set unpacks to; ok is false for one that
// is not compressed.
func (s *Set) unpack(t testing.TB, d v1.Descriptor) (raw []byte, ok bool) {
	t.Helper()
	if !strings.HasSuffix(d.MediaType, "gzip") {
		return nil, false
	}
	z, err := gzip.NewReader(bytes.NewReader(s.Content[d.Digest]))
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	return raw, true
}

// raw checks layers that a source has unpacked.
func (t *sourceTest) raw() {
	src := t.src.(transport.RawLayers)
	if l, ok := t.src.(transport.Local); !ok || !l.Local() {
		t.Error("only a local source may have layers unpacked")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	g := t.want.Set.Graph(t, t.want.Set.Images...)
	for _, d := range append(g.Blobs(), g.Manifests...) {
		size, ok := src.RawSize(d)
		if !ok {
			continue
		}
		img := g.Owners[d.Digest][0]
		want, packed := t.want.Set.unpack(t, d)
		if !packed || size != int64(len(want)) {
			t.Errorf("%s: %d bytes unpacked, want %d (compressed: %t)", d.Digest, size, len(want), packed)
			continue
		}
		rc, err := src.OpenRaw(t.Context(), img, d)
		if err != nil {
			t.Errorf("%s: %v", d.Digest, err)
			continue
		}
		if err := iotest.TestReader(rc, want); err != nil {
			t.Errorf("%s: %v", d.Digest, err)
		}
		if err := rc.Close(); err != nil {
			t.Errorf("%s: close: %v", d.Digest, err)
		}
		rc, err = src.OpenRaw(ended, img, d)
		if err == nil {
			_, err = io.Copy(io.Discard, rc)
			_ = rc.Close()
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", d.Digest, err)
		}
	}
	none := v1.Descriptor{MediaType: v1.MediaTypeImageLayerGzip, Digest: digest.FromString("no such blob"), Size: 12}
	if _, ok := src.RawSize(none); ok {
		t.Error("it has a size for a layer that is not there")
	}
	if rc, err := src.OpenRaw(t.Context(), g.Owners[g.Layers[0].Digest][0], none); err == nil {
		_ = rc.Close()
		t.Error("it opens a layer that is not there")
	}
}

// prepare lets the sink prepare a blob if it wants to.
func (w *writer) prepare(ctx context.Context, d v1.Descriptor) error {
	p := w.sink.(transport.Preparing)
	if !p.Prepares(d) {
		return nil
	}
	return p.Prepare(ctx, d, w.opener(d))
}

// prepared prepares everything, many at once, before anything is written.
func prepared(t *testing.T, p Place) {
	w := newWriter(t, p, p.Set)
	if !w.props.Ordered {
		t.Error("only a sink that is ordered may prepare")
	}
	group, ctx := errgroup.WithContext(t.Context())
	for _, d := range w.graph.Blobs() {
		group.Go(func() error { return w.prepare(ctx, d) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := w.streams.Load(); n != 0 {
		t.Errorf("%d streams are open after all was prepared", n)
	}
	w.all()
	p.wantImages(t, w.images)
	p.wantClean(t)
}

// preparedInVain prepares blobs that are never written.
func preparedInVain(t *testing.T, p Place) {
	w := newWriter(t, p, p.Set)
	for _, d := range w.graph.Blobs() {
		if err := w.prepare(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	w.wantFailed()
}

// preparedBadly prepares a blob that cannot be read, or whose content goes on
// after the context has ended.
func preparedBadly(t *testing.T, p Place) {
	set := p.Set.Only("plain")
	victim := slices.MaxFunc(set.Graph(t, set.Images...).Layers, func(a, b v1.Descriptor) int { return int(a.Size - b.Size) })
	for name, c := range map[string]struct {
		fault *Fault
		want  error
	}{
		"does not open":         {FailOpen(victim.Digest), ErrInjected},
		"fails half-way":        {FailRead(victim.Digest, victim.Size/2), ErrInjected},
		"fails at its end":      {FailRead(victim.Digest, victim.Size), ErrInjected},
		"ends early":            {CutShort(victim.Digest, victim.Size-1), fault.ErrDamaged},
		"has a bit turned over": {FlipBit(victim.Digest, victim.Size*4), fault.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWriter(t, p, set, c.fault)
			// What goes wrong may also be left to WriteBlob to find.
			err := w.prepare(t.Context(), victim)
			if err == nil {
				err = w.blob(t.Context(), victim)
			}
			if !errors.Is(err, c.want) || errors.Is(err, io.EOF) {
				t.Errorf("%v, want %v", err, c.want)
			}
			w.wantFailed()
		})
	}
	t.Run("after the end", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w := newWriter(t, p, set, Hook(victim.Digest, victim.Size/2, cancel))
		open := w.opener(victim)
		deaf := transport.Opener(func(ctx context.Context) (io.ReadCloser, error) { return open(context.WithoutCancel(ctx)) })
		if err := w.sink.(transport.Preparing).Prepare(ctx, victim, deaf); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want context.Canceled", err)
		}
		w.wantFailed()
	})
}

// unpacked writes what layers unpack to, where they are compressed.
func unpacked(t *testing.T, p Place) {
	w := newWriter(t, p, p.Set)
	n := 0
	for _, d := range w.graph.Blobs() {
		if ok, err := w.writeRaw(d, func(r io.Reader) io.Reader { return r }); err != nil {
			t.Fatalf("%s: %v", d.Digest, err)
		} else if ok {
			n++
		}
	}
	if n == 0 {
		t.Fatal("the set has no layer that is compressed")
	}
	w.manifests()
	w.commit()
	w.Close()
	p.wantImages(t, w.images)
	p.wantClean(t)
}

// writeRaw writes a layer unpacked, or as it is if it is not compressed.
func (w *writer) writeRaw(d v1.Descriptor, wrap func(io.Reader) io.Reader) (raw bool, err error) {
	w.Helper()
	content, ok := w.place.Set.unpack(w.T, d)
	if !ok {
		return false, w.blob(w.Context(), d)
	}
	return true, w.sink.(transport.Unpacking).WriteRaw(w.Context(), d, int64(len(content)), w.graph.Owners[d.Digest],
		func(context.Context) (io.ReadCloser, error) {
			w.streams.Add(1)
			return &counted{ReadCloser: io.NopCloser(wrap(bytes.NewReader(content))), open: &w.streams}, nil
		})
}

// unpackedBadly writes as a layer what it does not unpack to. No digest of the
// layer tells; that of the image does.
func unpackedBadly(t *testing.T, p Place) {
	set := p.Set.Only("plain")
	for name, c := range map[string]struct {
		wrap func(r io.Reader) io.Reader
		want error
	}{
		"other bytes": {func(r io.Reader) io.Reader {
			return io.MultiReader(io.LimitReader(r, 600), &flipper{r: r, mask: 1, hit: func() {}})
		}, fault.ErrDamaged},
		"too few": {func(r io.Reader) io.Reader { return io.LimitReader(r, 600) }, fault.ErrDamaged},
		"a failure": {func(r io.Reader) io.Reader {
			return io.MultiReader(io.LimitReader(r, 600), call(func() error { return ErrInjected }))
		}, ErrInjected},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWriter(t, p, set)
			err := func() error {
				for i, d := range w.graph.Blobs() {
					wrap := c.wrap
					if i > 0 {
						wrap = func(r io.Reader) io.Reader { return r }
					}
					if _, err := w.writeRaw(d, wrap); err != nil {
						return err
					}
				}
				for _, d := range w.graph.Manifests {
					if err := w.manifest(t.Context(), d); err != nil {
						return err
					}
				}
				return w.sink.Commit(t.Context(), w.images)
			}()
			if !errors.Is(err, c.want) || errors.Is(err, io.EOF) {
				t.Errorf("%v, want %v", err, c.want)
			}
			w.wantFailed()
		})
	}
}
