package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
)

// delays makes every call take some time of the bubble's clock, which costs
// none, so that calls end in another order than they begin.
func delays(seed uint64) func(context.Context, call) error {
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(seed, 1))
	return func(context.Context, call) error {
		mu.Lock()
		d := time.Duration(r.IntN(1000)) * time.Millisecond
		mu.Unlock()
		<-time.After(d)
		return nil
	}
}

// bubble runs a test in a bubble, which fails it if a goroutine is left.
// Within, lasting is to be used for a context.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// lasting is a context that does not end with the test, as t.Context() does:
// what is left by a copy must not go away because of that.
func lasting(t *testing.T) context.Context { return context.WithoutCancel(t.Context()) }

// Layers, then configs, then manifests, children before their index, then names.
func TestOrderOfCalls(t *testing.T) {
	for seed := range uint64(10) {
		bubble(t, fmt.Sprint(seed), func(t *testing.T) {
			set := conformance.New(t, team)
			s := spy{on: delays(seed)}
			var place conformance.Memory
			_, err := transport.Copy(lasting(t), all(s.source(set.Source()), set.Images...), s.sink(&place), transport.Options{Downloads: 3, Uploads: 3})
			must(t, err)
			g := set.Graph(t, set.Images...)
			named, _ := s.when("commit", "")
			stages := [][]v1.Descriptor{g.Layers, g.Configs}
			last := -1
			for _, stage := range stages {
				next := last
				for _, d := range stage {
					b, e := s.when("blob", d.Digest)
					if b <= last || e < 0 {
						t.Errorf("%s: written at %d to %d, the stage before ended at %d", d.Digest, b, e, last)
					}
					next = max(next, e)
				}
				last = next
			}
			for _, d := range g.Manifests {
				b, e := s.when("write manifest", d.Digest)
				if b <= last || e < 0 || e > named {
					t.Errorf("manifest %s: written at %d to %d, blobs ended at %d, names were given at %d", d.Digest, b, e, last, named)
				}
				m, err := transport.ParseManifest(d.MediaType, set.Content[d.Digest])
				must(t, err)
				for _, c := range m.Manifests {
					if _, e := s.when("write manifest", c.Digest); e > b {
						t.Errorf("index %s was begun at %d, its child ended at %d", d.Digest, b, e)
					}
				}
			}
			wantWhole(t, &place, set, set.Images...)
		})
	}
}

// An ordered sink gets the same calls, one by one, whoever is fast or slow.
func TestOrderedSinksGetOneSequence(t *testing.T) {
	set := conformance.New(t, team)
	g := set.Graph(t, set.Images...)
	want := slices.Concat(digests(g.Layers), digests(g.Configs), digests(g.Manifests), []digest.Digest{""})
	for _, concurrency := range []int{1, 2, 8, 100} {
		for _, local := range []bool{false, true} {
			for seed := range uint64(3) {
				bubble(t, fmt.Sprint(concurrency, local, seed), func(t *testing.T) {
					s := spy{on: delays(seed), props: transport.Properties{Ordered: true}, local: local}
					var place conformance.Memory
					_, err := transport.Copy(lasting(t), all(s.source(set.Source()), set.Images...), s.sink(&place), transport.Options{Downloads: concurrency, Uploads: concurrency, SpoolDir: t.TempDir()})
					must(t, err)
					if got := s.of("blob", "write manifest", "commit"); !slices.Equal(got, want) {
						t.Errorf("calls about\n%v\nwant\n%v", got, want)
					}
					if s.most["blob"] > 1 || s.most["write manifest"] > 1 {
						t.Errorf("%v calls at a time", s.most)
					}
					wantWhole(t, &place, set, set.Images...)
				})
			}
		}
	}
}

