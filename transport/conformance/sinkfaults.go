package conformance

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

// failingOpeners writes with one blob that cannot be read.
func failingOpeners(t *testing.T, p Place) {
	g := p.Set.Graph(t, p.Set.Only("plain").Images...)
	layer := slices.MaxFunc(g.Layers, func(a, b v1.Descriptor) int { return int(a.Size - b.Size) })
	config := g.Configs[0]
	for _, c := range []struct {
		name   string
		victim v1.Descriptor
		fault  func(v1.Descriptor) *Fault
		want   error
	}{
		{"layer does not open", layer, func(d v1.Descriptor) *Fault { return FailOpen(d.Digest) }, ErrInjected},
		{"layer fails at once", layer, func(d v1.Descriptor) *Fault { return FailRead(d.Digest, 0) }, ErrInjected},
		{"layer fails half-way", layer, func(d v1.Descriptor) *Fault { return FailRead(d.Digest, d.Size/2) }, ErrInjected},
		{"layer fails at its end", layer, func(d v1.Descriptor) *Fault { return FailRead(d.Digest, d.Size) }, ErrInjected},
		{"layer ends early", layer, func(d v1.Descriptor) *Fault { return CutShort(d.Digest, d.Size-1) }, fault.ErrDamaged},
		{"layer is empty", layer, func(d v1.Descriptor) *Fault { return CutShort(d.Digest, 0) }, fault.ErrDamaged},
		{"layer is too long", layer, func(d v1.Descriptor) *Fault { return Lengthen(d.Digest, []byte("x")) }, fault.ErrDamaged},
		{"first bit of a layer flipped", layer, func(d v1.Descriptor) *Fault { return FlipBit(d.Digest, 0) }, fault.ErrDamaged},
		{"last bit of a layer flipped", layer, func(d v1.Descriptor) *Fault { return FlipBit(d.Digest, d.Size*8-1) }, fault.ErrDamaged},
		{"config fails half-way", config, func(d v1.Descriptor) *Fault { return FailRead(d.Digest, d.Size/2) }, ErrInjected},
		{"bit of a config flipped", config, func(d v1.Descriptor) *Fault { return FlipBit(d.Digest, 77) }, fault.ErrDamaged},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWriter(t, p, p.Set.Only("plain"), c.fault(c.victim))
			for _, d := range w.graph.Blobs() {
				err := w.blob(t.Context(), d)
				if d.Digest != c.victim.Digest {
					if err != nil {
						t.Fatalf("WriteBlob %s: %v", d.Digest, err)
					}
					continue
				}
				if !errors.Is(err, c.want) {
					t.Errorf("WriteBlob of content that fails: %v, want %v", err, c.want)
				}
				if errors.Is(err, io.EOF) {
					t.Errorf("WriteBlob's error is an io.EOF: %v", err)
				}
				if w.props.Ordered {
					break
				}
				if w.has(c.victim) {
					t.Error("the place has the blob that could not be read")
				}
			}
			w.wantFailed()
		})
	}
}

// failsOnce writes with a blob that can be read at the second opening: the
// sink may open it again itself, or return the error and be asked again.
func failsOnce(t *testing.T, fresh func(t *testing.T) Place) {
	for _, c := range []struct {
		name  string
		fault func(v1.Descriptor) *Fault
	}{
		{"open", func(d v1.Descriptor) *Fault { return FailOpen(d.Digest).Nth(1) }},
		{"read", func(d v1.Descriptor) *Fault { return FailRead(d.Digest, d.Size/2).Nth(1) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := fresh(t)
			g := p.Set.Graph(t, p.Set.Only("plain").Images...)
			w := newWriter(t, p, p.Set.Only("plain"), c.fault(g.Layers[0]))
			err := w.blob(t.Context(), g.Layers[0])
			if err != nil && !errors.Is(err, ErrInjected) {
				t.Errorf("WriteBlob: %v, want %v", err, ErrInjected)
			}
			if err != nil && w.props.Ordered {
				w.wantFailed() // a stream that broke off cannot be taken up again
				return
			}
			if err != nil {
				err = w.blob(t.Context(), g.Layers[0])
			}
			if err != nil {
				t.Fatalf("WriteBlob when asked again: %v", err)
			}
			for _, d := range w.graph.Blobs()[1:] {
				if err := w.blob(t.Context(), d); err != nil {
					t.Fatalf("WriteBlob %s: %v", d.Digest, err)
				}
			}
			w.manifests()
			w.commit()
			w.Close()
			p.wantImages(t, w.images)
		})
	}
}

// endedContext calls everything that writes with a context that has ended.
func endedContext(t *testing.T, p Place) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	check := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", what, err)
		}
	}
	w := newWriter(t, p, p.Set.Only("plain"))
	check("WriteBlob", w.blob(ended, w.graph.Layers[0]))
	w.wantFailed()

	w = newWriter(t, p, p.Set.Only("plain"))
	w.blobs()
	check("WriteManifest", w.manifest(ended, w.graph.Manifests[0]))
	w.wantFailed()

	w = newWriter(t, p, p.Set.Only("plain"))
	w.blobs()
	w.manifests()
	check("Commit", w.sink.Commit(ended, w.images))
	w.wantFailed()
}

// endsMidStream ends the context while a blob is being written whose content
// goes on as if nothing had happened.
func endsMidStream(t *testing.T, p Place) {
	g := p.Set.Graph(t, p.Set.Only("plain").Images...)
	victim := slices.MaxFunc(g.Layers, func(a, b v1.Descriptor) int { return int(a.Size - b.Size) })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := newWriter(t, p, p.Set.Only("plain"), Hook(victim.Digest, victim.Size/2, cancel))
	open := w.opener(victim)
	deaf := transport.Opener(func(ctx context.Context) (io.ReadCloser, error) { return open(context.WithoutCancel(ctx)) })
	if err := w.sink.WriteBlob(ctx, victim, w.graph.Owners[victim.Digest], deaf); !errors.Is(err, context.Canceled) {
		t.Errorf("WriteBlob: %v, want context.Canceled", err)
	}
	w.wantFailed()
}
