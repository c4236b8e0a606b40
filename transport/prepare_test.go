package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
)

// Each blob is prepared once and before it is written, while others are
// written; and none but those that the sink wants to prepare.
func TestBlobsArePreparedBeforeTheyAreWritten(t *testing.T) {
	set := conformance.New(t, team)
	g := set.Graph(t, set.Images...)
	for _, local := range []bool{false, true} {
		for seed := range uint64(5) {
			bubble(t, fmt.Sprint(local, seed), func(t *testing.T) {
				s := newSpy(way{"", true, local, true})
				s.on = delays(seed)
				var place conformance.Memory
				_, err := transport.Copy(lasting(t), all(s.source(set.Source()), set.Images...), s.sink(&place), transport.Options{SpoolDir: t.TempDir(), Workers: 3})
				must(t, err)
				if got, want := sorted(s.of("prepare")), sorted(digests(slices.DeleteFunc(g.Blobs(), func(d v1.Descriptor) bool {
					return transport.IsConfig(d.MediaType)
				}))); !slices.Equal(got, want) {
					t.Errorf("prepared %v, want %v", got, want)
				}
				for _, d := range s.of("prepare") {
					_, prepared := s.when("prepare", d)
					if written, _ := s.when("blob", d); written < prepared {
						t.Errorf("%s was prepared at %d and written at %d", d, prepared, written)
					}
				}
				if !local {
					if opened := s.of("open"); len(opened) != len(g.Blobs()) {
						t.Errorf("%d openings at the source, want one for each of %d blobs", len(opened), len(g.Blobs()))
					}
				}
				wantWhole(t, &place, set, set.Images...)
			})
		}
	}
}

// While the sink writes one blob or prepares it, as many more are fetched and
// prepared as may be, and no more, however large they are.
func TestFewBlobsArePreparedAhead(t *testing.T) {
	const least = transport.AheadBytes / transport.AheadCount
	for _, local := range []bool{false, true} {
		for _, stuck := range []string{"prepare", "blob"} {
			for size, want := range map[int64]int{ // beside the first, which is small
				1: transport.AheadCount - 1, 2 * least: transport.AheadCount/2 - 1,
				transport.AheadBytes / transport.AheadLarge: transport.AheadLarge - 1,
				transport.AheadBytes - least:                transport.AheadLarge - 1,
				transport.AheadBytes + 1:                    transport.AheadLarge - 1,
				transport.MaxBlob:                           transport.AheadLarge - 1,
			} {
				bubble(t, fmt.Sprint(local, stuck, size), func(t *testing.T) {
					lib := newLibrary(t)
					first := lib.layer("first")
					layers := []v1.Descriptor{first}
					for i := range 2 * transport.AheadCount {
						layers = append(layers, sized(lib.layer(fmt.Sprint(i)), size))
					}
					img := lib.name(team+"/app:1", lib.image(amd64, layers...))
					dir := t.TempDir()
					s := newSpy(way{"", true, local, true})
					begun, end := "open", "read" // at the source
					if local {
						begun, end = "prepare", "prepare"
					}
					s.on = func(ctx context.Context, c call) error {
						if c.digest == first.Digest && c.op == stuck || c.digest != first.Digest && c.op == end {
							<-ctx.Done()
							return ctx.Err()
						}
						return nil
					}
					c := startCopy(t, all(s.source(lib.Source()), img), s.discard(), transport.Options{Downloads: 1000, Uploads: 1000, Workers: 1000, SpoolDir: dir})
					var got int
					for _, d := range s.of(begun) {
						if slices.Contains(digests(layers[1:]), d) {
							got++
						}
					}
					if got != want {
						t.Errorf("%d blobs of %d bytes are on their way, want %d", got, size, want)
					}
					c.cancel()
					wantNoSpools(t, dir)
				})
			}
		}
	}
}

// A blob that is too large to be fetched ahead is fetched once all the same if
// it is to be prepared, and read from there.
func TestLargeBlobsArePreparedFromASpool(t *testing.T) {
	const size = transport.AheadBytes + 1
	lib := newLibrary(t)
	d, err := digest.FromReader(io.LimitReader(zeroes{}, size))
	must(t, err)
	layer := v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: d, Size: size}
	img := lib.name(team+"/app:1", lib.image(amd64, layer))
	s := newSpy(way{"", true, false, true})
	dir := t.TempDir()
	src := s.source(&zeroSource{lib.Source(), layer})
	_, err = transport.Copy(t.Context(), all(src, img), s.discard(), transport.Options{SpoolDir: dir})
	must(t, err)
	if n := len(s.of("open")); n != 2 {
		t.Errorf("%d openings at the source, want one for each blob", n)
	}
	wantNoSpools(t, dir)
}

// zeroSource has a large layer of zeros.
type zeroSource struct {
	transport.Source
	layer v1.Descriptor
}

