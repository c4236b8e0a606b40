package conformance_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
	"bale/transport/conformance"
)

// knowingParts replaces what a source says of attachments, or of what it lacks.
type knowingParts struct {
	transport.Source
	referrers func(ctx context.Context, in transport.Image, d v1.Descriptor) ([]transport.Image, error)
	lacks     func(ctx context.Context, in transport.Image, d v1.Descriptor) (bool, error)
}

func (s knowingParts) Local() bool { return true }

func (s knowingParts) Referrers(ctx context.Context, in transport.Image, d v1.Descriptor) ([]transport.Image, error) {
	if s.referrers == nil {
		return s.Source.(transport.Referring).Referrers(ctx, in, d)
	}
	return s.referrers(ctx, in, d)
}

func (s knowingParts) Lacks(ctx context.Context, in transport.Image, d v1.Descriptor) (bool, error) {
	if s.lacks == nil {
		return s.Source.(transport.Partial).Lacks(ctx, in, d)
	}
	return s.lacks(ctx, in, d)
}

// wrapped makes a place whose source is another.
func wrapped(wrap func(good transport.Source) transport.Source) func(p *conformance.Place) {
	return func(p *conformance.Place) {
		open := p.Source
		p.Source = func(t *testing.T) (transport.Source, error) {
			src, err := open(t)
			return wrap(src), err
		}
	}
}

// told makes a place whose source changes what it says is attached.
func told(change func(in transport.Image, list []transport.Image) []transport.Image) func(p *conformance.Place) {
	return wrapped(func(good transport.Source) transport.Source {
		return knowingParts{Source: good, referrers: func(ctx context.Context, in transport.Image, d v1.Descriptor) ([]transport.Image, error) {
			list, err := good.(transport.Referring).Referrers(ctx, in, d)
			return change(in, list), err
		}}
	})
}

func says(lacks bool) func(p *conformance.Place) {
	return wrapped(func(good transport.Source) transport.Source {
		return knowingParts{Source: good, lacks: func(ctx context.Context, _ transport.Image, _ v1.Descriptor) (bool, error) {
			return lacks, ctx.Err()
		}}
	})
}

// withSink makes a place whose sink is another.
func withSink(wrap func(good transport.Sink) transport.Sink) func(p *conformance.Place) {
	return func(p *conformance.Place) {
		open := p.Sink
		p.Sink = func(t *testing.T) transport.Sink { return wrap(open(t)) }
	}
}

type plansOnce struct {
	transport.Sink
	seen map[transport.Name]bool
}

func (s plansOnce) Plan(_ context.Context, img transport.Image, _, _ []byte) error {
	if s.seen[img.Name] {
		return errors.New("planned already")
	}
	s.seen[img.Name] = true
	return nil
}

var brokenPlaces = []struct {
	name, fails string
	change      func(p *conformance.Place)
}{
	{"says that nothing is attached", "there and back/what is attached", told(func(transport.Image, []transport.Image) []transport.Image { return nil })},
	{"does not give back what is attached", "there and back/by name", told(func(transport.Image, []transport.Image) []transport.Image { return nil })},
	{"says half of what is attached", "there and back/all", told(func(_ transport.Image, list []transport.Image) []transport.Image {
		return list[:len(list)/2]
	})},
	{"says another order each time", "there and back/what is attached", func(p *conformance.Place) {
		var asked sync.Map
		wrapped(func(good transport.Source) transport.Source {
			return knowingParts{Source: good, referrers: func(ctx context.Context, in transport.Image, d v1.Descriptor) ([]transport.Image, error) {
				list, err := good.(transport.Referring).Referrers(ctx, in, d)
				if _, again := asked.LoadOrStore(d.Digest, true); again {
					asked.Delete(d.Digest)
					slices.Reverse(list)
				}
				return list, err
			}}
		})(p)
	}},
	{"calls what is attached by its root's tag", "there and back/what is attached", told(func(in transport.Image, list []transport.Image) []transport.Image {
		for i := range list {
			list[i].Name = in.Name
		}
		return list
	})},
	{"says that something is attached to nothing", "there and back/what is attached", told(func(in transport.Image, list []transport.Image) []transport.Image {
		return append(list, in)
	})},
	{"says what is attached after the end", "there and back/what is attached", wrapped(func(good transport.Source) transport.Source {
		return knowingParts{Source: good, referrers: func(ctx context.Context, in transport.Image, d v1.Descriptor) ([]transport.Image, error) {
			return good.(transport.Referring).Referrers(context.WithoutCancel(ctx), in, d)
		}}
	})},
	{"lacks nothing", "layer that went missing", says(false)},
	{"lacks nothing that was not written", "one platform", says(false)},
	{"lacks everything", "there and back/nothing is lacking", says(true)},
	{"takes no index in part", "one platform", withSink(func(good transport.Sink) transport.Sink {
		return refuses{good}
	})},
	{"loses what is attached", "there and back", withSink(func(good transport.Sink) transport.Sink {
		return sinkParts{Sink: good, commit: func(ctx context.Context, images []transport.Image) error {
			return good.Commit(ctx, slices.DeleteFunc(slices.Clone(images), func(img transport.Image) bool { return img.Name.Tag == "" }))
		}}
	})},
	{"loses tags", "there and back", withSink(func(good transport.Sink) transport.Sink {
		return sinkParts{Sink: good, commit: func(ctx context.Context, images []transport.Image) error {
			return good.Commit(ctx, slices.DeleteFunc(slices.Clone(images), func(img transport.Image) bool { return img.Name.Tag == "latest" }))
		}}
	})},
	{"plans an image once", "planned", withSink(func(good transport.Sink) transport.Sink {
		return plansOnce{good, map[transport.Name]bool{}}
	})},
}

// refuses takes no index in part.
type refuses struct{ transport.Sink }

func (refuses) TakesSparse(context.Context, transport.Image, []byte, []v1.Descriptor) (bool, error) {
	return false, nil
}
