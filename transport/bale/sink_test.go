package bale_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/container"
	"bale/bundle/fault"
	"bale/bundle/index"
	"bale/bundle/pack"
	"bale/transport"
	"bale/transport/bale"
	"bale/transport/conformance"
)

// slow is a source that answers in another order than it is asked. The delays
// are of a bubble's clock.
type slow struct {
	transport.Source
	mu *sync.Mutex
	r  *rand.Rand
}

func (s slow) Blob(ctx context.Context, in transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	s.mu.Lock()
	delay := time.Duration(s.r.IntN(1000)) * time.Millisecond
	s.mu.Unlock()
	<-time.After(delay)
	return s.Source.Blob(ctx, in, d)
}

// The same images give the same bytes, whoever is fast or slow.
func TestSameImagesSameBytes(t *testing.T) {
	set := conformance.New(t, team)
	var want []byte
	for seed := range uint64(3) {
		for _, n := range []int{1, 8} {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "images.bale")
				o := fixed(path)
				o.Writer.Workers = n
				src := slow{set.Source(), new(sync.Mutex), rand.New(rand.NewPCG(seed, 1))}
				_, err := save(t.Context(), o, src, set.Images, transport.Options{Downloads: n, Uploads: n, SpoolDir: t.TempDir()})
				must(t, err)
				got, err := os.ReadFile(path)
				must(t, err)
				if want == nil {
					want = got
				}
				if !bytes.Equal(got, want) {
					t.Errorf("seed %d, %d at a time: other bytes", seed, n)
				}
			})
		}
	}
}

// What is not the same has another id, also where all is fixed.
func TestFixedIDs(t *testing.T) {
	set := conformance.New(t, team)
	seen := make(map[string]string)
	for what, c := range map[string]struct {
		set    *conformance.Set
		change func(o *bale.SinkOptions)
	}{
		"usual":         {set, func(*bale.SinkOptions) {}},
		"other time":    {set, func(o *bale.SinkOptions) { o.Writer.Created = o.Writer.Created.Add(time.Second) }},
		"other level":   {set, func(o *bale.SinkOptions) { o.Writer.Level = pack.Best }},
		"other images":  {set.Only("plain", "shared"), func(*bale.SinkOptions) {}},
		"other names":   {set.Rename(func(n transport.Name) transport.Name { n.Tag = "2.0"; return n }), func(*bale.SinkOptions) {}},
		"not fixed":     {set, func(o *bale.SinkOptions) { o.Fixed = false }},
		"not fixed too": {set, func(o *bale.SinkOptions) { o.Fixed = false }},
	} {
		path := filepath.Join(t.TempDir(), "images.bale")
		o := fixed(path)
		c.change(&o)
		_, err := save(t.Context(), o, c.set.Source(), c.set.Images, transport.Options{})
		must(t, err)
		id := mustOpen(t, path).r.Header().ID
		if other, ok := seen[id]; ok {
			t.Errorf("%s and %s have the id %s", what, other, id)
		}
		seen[id] = what
	}
}

// What two images share is in the bundle once, be it a blob or, in different
// blobs, a file.
func TestSharedContentIsStoredOnce(t *testing.T) {
	set := conformance.New(t, team)
	size := func(set *conformance.Set) (stored int64, blobs int) {
		src := mustOpen(t, saved(t, set))
		for _, f := range src.r.Index().Frames {
			stored += f.Raw
		}
		return stored, len(src.r.Index().Blobs)
	}
	plain, _ := size(set.Only("plain"))
	both, blobs := size(set.Only("plain", "shared"))
	two := set.Only("plain", "shared")
	g := set.Graph(t, two.Images...)
	if want := len(g.Blobs()) + len(g.Manifests); blobs != want {
		t.Errorf("%d blobs, want %d", blobs, want)
	}
	if plain < 300<<10 || both > plain+20<<10 {
		t.Errorf("%d bytes of plain become %d with shared", plain, both)
	}
	var images []string
	for _, i := range mustOpen(t, saved(t, two)).r.Index().Images {
		images = append(images, i.Name)
	}
	if want := []string{team + "/plain:1.0", team + "/shared:1.0"}; !slices.Equal(images, want) {
		t.Errorf("images %v, want %v", images, want)
	}
}