// No more than Concurrency blobs are read at a time, and no more than Workers
// are prepared; and as many are.
func TestConcurrencyIsBounded(t *testing.T) {
	for _, w := range append(slices.Clone(ways), way{"ordered, half local", true, true, false}, way{"prepared, half local", true, true, true}) {
		for _, concurrency := range []int{1, 2, 7} {
			bubble(t, fmt.Sprint(w.name, concurrency), func(t *testing.T) {
				lib := newLibrary(t)
				s := newSpy(w)
				s.on = delays(uint64(concurrency))
				var requests []transport.Request
				src := &late{} // of what the library will hold
				for i := range 10 {
					from := s.source(src)
					if strings.HasSuffix(w.name, "half local") && i%2 == 0 {
						from = &spySource{src, s}
					}
					img := lib.name(fmt.Sprint(team, "/app:", i), lib.image(amd64, lib.layer(fmt.Sprint(i)), lib.layer(fmt.Sprint("other ", i))))
					requests = append(requests, all(from, img)...)
				}
				src.Source = lib.Source()
				var place conformance.Memory
				_, err := transport.Copy(lasting(t), requests, s.sink(&place), transport.Options{Downloads: concurrency, Uploads: concurrency, Workers: concurrency, SpoolDir: t.TempDir()})
				must(t, err)
				most := concurrency
				if w.prepares && w.local {
					most += concurrency + 1 // prepared, and written, from where they lie
				}
				if n := s.most["open"]; n > most {
					t.Errorf("%d blobs were open at a time, want at most %d", n, most)
				}
				if n := s.most["prepare"]; n > concurrency || n < concurrency && w.prepares && w.local {
					t.Errorf("%d blobs were prepared at a time, want %d", n, concurrency)
				}
				if n := s.most["open"]; n < concurrency && !w.local {
					t.Errorf("%d blobs were open at a time, want %d", n, concurrency)
				}
				wantWhole(t, &place, &lib.Set, lib.Images...)
			})
		}
	}
}

// late is a source that is put in place later.
type late struct{ transport.Source }

// tiny is a set that is copied in few calls.
func tiny(t *testing.T) *library {
	lib := newLibrary(t)
	base := lib.layer("base")
	one := lib.image(amd64, base, lib.layer("one"))
	lib.name(team+"/one:1", one)
	lib.name(team+"/both:1", lib.index(one, lib.image(arm64, base)))
	return lib
}

// nth does something at the n-th call, counted from 0.
func nth(n int, do func(c call) error) (on func(context.Context, call) error, hit func() bool) {
	var mu sync.Mutex
	count := 0
	return func(_ context.Context, c call) error {
			mu.Lock()
			count++
			now := count == n+1
			mu.Unlock()
			if now {
				return do(c)
			}
			return nil
		}, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return count > n
		}
}

// Every single call in turn fails. Nothing of that may be committed, and the
// reason must come out with the side that it is on.
func TestEveryCallFailsInTurn(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			done := false
			for n := 0; !done; n++ {
				synctest.Test(t, func(t *testing.T) {
					lib := tiny(t)
					dir := t.TempDir()
					var failed call
					s := newSpy(w)
					on, hit := nth(n, func(c call) error { failed = c; return errBoom })
					s.on = on
					var place conformance.Memory
					plan, err := transport.Copy(lasting(t), all(s.source(lib.Source()), lib.Images...), s.sink(&place), transport.Options{Downloads: 2, Uploads: 2, SpoolDir: dir})
					wantNoSpools(t, dir)
					if open := s.now["open"]; open != 0 {
						t.Errorf("call %d: %d streams were left open", n, open)
					}
					if !hit() {
						must(t, err)
						wantWhole(t, &place, &lib.Set, lib.Images...)
						done = true
						return
					}
					wantEmpty(t, &place)
					if !errors.Is(err, errBoom) || plan != nil {
						t.Errorf("call %d, %+v: %v", n, failed, err)
						return
					}
					wantSide(t, failed, err)
				})
			}
		})
	}
}

// wantSide fails the test unless err says at which side and with what a call failed.
func wantSide(t *testing.T, failed call, err error) {
	t.Helper()
	want := transport.AtTarget
	if slices.Contains([]string{"manifest", "open", "read"}, failed.op) {
		want = transport.AtSource
	}
	if failed.op == "commit" {
		if !strings.HasPrefix(err.Error(), string(want)+": ") {
			t.Errorf("%s: %v, want it to begin with %s", failed.op, err, want)
		}
		return
	}
	var side *transport.Error
	if !errors.As(err, &side) || side.Side != want {
		t.Errorf("%s: %v, want it to be at the %s", failed.op, err, want)
		return
	}
	// Manifests are asked for, and images looked up, by the image's name.
	object := failed.digest.String()
	if failed.op == "manifest" || failed.op == "holds" {
		object = team + "/"
	}
	if !strings.HasPrefix(side.Object, object) {
		t.Errorf("%s: %v, want it to name %s", failed.op, err, object)
	}
	if strings.Count(err.Error(), string(want)+": ") != 1 {
		t.Errorf("%s: %v names the side more than once", failed.op, err)
	}
}

// The user breaks off at every single call in turn.
func TestCancelAtEveryCall(t *testing.T) {
	sinks := map[string]func(s *spy, m *conformance.Memory) transport.Sink{
		"memory": func(s *spy, m *conformance.Memory) transport.Sink { return s.sink(m) },
		"deaf":   func(s *spy, _ *conformance.Memory) transport.Sink { return s.discard() }, // to the context
	}
	for _, w := range ways {
		for kind, sink := range sinks {
			t.Run(w.name+"/"+kind, func(t *testing.T) { cancelAtEveryCall(t, w, sink) })
		}
	}
}

