package transport_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
)

// copying is a copy under way in a bubble.
type copying struct {
	t    *testing.T
	done chan error
	end  context.CancelFunc
}

func startCopy(t *testing.T, requests []transport.Request, sink transport.Sink, o transport.Options) *copying {
	ctx, cancel := context.WithCancel(lasting(t))
	c := &copying{t, make(chan error, 1), cancel}
	go func() {
		_, err := transport.Copy(ctx, requests, sink, o)
		c.done <- err
	}()
	synctest.Wait() // until all that can wait is waiting
	return c
}

// cancel ends the copy and waits for it.
func (c *copying) cancel() {
	c.t.Helper()
	c.end()
	if err := <-c.done; err != context.Canceled {
		c.t.Errorf("%v, want context.Canceled", err)
	}
}

// blocked keeps the calls of one kind waiting until they are let go.
type blocked struct {
	op   string
	gate chan struct{}
}

func (b blocked) on(ctx context.Context, c call) error {
	if c.op != b.op {
		return nil
	}
	select {
	case <-b.gate:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// While an ordered sink is busy, so many small blobs are fetched and no more,
// whatever else would be allowed.
func TestFewBlobsAreFetchedAhead(t *testing.T) {
	bubble(t, "bubble", func(t *testing.T) {
		lib := newLibrary(t)
		var layers []v1.Descriptor
		for i := range 3 * transport.AheadCount {
			layers = append(layers, lib.layer(fmt.Sprint(i)))
		}
		img := lib.name(team+"/app:1", lib.image(amd64, layers...))
		b := blocked{"blob", make(chan struct{})}
		s := spy{on: b.on, props: transport.Properties{Ordered: true}}
		var place conformance.Memory
		c := startCopy(t, all(s.source(lib.Source()), img), s.sink(&place), transport.Options{Downloads: 1000, Uploads: 1000})
		if got := s.of("open"); !slices.Equal(sorted(got), sorted(digests(layers[:transport.AheadCount]))) {
			t.Errorf("%d blobs were fetched, want the first %d", len(got), transport.AheadCount)
		}
		close(b.gate)
		must(t, <-c.done)
		wantWhole(t, &place, &lib.Set, img)
	})
}

// Neither are more bytes fetched ahead than may be.
func TestFewBytesAreFetchedAhead(t *testing.T) {
	const least = transport.AheadBytes / transport.AheadCount // that a blob counts for
	for _, size := range []int64{
		1, least, least + 1, transport.AheadBytes / 5, transport.AheadBytes/2 - least, transport.AheadBytes / 2,
		transport.AheadBytes - least, transport.AheadBytes, transport.AheadBytes + 1, transport.MaxBlob,
	} {
		want := int((transport.AheadBytes - least) / max(size, least)) // beside the first, which is small
		bubble(t, fmt.Sprint(size), func(t *testing.T) {
			lib := newLibrary(t)
			first := lib.layer("first")
			layers := []v1.Descriptor{first}
			for i := range 100 {
				layers = append(layers, sized(lib.layer(fmt.Sprint(i)), size))
			}
			img := lib.name(team+"/app:1", lib.image(amd64, layers...))
			dir := t.TempDir()
			s := spy{props: transport.Properties{Ordered: true}, on: func(ctx context.Context, c call) error {
				if c.op == "blob" || c.op == "read" && c.digest != first.Digest {
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			}}
			c := startCopy(t, all(s.source(lib.Source()), img), discard{&s}, transport.Options{Downloads: 1000, Uploads: 1000, SpoolDir: dir})
			var got int
			for _, d := range s.of("open") {
				if slices.Contains(digests(layers[1:]), d) {
					got++
				}
			}
			if got != want {
				t.Errorf("%d blobs of %d bytes were fetched, want %d", got, size, want)
			}
			c.cancel()
			wantNoSpools(t, dir)
		})
	}
}

// A blob that is too large to be fetched ahead goes straight from source to
// sink when its turn has come.
func TestLargeBlobsStream(t *testing.T) {
	bubble(t, "bubble", func(t *testing.T) {
		lib := newLibrary(t)
		small := lib.layer("small")
		large := sized(lib.layer("the first bytes"), transport.AheadBytes+1)
		after := lib.layer("after")
		img := lib.name(team+"/app:1", lib.image(amd64, small, large, after))
		turn, got := make(chan struct{}), make(chan string, 1)
		var s spy
		s.on = func(ctx context.Context, c call) error {
			if c.op == "blob" && c.digest == small.Digest {
				<-turn
			}
			return nil
		}
		s.props.Ordered = true
		sink := scripted{discard{&s}, func(ctx context.Context, d v1.Descriptor, open transport.Opener) error {
			if d.Digest != large.Digest {
				return discard{&s}.WriteBlob(ctx, d, nil, open)
			}
			rc, err := open(ctx)
			if err != nil {
				return err
			}
			defer func() { _ = rc.Close() }()
			p := make([]byte, 15)
			if _, err := io.ReadFull(rc, p); err != nil {
				return err
			}
			got <- string(p) // long before the source has ended
			<-ctx.Done()
			return ctx.Err()
		}}
		dir := t.TempDir()
		c := startCopy(t, all(s.source(lib.Source()), img), sink, transport.Options{SpoolDir: dir})
		if slices.Contains(s.of("open"), large.Digest) {
			t.Error("it was opened before its turn")
		}
		if !slices.Contains(s.of("open"), after.Digest) {
			t.Error("what comes after it was not fetched ahead")
		}
		close(turn)
		if p := <-got; p != "the first bytes" {
			t.Errorf("got %q", p)
		}
		c.cancel()
		wantNoSpools(t, dir)
	})
}

// What is fetched ahead and is not small lies in files that nobody sees, and
// of which none is left, however the copy ends.
func TestSpoolsGoAway(t *testing.T) {
	for _, c := range []struct {
		name string
		fail func(t *testing.T, s *spy, lib *library)
		kind error
	}{
		{"done", nil, nil},
		{"commit fails", func(_ *testing.T, s *spy, _ *library) { s.on = onOp("commit", "") }, errBoom},
		{"first write fails", func(_ *testing.T, s *spy, lib *library) {
			s.on = onOp("blob", lib.blob("", content(0)).Digest.String())
		}, errBoom},
		{"last write fails", func(_ *testing.T, s *spy, lib *library) {
			s.on = onOp("blob", lib.blob("", content(7)).Digest.String())
		}, errBoom},
		{"fetch fails", func(_ *testing.T, s *spy, lib *library) {
			s.on = onOp("read", lib.blob("", content(4)).Digest.String())
		}, errBoom},
		{"wrong content", func(_ *testing.T, _ *spy, lib *library) {
			lib.Content[lib.blob("", content(4)).Digest] = content(5)
		}, fault.ErrDamaged},
	} {
		bubble(t, c.name, func(t *testing.T) {
			lib := newLibrary(t)
			var layers []v1.Descriptor
			for i := range 8 {
				layers = append(layers, lib.blob(v1.MediaTypeImageLayer, content(i)))
			}
			img := lib.name(team+"/app:1", lib.image(amd64, layers...))
			dir := t.TempDir()
			s := &spy{props: transport.Properties{Ordered: true}}
			if c.fail != nil {
				c.fail(t, s, lib)
			}
			var place conformance.Memory
			sink := looking{s.sink(&place), t, dir}
			_, err := transport.Copy(lasting(t), all(s.source(lib.Source()), img), sink, transport.Options{SpoolDir: dir, Downloads: 3, Uploads: 3})
			wantNoSpools(t, dir)
			if !errors.Is(err, c.kind) || (err == nil) != (c.kind == nil) {
				t.Errorf("%v, want %v", err, c.kind)
			}
			if c.kind != nil {
				wantEmpty(t, &place)
				return
			}
			wantWhole(t, &place, &lib.Set, img)
		})
	}
}

// content is the content of a layer that is too large for memory.
func content(i int) []byte { return bytes.Repeat([]byte{byte(i)}, transport.InMemory+1+i) }

// onOp fails calls of one kind about one object.
func onOp(op, object string) func(context.Context, call) error {
	return func(_ context.Context, c call) error {
		if c.op == op && c.digest.String() == object {
			return errBoom
		}
		return nil
	}
}

// looking is a sink that looks into the spool's folder.
type looking struct {
	transport.Sink
	t   *testing.T
	dir string
}

func (s looking) WriteBlob(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		// For a moment each has a name; what has content has none.
		if fi, err := f.Info(); err == nil && fi.Size() > 0 {
			s.t.Errorf("%s can be seen with %d bytes", f.Name(), fi.Size())
		}
	}
	return s.Sink.WriteBlob(ctx, d, images, open)
}

// A spool can be read again, from its beginning.
func TestSpoolIsOpenedAgain(t *testing.T) {
	for _, data := range [][]byte{nil, []byte("small"), content(1)} {
		lib := newLibrary(t)
		layer := lib.blob(v1.MediaTypeImageLayer, data)
		img := lib.name(team+"/app:1", lib.image(amd64, layer))
		s := spy{props: transport.Properties{Ordered: true}}
		sink := scripted{discard{&s}, func(ctx context.Context, d v1.Descriptor, open transport.Opener) error {
			for _, n := range []int64{3, d.Size, d.Size} {
				rc, err := open(ctx)
				if err != nil {
					return err
				}
				got, err := io.ReadAll(io.LimitReader(rc, n))
				if want := lib.Content[d.Digest]; err != nil || !bytes.Equal(got, want[:min(n, d.Size)]) {
					t.Errorf("%d bytes of %d, %v", len(got), d.Size, err)
				}
				must(t, rc.Close())
			}
			return nil
		}}
		_, err := transport.Copy(t.Context(), all(s.source(lib.Source()), img), sink, transport.Options{SpoolDir: t.TempDir()})
		must(t, err)
		if n := len(s.of("open")); n != 2 {
			t.Errorf("%d openings at the source, want one for each blob", n)
		}
	}
}

// A disk that cannot take what is fetched ahead is neither side's fault.
func TestSpoolThatCannotBeMade(t *testing.T) {
	lib := newLibrary(t)
	img := lib.name(team+"/app:1", lib.image(amd64, lib.blob(v1.MediaTypeImageLayer, content(1))))
	dir := filepath.Join(t.TempDir(), "missing")
	s := spy{props: transport.Properties{Ordered: true}}
	_, err := transport.Copy(t.Context(), all(s.source(lib.Source()), img), discard{&s}, transport.Options{SpoolDir: dir})
	var side *transport.Error
	if !errors.As(err, &side) || side.Side != transport.AtSpool || side.Object != dir || !errors.Is(err, os.ErrNotExist) || fault.Hint(err) == "" {
		t.Errorf("%v (hint %q)", err, fault.Hint(err))
	}
	if s.committed != nil {
		t.Error("committed")
	}
}