func (s *zeroSource) Blob(ctx context.Context, in transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	if d.Digest != s.layer.Digest {
		return s.Source.Blob(ctx, in, d)
	}
	return io.NopCloser(io.LimitReader(zeroes{}, d.Size)), nil
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// preparer is a sink that prepares blobs in its own way.
type preparer struct {
	discard
	prepare func(ctx context.Context, d v1.Descriptor, open transport.Opener) error
}

func (s preparer) Prepares(d v1.Descriptor) bool { return !transport.IsConfig(d.MediaType) }

func (s preparer) Prepare(ctx context.Context, d v1.Descriptor, open transport.Opener) error {
	return s.prepare(ctx, d, open)
}

// Who fails to prepare a blob ends the copy, and is named.
func TestWhoFailsToPrepare(t *testing.T) {
	read := func(ctx context.Context, open transport.Opener) error {
		rc, err := open(ctx)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, rc)
		return errors.Join(err, rc.Close())
	}
	for _, c := range []struct {
		name    string
		prepare func(ctx context.Context, open transport.Opener) error
		fault   func(d v1.Descriptor) *conformance.Fault
		side    transport.Side // "": none
		want    error
	}{
		{"sink", func(context.Context, transport.Opener) error { return errBoom }, nil, transport.AtTarget, errBoom},
		{"sink, after it has read", func(ctx context.Context, open transport.Opener) error {
			return errors.Join(read(ctx, open), errBoom)
		}, nil, transport.AtTarget, errBoom},
		{"source", read, func(d v1.Descriptor) *conformance.Fault { return conformance.FailRead(d.Digest, 1) }, transport.AtSource, conformance.ErrInjected},
		{"source, and the sink hides it", func(ctx context.Context, open transport.Opener) error {
			if read(ctx, open) != nil {
				return errBoom
			}
			return nil
		}, func(d v1.Descriptor) *conformance.Fault { return conformance.FailRead(d.Digest, 1) }, transport.AtSource, conformance.ErrInjected},
		{"source has something else", read, func(d v1.Descriptor) *conformance.Fault { return conformance.FlipBit(d.Digest, 1) }, transport.AtSource, fault.ErrDamaged},
		{"nobody", read, nil, "", nil},
		{"nobody, and the content is not looked at", func(context.Context, transport.Opener) error { return nil }, nil, "", nil},
	} {
		for _, local := range []bool{false, true} {
			bubble(t, fmt.Sprint(c.name, local), func(t *testing.T) {
				lib := newLibrary(t)
				layer := lib.layer("some content")
				img := lib.name(team+"/app:1", lib.image(amd64, lib.layer("other"), layer))
				src := lib.Source()
				if c.fault != nil {
					src = conformance.Inject(t, src, c.fault(layer))
				}
				s := newSpy(way{"", true, local, true})
				sink := preparer{discard{s}, func(ctx context.Context, d v1.Descriptor, open transport.Opener) error {
					if d.Digest != layer.Digest {
						return read(ctx, open)
					}
					return c.prepare(ctx, open)
				}}
				_, err := transport.Copy(lasting(t), all(s.source(src), img), sink, transport.Options{})
				if c.side == "" {
					must(t, err)
					return
				}
				var side *transport.Error
				if !errors.Is(err, c.want) || !errors.As(err, &side) || side.Side != c.side || side.Object != layer.Digest.String() {
					t.Errorf("%v, want %v at the %s", err, c.want, c.side)
				}
				if slices.Contains(s.of("blob"), layer.Digest) || len(s.of("commit")) > 0 {
					t.Error("it was written all the same")
				}
			})
		}
	}
}

// Progress goes on in small steps whatever is under way, and ends at what was
// planned.
func TestProgressOfPreparing(t *testing.T) {
	lib := newLibrary(t)
	img := lib.name(team+"/app:1", lib.image(amd64, lib.blob(v1.MediaTypeImageLayer, content(3))))
	for _, w := range ways {
		if !w.ordered {
			continue
		}
		p := &steps{}
		s := newSpy(w)
		_, err := transport.Copy(t.Context(), all(s.source(lib.Source()), img), s.discard(), transport.Options{Progress: p, SpoolDir: t.TempDir()})
		must(t, err)
		if p.total != p.seen || p.largest > p.total/10 {
			t.Errorf("%s: %d of %d bytes in steps of up to %d", w.name, p.seen, p.total, p.largest)
		}
	}

	// A sink that need not look, or looks again and again, has done as much.
	for n := range 6 {
		p := &steps{}
		sink := preparer{discard{newSpy(way{ordered: true})}, func(ctx context.Context, _ v1.Descriptor, open transport.Opener) error {
			for range n {
				rc, err := open(ctx)
				if err != nil {
					return err
				}
				_, err = io.Copy(io.Discard, rc)
				if err := errors.Join(err, rc.Close()); err != nil {
					return err
				}
			}
			return nil
		}}
		_, err := transport.Copy(t.Context(), all(lib.Source(), img), sink, transport.Options{Progress: p, SpoolDir: t.TempDir()})
		must(t, err)
		if p.total != p.seen {
			t.Errorf("read %d times: %d of %d bytes", n, p.seen, p.total)
		}
	}
}

// steps is a progress that looks at the steps.
type steps struct {
	mu                   sync.Mutex
	total, seen, largest int64
}

func (p *steps) Phase(_ string, total int64) { p.total += total }

func (p *steps) Add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen += n
	p.largest = max(p.largest, n)
}