func cancelAtEveryCall(t *testing.T, w way, sink func(*spy, *conformance.Memory) transport.Sink) {
	done := false
	for n := 0; !done; n++ {
		synctest.Test(t, func(t *testing.T) {
			lib := tiny(t)
			dir := t.TempDir()
			ctx, cancel := context.WithCancel(lasting(t))
			defer cancel()
			s := newSpy(w)
			var at call
			on, hit := nth(n, func(c call) error { at = c; cancel(); return nil })
			s.on = on
			var place conformance.Memory
			plan, err := transport.Copy(ctx, all(s.source(lib.Source()), lib.Images...), sink(s, &place), transport.Options{Downloads: 2, Uploads: 2, SpoolDir: dir})
			wantNoSpools(t, dir)
			if s.now["open"] != 0 {
				t.Errorf("call %d: %d streams were left open", n, s.now["open"])
			}
			if !hit() {
				must(t, err)
				done = true
				return
			}
			if at.op == "commit" {
				return // it is the sink's to tell; see the next tests
			}
			if err != context.Canceled || plan != nil {
				t.Errorf("call %d, %+v: %v, want context.Canceled", n, at, err)
			}
			if len(s.of("commit")) > 0 {
				t.Errorf("call %d, %+v: commit was called", n, at)
			}
			wantEmpty(t, &place)
		})
	}
}

func TestContextThatHasEnded(t *testing.T) {
	lib := tiny(t)
	for _, w := range ways {
		ctx, cancel := context.WithTimeout(t.Context(), -1)
		defer cancel()
		s := newSpy(w)
		_, err := transport.Copy(ctx, all(s.source(lib.Source()), lib.Images...), s.discard(), transport.Options{})
		if err != context.DeadlineExceeded || s.committed != nil {
			t.Errorf("%s: %v, committed %v", w.name, err, s.committed)
		}
	}
}

// Once the names are set, it is done, whatever becomes of the context.
func TestContextThatEndsInCommit(t *testing.T) {
	lib := tiny(t)
	for _, fails := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var place conformance.Memory
		sink := ending{place.Sink(), cancel, fails}
		plan, err := transport.Copy(ctx, all(lib.Source(), lib.Images...), sink, transport.Options{})
		if fails {
			if err != context.Canceled || plan != nil {
				t.Errorf("commit fails: %v", err)
			}
			wantEmpty(t, &place)
			continue
		}
		if err != nil || plan == nil {
			t.Errorf("commit succeeds: %v", err)
		}
		wantWhole(t, &place, &lib.Set, lib.Images...)
	}
}

// ending is a sink in whose Commit the context ends: at first, or at last.
type ending struct {
	transport.Sink
	cancel context.CancelFunc
	first  bool
}

func (s ending) Commit(ctx context.Context, images []transport.Image) error {
	if s.first {
		s.cancel()
	} else {
		defer s.cancel()
	}
	return s.Sink.Commit(ctx, images)
}

// Whatever content a source gives, wrong content is never committed.
func TestFaultsOfTheSource(t *testing.T) {
	probe := tiny(t)
	g := probe.Graph(t, probe.Images...)
	faults := map[string]func(d v1.Descriptor) *conformance.Fault{
		"open":      func(d v1.Descriptor) *conformance.Fault { return conformance.FailOpen(d.Digest) },
		"at once":   func(d v1.Descriptor) *conformance.Fault { return conformance.FailRead(d.Digest, 0) },
		"half-way":  func(d v1.Descriptor) *conformance.Fault { return conformance.FailRead(d.Digest, d.Size/2) },
		"at end":    func(d v1.Descriptor) *conformance.Fault { return conformance.FailRead(d.Digest, d.Size) },
		"empty":     func(d v1.Descriptor) *conformance.Fault { return conformance.CutShort(d.Digest, 0) },
		"short":     func(d v1.Descriptor) *conformance.Fault { return conformance.CutShort(d.Digest, d.Size-1) },
		"long":      func(d v1.Descriptor) *conformance.Fault { return conformance.Lengthen(d.Digest, []byte("x")) },
		"first bit": func(d v1.Descriptor) *conformance.Fault { return conformance.FlipBit(d.Digest, 0) },
		"last bit":  func(d v1.Descriptor) *conformance.Fault { return conformance.FlipBit(d.Digest, 8*d.Size-1) },
	}
	for _, w := range ways {
		for what, fails := range faults {
			for i, victim := range append(g.Blobs(), g.Manifests...) {
				for _, once := range []bool{false, true} {
					bubble(t, fmt.Sprint(w.name, what, i, once), func(t *testing.T) {
						lib := tiny(t)
						f := fails(victim)
						if once {
							f.Nth(1)
						}
						s := newSpy(w)
						var place conformance.Memory
						src := s.source(conformance.Inject(t, lib.Source(), f))
						_, err := transport.Copy(lasting(t), all(src, lib.Images...), s.sink(&place), transport.Options{SpoolDir: t.TempDir()})
						var side *transport.Error
						if !errors.As(err, &side) || side.Side != transport.AtSource {
							t.Fatalf("%v, want an error at the source", err)
						}
						if !errors.Is(err, conformance.ErrInjected) && !errors.Is(err, fault.ErrDamaged) || errors.Is(err, io.EOF) {
							t.Errorf("%v, want what was injected or an ErrDamaged", err)
						}
						wantEmpty(t, &place)
					})
				}
			}
		}
	}
}

