package bale_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/bale"
)

func TestComplete(t *testing.T) {
	const app, other = team + "/app:1", team + "/other:1"
	sized := func(d v1.Descriptor, size int64) v1.Descriptor {
		d.Size = size
		return d
	}
	layer := func(r *raw, s string) v1.Descriptor { return r.blob(v1.MediaTypeImageLayer, []byte(s)) }
	for _, c := range []struct {
		name string
		make func(r *raw)
		kind error
	}{
		{"nothing", func(r *raw) {}, nil},
		{"whole", func(r *raw) { r.image(app, r.index(r.manifest(layer(r, "a")), r.manifest(layer(r, "b")))) }, nil},
		{"whole, and more is said to be left out", func(r *raw) {
			d := layer(r, "a")
			r.image(app, r.manifest(d), d)
		}, nil},
		{"layer left out", func(r *raw) {
			d := r.leave(layer(r, "a"))
			r.image(app, r.manifest(d), d)
		}, nil},
		{"layer left out below an index", func(r *raw) {
			d := r.leave(layer(r, "a"))
			r.image(app, r.index(r.manifest(layer(r, "b")), r.manifest(d)), d)
		}, nil},
		{"child left out", func(r *raw) {
			d := r.leave(r.manifest(layer(r, "a")))
			r.image(app, r.index(d), d)
		}, nil},
		{"config left out", func(r *raw) {
			root := r.manifest(layer(r, "a"))
			config := r.leave(r.blob(v1.MediaTypeImageConfig, []byte("{}")))
			r.image(app, root, config)
		}, nil},
		{"left out of both images", func(r *raw) {
			d := r.leave(layer(r, "a"))
			r.image(app, r.manifest(d), d)
			r.image(other, r.index(r.manifest(d)), d)
		}, nil},
		{"nested as deep as may be", func(r *raw) { r.image(app, nested(r, transport.MaxDepth)) }, nil},

		{"layer missing", func(r *raw) { r.image(app, r.manifest(r.leave(layer(r, "a")))) }, fault.ErrDamaged},
		{"config missing", func(r *raw) {
			r.image(app, r.manifest())
			r.leave(r.blob(v1.MediaTypeImageConfig, []byte("{}")))
		}, fault.ErrDamaged},
		{"child missing", func(r *raw) { r.image(app, r.index(r.leave(r.manifest()))) }, fault.ErrDamaged},
		{"layer missing below an index", func(r *raw) {
			r.image(app, r.index(r.manifest(layer(r, "b")), r.index(r.manifest(r.leave(layer(r, "a"))))))
		}, fault.ErrDamaged},
		{"another is listed", func(r *raw) { r.image(app, r.manifest(r.leave(layer(r, "a"))), layer(r, "b")) }, fault.ErrDamaged},
		{"one of two is listed", func(r *raw) {
			d := r.leave(layer(r, "a"))
			r.image(app, r.manifest(d, r.leave(layer(r, "b"))), d)
		}, fault.ErrDamaged},
		{"listed for the first image only", func(r *raw) {
			d := r.leave(layer(r, "a"))
			root := r.index(r.manifest(d))
			r.image(app, root, d)
			r.image(other, root)
		}, fault.ErrDamaged},
		{"listed for the second image only", func(r *raw) {
			d := r.leave(layer(r, "a"))
			root := r.index(r.manifest(d))
			r.image(app, root)
			r.image(other, root, d)
		}, fault.ErrDamaged},
		{"layer of another size", func(r *raw) { r.image(app, r.manifest(sized(layer(r, "a"), 2))) }, fault.ErrDamaged},
		{"layer of another size, said to be left out", func(r *raw) {
			d := layer(r, "a")
			r.image(app, r.manifest(sized(d, 2)), d)
		}, fault.ErrDamaged},
		{"child of another size", func(r *raw) { r.image(app, r.index(sized(r.manifest(), 5))) }, fault.ErrDamaged},
		{"child of another type", func(r *raw) {
			d := r.manifest()
			d.MediaType = transport.DockerManifest
			r.image(app, r.index(d))
		}, fault.ErrDamaged},
		{"child that is right, and of another type", func(r *raw) {
			d := r.manifest()
			docker := d
			docker.MediaType = transport.DockerManifest
			r.image(app, r.index(d, docker))
		}, fault.ErrDamaged},
		{"child of an unknown type", func(r *raw) {
			d := r.manifest()
			d.MediaType = "application/vnd.example"
			r.image(app, r.index(d))
		}, fault.ErrUnsupported},
		{"root that is no manifest", func(r *raw) { r.image(app, r.blob(v1.MediaTypeImageManifest, []byte("no"))) }, fault.ErrDamaged},
		{"root that is both", func(r *raw) {
			r.image(app, r.json(v1.MediaTypeImageIndex, map[string]any{"manifests": []any{}, "layers": []any{}}))
		}, fault.ErrDamaged},
		{"root over the limit", func(r *raw) {
			r.image(app, r.blob(v1.MediaTypeImageManifest, make([]byte, transport.MaxManifest+1)))
		}, fault.ErrDamaged},
		{"nested too deep", func(r *raw) { r.image(app, nested(r, transport.MaxDepth+1)) }, fault.ErrDamaged},
		{"nested too deep, but known", func(r *raw) {
			for n := range transport.MaxDepth + 2 {
				r.image(fmt.Sprint(team, "/app:", n), nested(r, n))
			}
		}, fault.ErrDamaged},
		{"name that is none", func(r *raw) { r.image("UPPER", r.manifest()) }, fault.ErrDamaged},
		{"name that is not written out", func(r *raw) { r.image("busybox", r.manifest()) }, fault.ErrDamaged},
		{"name with another digest", func(r *raw) { r.image(app+"@"+digest.FromString("x").String(), r.manifest()) }, fault.ErrDamaged},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRaw(t)
			c.make(r)
			err := bale.Complete(t.Context(), r.write().r)
			if !errors.Is(err, c.kind) || (err == nil) != (c.kind == nil) {
				t.Errorf("%v, want %v", err, c.kind)
			}
			if errors.Is(err, fault.ErrUsage) || errors.Is(err, fault.ErrMissing) {
				t.Errorf("%v is of the wrong kind: the bundle is at fault", err)
			}
		})
	}
}

