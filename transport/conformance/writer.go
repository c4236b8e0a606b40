package conformance

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/transport"
)

// writer writes a set's images to a sink, in the order that the engine keeps.
type writer struct {
	*testing.T
	place  Place
	sink   transport.Sink
	props  transport.Properties
	src    transport.Source
	images []transport.Image
	graph  *Graph

	close   sync.Once
	streams atomic.Int64 // opened and not closed
}

// newWriter opens a sink onto the place, to which images of set are written.
// Reading the set meets the faults. The sink is closed at the end of the test
// at the latest.
func newWriter(t *testing.T, p Place, set *Set, faults ...*Fault) *writer {
	t.Helper()
	w := &writer{T: t, place: p, sink: p.Sink(t), src: Inject(t, set.Source(), faults...)}
	t.Cleanup(w.Close)
	w.props = w.sink.Properties()
	w.images = set.Resolve(t, w.props.Platform)
	w.graph = set.Graph(t, w.images...)
	if p.Start != nil {
		p.Start(t, w.sink, w.images)
	}
	return w
}

// Close closes the sink, once, and checks that it has closed what it opened.
func (w *writer) Close() {
	w.Helper()
	w.close.Do(func() {
		if err := w.sink.Close(); err != nil {
			w.Errorf("Close: %v", err)
		}
		if n := w.streams.Load(); n != 0 {
			w.Errorf("the sink left %d streams open", n)
		}
	})
}

// opener returns the engine's opener of a blob: verified content.
func (w *writer) opener(d v1.Descriptor) transport.Opener {
	return func(ctx context.Context) (io.ReadCloser, error) {
		rc, err := w.src.Blob(ctx, w.graph.Owners[d.Digest][0], d)
		if err != nil {
			return nil, err
		}
		v, err := blob.NewReader(rc, d.Digest, d.Size)
		if err != nil {
			return nil, err
		}
		w.streams.Add(1)
		return &counted{ReadCloser: v, open: &w.streams}, nil
	}
}

// counted counts itself out when it is closed.
type counted struct {
	io.ReadCloser
	open *atomic.Int64
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.ReadCloser.Close()
}

// blob writes one blob, whether the place has it or not.
func (w *writer) blob(ctx context.Context, d v1.Descriptor) error {
	return w.sink.WriteBlob(ctx, d, w.graph.Owners[d.Digest], w.opener(d))
}

// blobs writes the blobs that the place lacks.
func (w *writer) blobs() {
	w.Helper()
	for _, d := range w.graph.Blobs() {
		if w.has(d) {
			continue
		}
		if err := w.blob(w.Context(), d); err != nil {
			w.Fatalf("WriteBlob %s: %v", d.Digest, err)
		}
	}
}

func (w *writer) has(d v1.Descriptor) bool {
	w.Helper()
	ok, err := w.sink.Has(w.Context(), d, w.graph.Owners[d.Digest])
	if err != nil {
		w.Fatalf("Has %s: %v", d.Digest, err)
	}
	return ok
}

func (w *writer) manifest(ctx context.Context, d v1.Descriptor) error {
	return w.sink.WriteManifest(ctx, d, w.graph.Owners[d.Digest], w.place.Set.Content[d.Digest])
}

func (w *writer) manifests() {
	w.Helper()
	for _, d := range w.graph.Manifests {
		if err := w.manifest(w.Context(), d); err != nil {
			w.Fatalf("WriteManifest %s: %v", d.Digest, err)
		}
	}
}

func (w *writer) commit() {
	w.Helper()
	if err := w.sink.Commit(w.Context(), w.images); err != nil {
		w.Fatalf("Commit: %v", err)
	}
}

// all writes everything, commits and closes.
func (w *writer) all() {
	w.Helper()
	w.blobs()
	w.manifests()
	w.commit()
	w.Close()
}

// wantFailed fails the test unless a run that broke off has left no trace:
// names are as before, and nothing is left over.
func (w *writer) wantFailed() {
	w.Helper()
	w.place.wantNone(w.T, w.images)
	w.Close()
	w.place.wantNone(w.T, w.images)
	w.place.wantClean(w.T)
}