// scripted is a sink that writes blobs in its own way.
type scripted struct {
	discard
	write func(ctx context.Context, d v1.Descriptor, open transport.Opener) error
}

func (s scripted) WriteBlob(ctx context.Context, d v1.Descriptor, _ []transport.Image, open transport.Opener) error {
	return s.write(ctx, d, open)
}

// How sinks treat what they read must not change whose failure it is.
func TestWhoseFailureItIs(t *testing.T) {
	read := func(ctx context.Context, open transport.Opener) error {
		rc, err := open(ctx)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, rc)
		return errors.Join(err, rc.Close())
	}
	for _, c := range []struct {
		name  string
		write func(ctx context.Context, d v1.Descriptor, open transport.Opener) error
		fault func(d v1.Descriptor) *conformance.Fault
		side  transport.Side // "": none
		want  error
	}{
		{"hides what the source said", func(ctx context.Context, d v1.Descriptor, open transport.Opener) error {
			if read(ctx, open) != nil {
				return errBoom
			}
			return nil
		}, func(d v1.Descriptor) *conformance.Fault { return conformance.FailRead(d.Digest, 1) }, transport.AtSource, conformance.ErrInjected},
		{"hides that it cannot be opened", func(ctx context.Context, d v1.Descriptor, open transport.Opener) error {
			if read(ctx, open) != nil {
				return errBoom
			}
			return nil
		}, func(d v1.Descriptor) *conformance.Fault { return conformance.FailOpen(d.Digest) }, transport.AtSource, conformance.ErrInjected},
		{"tries again", func(ctx context.Context, d v1.Descriptor, open transport.Opener) error {
			if read(ctx, open) == nil {
				return nil
			}
			return read(ctx, open)
		}, func(d v1.Descriptor) *conformance.Fault { return conformance.FailRead(d.Digest, 1).Nth(1) }, "", nil},
		{"tries again and fails itself", func(ctx context.Context, d v1.Descriptor, open transport.Opener) error {
			if read(ctx, open) == nil {
				return nil
			}
			if err := read(ctx, open); err != nil {
				return err
			}
			return errBoom
		}, func(d v1.Descriptor) *conformance.Fault { return conformance.FailRead(d.Digest, 1).Nth(1) }, transport.AtTarget, errBoom},
		{"gives up by a context of its own", func(ctx context.Context, d v1.Descriptor, open transport.Opener) error {
			ctx, cancel := context.WithCancel(ctx)
			rc, err := open(ctx)
			if err != nil {
				cancel()
				return err
			}
			cancel()
			_, err = io.Copy(io.Discard, rc)
			_ = rc.Close()
			if !errors.Is(err, context.Canceled) {
				return err
			}
			return errBoom
		}, nil, transport.AtTarget, errBoom},
		{"reads on after closing", func(ctx context.Context, d v1.Descriptor, open transport.Opener) error {
			rc, err := open(ctx)
			if err != nil {
				return err
			}
			_ = rc.Close()
			if _, err := rc.Read(make([]byte, 1)); err == nil {
				return nil
			}
			return errBoom
		}, nil, transport.AtTarget, errBoom},
		{"opens several times at once", func(ctx context.Context, d v1.Descriptor, open transport.Opener) error {
			var group errgroup.Group
			for range 4 {
				group.Go(func() error { return read(ctx, open) })
			}
			return group.Wait()
		}, nil, "", nil},
		{"opens several times at once, and one fails", func(ctx context.Context, d v1.Descriptor, open transport.Opener) error {
			var group errgroup.Group
			for range 4 {
				group.Go(func() error { return read(ctx, open) })
			}
			return group.Wait()
		}, func(d v1.Descriptor) *conformance.Fault { return conformance.FailRead(d.Digest, 1).Nth(2) }, transport.AtSource, conformance.ErrInjected},
		{"reads on in the background", func(ctx context.Context, d v1.Descriptor, open transport.Opener) error {
			rc, err := open(ctx)
			if err != nil {
				return err
			}
			go func() { _, _ = io.Copy(io.Discard, rc) }()
			return errBoom
		}, nil, transport.AtTarget, errBoom},
	} {
		bubble(t, c.name, func(t *testing.T) {
			lib := newLibrary(t)
			layer := lib.layer("some content")
			img := lib.name(team+"/app:1", lib.image(amd64, layer))
			src := transport.Source(closing{lib.Source()})
			if c.fault != nil {
				src = conformance.Inject(t, src, c.fault(layer))
			}
			sink := scripted{discard{&spy{}}, func(ctx context.Context, d v1.Descriptor, open transport.Opener) error {
				if d.Digest != layer.Digest {
					return read(ctx, open)
				}
				return c.write(ctx, d, open)
			}}
			_, err := transport.Copy(lasting(t), all(src, img), sink, transport.Options{})
			if c.side == "" {
				must(t, err)
				return
			}
			var side *transport.Error
			if !errors.Is(err, c.want) || !errors.As(err, &side) || side.Side != c.side || side.Object != layer.Digest.String() {
				t.Errorf("%v, want %v at the %s", err, c.want, c.side)
			}
			if errors.Is(err, context.Canceled) {
				t.Errorf("%v looks as if the user had broken off", err)
			}
		})
	}
}

