package conformance_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
)

// finding is a source of a place in memory in which layers can be found.
type finding struct {
	transport.Source
	gone map[digest.Digest]bool // deleted
}

func (s finding) Blob(ctx context.Context, in transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	if s.gone[d.Digest] {
		return nil, fault.Missing("no blob %s", d.Digest)
	}
	return s.Source.Blob(ctx, in, d)
}

func (s finding) stat(ctx context.Context, in transport.Image, d v1.Descriptor) (int64, bool, error) {
	rc, err := s.Blob(ctx, in, d)
	if errors.Is(err, fault.ErrMissing) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	size, err := io.Copy(io.Discard, rc)
	return size, d.Size < 0 || size == d.Size, err
}

func (s finding) FindLayers(ctx context.Context, _ []transport.Name, want []transport.Layer) ([]transport.FoundLayer, error) {
	f := transport.NewFinder(s, want, s.stat)
	if err := f.Ask(ctx, transport.Image{}); err != nil {
		return nil, err
	}
	images, err := s.Images(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, img := range images {
		if err := f.Look(ctx, img); err != nil {
			return nil, err
		}
	}
	return f.Found(), nil
}

// memoryHolding returns a place in memory whose sources find layers as change
// has it.
func memoryHolding(t *testing.T, change func(good finding) transport.Source) conformance.HoldingPlace {
	gone := map[digest.Digest]bool{}
	p := conformance.HoldingPlace{Place: memoryPlace(t), Whole: true}
	open := p.Source
	p.Source = func(t *testing.T) (transport.Source, error) {
		src, err := open(t)
		return change(finding{src, gone}), err
	}
	p.Remove = func(t *testing.T, img transport.Image) {
		for d := range p.Set.Graph(t, img).Owners {
			gone[d] = true
		}
	}
	return p
}

func TestMemoryHolding(t *testing.T) {
	conformance.Holding(t, func(t *testing.T) conformance.HoldingPlace {
		return memoryHolding(t, func(good finding) transport.Source { return good })
	})
}

// finds replaces how layers are found.
type finds struct {
	finding
	find func(ctx context.Context, near []transport.Name, want []transport.Layer) ([]transport.FoundLayer, error)
}

func (s finds) FindLayers(ctx context.Context, near []transport.Name, want []transport.Layer) ([]transport.FoundLayer, error) {
	return s.find(ctx, near, want)
}

// altered is a finding whose results are altered.
func altered(alter func(want []transport.Layer, found []transport.FoundLayer) []transport.FoundLayer) func(finding) transport.Source {
	return func(good finding) transport.Source {
		return finds{good, func(ctx context.Context, near []transport.Name, want []transport.Layer) ([]transport.FoundLayer, error) {
			found, err := good.FindLayers(ctx, near, want)
			return alter(want, found), err
		}}
	}
}

var brokenHoldings = []struct {
	name, fails string
	source      func(good finding) transport.Source
}{
	{"compressed layers under their diff ids", "another tag", altered(func(want []transport.Layer, found []transport.FoundLayer) []transport.FoundLayer {
		for i, f := range found {
			found[i].Digest = want[f.Index].DiffID
		}
		return found
	})},
	{"nothing without a tag", "tag that was moved", func(good finding) transport.Source {
		return finds{good, func(ctx context.Context, _ []transport.Name, want []transport.Layer) ([]transport.FoundLayer, error) {
			f := transport.NewFinder(good, want, good.stat)
			images, err := good.Images(ctx, "")
			for _, img := range images {
				err = errors.Join(err, f.Look(ctx, img))
			}
			return f.Found(), err
		}}
	}},
	{"blobs only", "compressed otherwise", func(good finding) transport.Source {
		return finds{good, func(ctx context.Context, _ []transport.Name, want []transport.Layer) ([]transport.FoundLayer, error) {
			f := transport.NewFinder(good, want, good.stat)
			err := f.Ask(ctx, transport.Image{})
			return f.Found(), err
		}}
	}},
	{"layers of the first image only", "many images in one repository", func(good finding) transport.Source {
		return finds{good, func(ctx context.Context, _ []transport.Name, want []transport.Layer) ([]transport.FoundLayer, error) {
			f := transport.NewFinder(good, want, good.stat)
			images, err := good.Images(ctx, "")
			return f.Found(), errors.Join(err, f.Look(ctx, images[0]))
		}}
	}},
	{"layers counted from the first found", "some of what is looked for", altered(func(_ []transport.Layer, found []transport.FoundLayer) []transport.FoundLayer {
		for i := range found {
			found[i].Index = i
		}
		return found
	})},
	{"each layer once", "the same layer several times", altered(func(_ []transport.Layer, found []transport.FoundLayer) []transport.FoundLayer {
		return found[:min(len(found), 1)]
	})},
	{"what is not there", "not there", altered(func(want []transport.Layer, _ []transport.FoundLayer) []transport.FoundLayer {
		var all []transport.FoundLayer
		for i, l := range want {
			all = append(all, transport.FoundLayer{Index: i, Digest: l.Digest})
		}
		return all
	})},
	{"an error for what is not there", "not there", func(good finding) transport.Source {
		return finds{good, func(ctx context.Context, near []transport.Name, want []transport.Layer) ([]transport.FoundLayer, error) {
			found, err := good.FindLayers(ctx, near, want)
			if err == nil && len(found) < len(want) {
				err = fault.Missing("layers")
			}
			return found, err
		}}
	}},
	{"layers of known repositories only", "another repository", func(good finding) transport.Source {
		return finds{good, func(ctx context.Context, near []transport.Name, want []transport.Layer) ([]transport.FoundLayer, error) {
			if len(near) == 0 {
				return nil, nil
			}
			return good.FindLayers(ctx, near, want)
		}}
	}},
	{"layers after the context has ended", "ended context", func(good finding) transport.Source {
		return finds{good, func(ctx context.Context, near []transport.Name, want []transport.Layer) ([]transport.FoundLayer, error) {
			return good.FindLayers(context.WithoutCancel(ctx), near, want)
		}}
	}},
	{"content after it was deleted", "deleted meanwhile", func(good finding) transport.Source {
		return finds{good, func(ctx context.Context, near []transport.Name, want []transport.Layer) ([]transport.FoundLayer, error) {
			found, err := good.FindLayers(ctx, near, want)
			for i, f := range found {
				rc, err := f.Open(ctx)
				if err != nil {
					return nil, err
				}
				kept, err := io.ReadAll(rc)
				if err != nil {
					return nil, err
				}
				found[i].Open = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(kept)), nil }
			}
			return found, err
		}}
	}},
	{"no hint for what was deleted", "deleted meanwhile", func(good finding) transport.Source {
		return finds{good, func(ctx context.Context, near []transport.Name, want []transport.Layer) ([]transport.FoundLayer, error) {
			found, err := good.FindLayers(ctx, near, want)
			for i, f := range found {
				found[i].Open = func(ctx context.Context) (io.ReadCloser, error) {
					return good.Blob(ctx, transport.Image{}, v1.Descriptor{Digest: f.Digest})
				}
			}
			return found, err
		}}
	}},
}