// nested returns a manifest in so many indexes.
func nested(r *raw, depth int) v1.Descriptor {
	d := r.manifest()
	for range depth {
		d = r.index(d)
	}
	return d
}

// A small bundle must not make the check go on for ever: its indexes name the
// same again and again, and that something is left out must not make a
// difference.
func TestCompleteLooksAtEachManifestOnce(t *testing.T) {
	for _, left := range []bool{false, true} {
		r := newRaw(t)
		layer := r.blob(v1.MediaTypeImageLayer, []byte("a"))
		var omitted []v1.Descriptor
		if left {
			omitted = append(omitted, r.leave(layer))
		}
		d := r.manifest(layer)
		for range transport.MaxDepth {
			d = r.index(slices.Repeat([]v1.Descriptor{d}, 100)...)
		}
		for n := range 1000 {
			r.image(fmt.Sprint(team, "/app:", n), d, omitted...)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		must(t, bale.Complete(ctx, r.write().r))
	}
}

// What is missing is remembered for each manifest, and so must be bounded.
func TestCompleteBoundsWhatIsMissing(t *testing.T) {
	const missing = 1 << 14
	for indexes, kind := range map[int]error{10: nil, transport.MaxNodes / missing: fault.ErrDamaged} {
		r := newRaw(t)
		var layers []v1.Descriptor
		for n := range missing {
			layers = append(layers, r.leave(r.blob(v1.MediaTypeImageLayer, []byte(fmt.Sprint(n)))))
		}
		child := r.manifest(layers...)
		var list []v1.Descriptor
		for n := range indexes {
			child.Annotations = map[string]string{"n": fmt.Sprint(n)}
			list = append(list, r.index(child))
		}
		r.image(team+"/app:1", r.index(list...), layers...)
		if err := bale.Complete(t.Context(), r.write().r); !errors.Is(err, kind) || (err == nil) != (kind == nil) {
			t.Errorf("%d times %d are missing: %v, want %v", indexes, missing, err, kind)
		}
	}
}

func TestCompleteEndsWithItsContext(t *testing.T) {
	r := newRaw(t)
	r.image(team+"/app:1", r.manifest())
	b := r.write()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := bale.Complete(ctx, b.r); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}