// closing is a source whose streams cannot be read once they are closed.
type closing struct{ transport.Source }

func (s closing) Blob(ctx context.Context, in transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	rc, err := s.Source.Blob(ctx, in, d)
	return &closable{rc: rc}, err
}

type closable struct {
	mu     sync.Mutex
	rc     io.ReadCloser
	closed bool
}

func (c *closable) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, os.ErrClosed
	}
	return c.rc.Read(p)
}

func (c *closable) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return c.rc.Close()
}

// Planned sees the plan before anything is written and may end the copy.
func TestPlanned(t *testing.T) {
	lib := tiny(t)
	for _, w := range ways {
		s := newSpy(w)
		var place conformance.Memory
		_, err := transport.Copy(t.Context(), all(s.source(lib.Source()), lib.Images...), s.sink(&place), transport.Options{
			Planned: func(p *transport.Plan) error {
				if len(p.Images) != 2 {
					t.Errorf("planned %v", p.Images)
				}
				return errBoom
			},
		})
		if !errors.Is(err, errBoom) {
			t.Error(err)
		}
		if calls := s.of("open", "blob", "write manifest", "commit"); len(calls) > 0 {
			t.Errorf("%d calls although the plan was refused", len(calls))
		}
	}
}

// progress adds up what it is told.
type progress struct {
	mu     sync.Mutex
	phases []string
	totals map[string]int64
	bytes  map[string]int64
}

func (p *progress) Phase(name string, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phases = append(p.phases, name)
	p.totals[name] = total
}

func (p *progress) Add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes[p.phases[len(p.phases)-1]] += n
}

func TestProgress(t *testing.T) {
	set := conformance.New(t, team)
	for _, w := range ways {
		p := progress{totals: make(map[string]int64), bytes: make(map[string]int64)}
		s := newSpy(w)
		var place conformance.Memory
		plan, err := transport.Copy(t.Context(), all(s.source(set.Source()), set.Images...), s.sink(&place), transport.Options{Progress: &p, SpoolDir: t.TempDir()})
		must(t, err)
		phase := transport.PhaseCopy
		if w.prepares {
			phase = transport.PhaseAnalyse
		}
		if want := []string{transport.PhasePlan, phase, transport.PhaseCommit}; !slices.Equal(p.phases, want) {
			t.Errorf("%s: phases %v, want %v", w.name, p.phases, want)
		}
		copied, _ := plan.Bytes()
		if p.totals[phase] != copied || p.bytes[phase] != copied {
			t.Errorf("%s: told of %d bytes and then %d, planned %d", w.name, p.totals[phase], p.bytes[phase], copied)
		}
	}
}

func TestNothingToCopy(t *testing.T) {
	var s spy
	plan, err := transport.Copy(t.Context(), nil, s.sink(&conformance.Memory{}), transport.Options{})
	if err != nil || len(plan.Images) != 0 || len(s.calls) != 2 {
		t.Errorf("%v, %v, %v", plan, err, s.calls)
	}
}