func TestPlatformAndOmissionsAreWritten(t *testing.T) {
	r := newRaw(t)
	foreign := v1.Descriptor{MediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", URLs: []string{"https://publisher.example/l"}}
	gone := r.blob(foreign.MediaType, []byte("gone"))
	foreign.Digest, foreign.Size = gone.Digest, gone.Size
	child := r.manifest(foreign)
	child.Platform = &v1.Platform{OS: "windows", Architecture: "amd64"}
	other := r.manifest()
	other.Platform = &v1.Platform{OS: "linux", Architecture: "amd64"}
	root := r.index(child, other)
	name, err := transport.ParseName(team + "/app:1")
	must(t, err)
	delete(r.content, gone.Digest)
	set := &conformance.Set{Images: []transport.Image{{Name: name, Root: root}}, Content: r.content}
	for _, platform := range [][]v1.Platform{nil, {*child.Platform}} {
		path := filepath.Join(t.TempDir(), "images.bale")
		_, err = save(t.Context(), fixed(path), set.Source(), set.Images, transport.Options{Platforms: platform})
		must(t, err)
		src := mustOpen(t, path)
		must(t, bale.Complete(t.Context(), src.r))
		want := index.Image{Name: name.String(), MediaType: root.MediaType, Digest: root.Digest, Size: root.Size}
		if platform != nil {
			want.Platform = "windows/amd64"
			want.Omitted = append(want.Omitted, index.Omission{Digest: other.Digest, Reason: index.OtherPlatform})
		}
		want.Omitted = append(want.Omitted, index.Omission{Digest: gone.Digest, Reason: index.Foreign})
		if got := src.r.Index().Images; len(got) != 1 || fmt.Sprint(got[0]) != fmt.Sprint(want) {
			t.Errorf("the bundle has %v, want %v", got, want)
		}
	}
}

// A bundle is written in the place of another only when that is asked for, and
// only when it is complete.
func TestOverwrite(t *testing.T) {
	set := conformance.New(t, team)
	old := []byte("what was there")
	for _, c := range []struct {
		name      string
		overwrite bool
		fails     bool
	}{
		{"refused", false, false},
		{"replaced", true, false},
		{"fails", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "images.bale")
			must(t, os.WriteFile(path, old, 0o644))
			o := fixed(path)
			o.Overwrite = c.overwrite
			if c.fails {
				o.Sign = signers(signer{err: errBoom})
			}
			_, err := save(t.Context(), o, set.Source(), set.Images, transport.Options{})
			if got := ls(t, dir); !slices.Equal(got, []string{"images.bale"}) {
				t.Errorf("left over: %v", got)
			}
			switch {
			case !c.overwrite:
				if !errors.Is(err, fs.ErrExist) {
					t.Errorf("%v, want it to exist", err)
				}
			case c.fails:
				if !errors.Is(err, errBoom) {
					t.Errorf("%v, want it to fail", err)
				}
			default:
				must(t, err)
				wantWhole(t, mustOpen(t, path), set, set.Images...)
				return
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, old) {
				t.Errorf("%q is there now (%v)", got, err)
			}
		})
	}
}

var errBoom = errors.New("boom")

// signer signs with a text.
type signer struct {
	text string
	err  error
}

// signers has each of some signers sign.
func signers(list ...signer) bale.Sign {
	return func(_ context.Context, sums []byte, add func(container.Form, []byte) error) error {
		for _, s := range list {
			if s.err != nil {
				return s.err
			}
			if err := add(container.Sigstore, fmt.Appendf(nil, "%s over %d bytes", s.text, len(sums))); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestSignersSignTheSums(t *testing.T) {
	set := conformance.New(t, team)
	path := filepath.Join(t.TempDir(), "images.bale")
	o := fixed(path)
	o.Sign = signers(signer{text: "one"}, signer{text: "two"})
	size, err := save(t.Context(), o, set.Source(), set.Images, transport.Options{})
	must(t, err)
	fi, err := os.Stat(path)
	must(t, err)
	if fi.Size() != size {
		t.Errorf("%d bytes, the sink says %d", fi.Size(), size)
	}
	e := mustOpen(t, path).file.Envelope()
	for i, s := range e.Signatures() {
		want := fmt.Sprintf("%s over %d bytes", []string{"one", "two"}[i], len(e.Sums()))
		if s.Entry != container.SignatureName(container.Sigstore, i) || string(s.Data) != want {
			t.Errorf("signature %s %q, want %q", s.Entry, s.Data, want)
		}
	}
	if n := len(e.Signatures()); n != 2 {
		t.Errorf("%d signatures", n)
	}
}

// Whatever ends it, nothing is left: no file, no part of one, no goroutine.
func TestNothingIsLeft(t *testing.T) {
	set := conformance.New(t, team)
	layer := set.Graph(t, set.Images...).Layers[0]
	for _, c := range []struct {
		name   string
		o      func(o *bale.SinkOptions)
		faults []*conformance.Fault
		cancel bool
		kind   error
	}{
		{"source fails", nil, []*conformance.Fault{conformance.FailRead(layer.Digest, 10)}, false, conformance.ErrInjected},
		{"wrong content", nil, []*conformance.Fault{conformance.FlipBit(layer.Digest, 10)}, false, fault.ErrDamaged},
		{"signer fails", func(o *bale.SinkOptions) { o.Sign = signers(signer{text: "x"}, signer{err: errBoom}) }, nil, false, errBoom},
		{"signature is too large", func(o *bale.SinkOptions) { o.Sign = signers(signer{text: string(make([]byte, 1<<20))}) }, nil, false, nil},
		{"time that cannot be written", func(o *bale.SinkOptions) { o.Writer.Created = time.Unix(1<<40, 0) }, nil, false, nil},
		{"broken off", nil, nil, true, context.Canceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				o := fixed(filepath.Join(dir, "images.bale"))
				if c.o != nil {
					c.o(&o)
				}
				// Not t.Context(), whose end would hide what is left.
				ctx := context.WithoutCancel(t.Context())
				faults := c.faults
				if c.cancel {
					var cancel context.CancelFunc
					ctx, cancel = context.WithCancel(ctx)
					defer cancel()
					faults = append(faults, conformance.Hook(layer.Digest, 10, cancel))
				}
				_, err := save(ctx, o, conformance.Inject(t, set.Source(), faults...), set.Images, transport.Options{})
				synctest.Wait()
				if err == nil || c.kind != nil && !errors.Is(err, c.kind) {
					t.Errorf("%v, want %v", err, c.kind)
				}
				if got := ls(t, dir); len(got) > 0 {
					t.Errorf("left over: %v", got)
				}
			})
		})
	}
}

func TestSinkThatIsNotStarted(t *testing.T) {
	set := conformance.New(t, team)
	img := set.Image(t, "plain")
	dir := t.TempDir()
	s, err := bale.NewSink(fixed(filepath.Join(dir, "images.bale")))
	must(t, err)
	open := func(context.Context) (io.ReadCloser, error) {
		t.Error("opened")
		return nil, errBoom
	}
	for what, err := range map[string]error{
		"WriteBlob":     s.WriteBlob(t.Context(), img.Root, nil, open),
		"WriteManifest": s.WriteManifest(t.Context(), img.Root, nil, set.Content[img.Root.Digest]),
		"Commit":        s.Commit(t.Context(), nil),
	} {
		if err == nil {
			t.Errorf("%s does without Start", what)
		}
	}
	must(t, s.Close())
	if got := ls(t, dir); len(got) > 0 {
		t.Errorf("left over: %v", got)
	}
}

// A bundle that could not be read back is not written.
func TestNamesThatCannotBeReadBack(t *testing.T) {
	set := conformance.New(t, team).Only("plain", "shared")
	plain, shared := set.Images[0], set.Images[1]
	for what, n := range map[string]transport.Name{
		"another's digest": {Domain: "host.example", Path: "x", Tag: "1", Digest: shared.Root.Digest},
		"not in full":      {Domain: "docker.io", Path: "x", Tag: "1"},
		"no name":          {},
	} {
		path := filepath.Join(t.TempDir(), "images.bale")
		_, err := save(t.Context(), fixed(path), set.Source(), []transport.Image{{Name: n, Root: plain.Root}}, transport.Options{})
		if _, serr := os.Stat(path); err == nil || serr == nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}
