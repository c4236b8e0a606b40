package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/parts"
)

func answerCode(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// cutAnswer sends half of what it promises.
func cutAnswer(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", fmt.Sprint(len(manifestText)))
	_, _ = io.WriteString(w, manifestText[:10])
}

// TestTriesAgain has a registry fail some times in ways that pass.
func TestTriesAgain(t *testing.T) {
	for name, fail := range map[string]http.HandlerFunc{
		"408": answerCode(408), "429": answerCode(429), "500": answerCode(500), "502": answerCode(502),
		"503": answerCode(503), "504": answerCode(504), "hangs up": hangUp, "cut": cutAnswer,
	} {
		t.Run(name, func(t *testing.T) {
			var asked, failures atomic.Int32
			host := liar(t, func(w http.ResponseWriter, r *http.Request) {
				if asked.Add(1) <= failures.Load() {
					fail(w, r)
					return
				}
				serve(v1.MediaTypeImageManifest, "", manifestText)(w, r)
			})
			failures.Store(int32(quick.Steps) - 1)
			src := newTestClient(t, Options{}).Source()
			one(t, src, host+"/app:1")
			if n := asked.Swap(0); n != int32(quick.Steps) {
				t.Errorf("%d requests, want %d", n, quick.Steps)
			}
			failures.Store(1000)
			_, err := src.Images(t.Context(), host+"/app:1")
			want := quick.Steps
			if name == "429" {
				want = maxLimited
			}
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("tried %d times in ", want)) || fault.Hint(err) == "" {
				t.Errorf("%v (%s)", err, fault.Hint(err))
			}
			// net/http sends a request again by itself if the connection was an old one.
			if n := asked.Load(); n != int32(want) && (name != "hangs up" || n != int32(want)+1) {
				t.Errorf("%d requests, want %d", n, want)
			}
		})
	}
}

// TestTriesOnce has a registry fail in ways that do not pass.
func TestTriesOnce(t *testing.T) {
	for name, fail := range map[string]http.HandlerFunc{
		"400": answerCode(400), "401": answerCode(401), "403": answerCode(403), "404": answerCode(404),
		"405": answerCode(405), "501": answerCode(501), "507": answerCode(507),
		"digest": serve(v1.MediaTypeImageManifest, "sha256:"+strings.Repeat("0", 64), manifestText),
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(transport.MaxManifest+1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			host := liar(t, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				fail(w, r)
			})
			_, err := newTestClient(t, Options{}).Source().Images(t.Context(), host+"/app:1")
			if err == nil || strings.Contains(err.Error(), "tried") {
				t.Errorf("%v", err)
			}
			if n := asked.Load(); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// TestTriesTokensAgain has a token server that fails at first.
func TestTriesTokensAgain(t *testing.T) {
	var asked atomic.Int32
	reg := parts.MemoryRegistry(t, tokens(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) < int32(quick.Steps) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, `{"token":"good"}`)
	}))
	_, err := newTestClient(t, Options{}).Source().Images(t.Context(), reg.Image("app:1"))
	if !errors.Is(err, fault.ErrMissing) {
		t.Error(err)
	}
	if n := asked.Load(); n != int32(quick.Steps) {
		t.Errorf("%d requests for tokens", n)
	}
}

// TestRegistryStartsAnew refuses connections for a while after the first
// answer. Before it nobody waits (see TestUnreachable).
func TestRegistryStartsAnew(t *testing.T) {
	var down atomic.Int32
	host := liar(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		serve(v1.MediaTypeImageManifest, "", manifestText)(w, r)
	})
	src := newTestClient(t, Options{dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if down.Add(-1) >= 0 {
			return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}).Source()
	one(t, src, host+"/app:1")
	down.Store(int32(quick.Steps) - 1)
	one(t, src, host+"/app:1")
	down.Store(1000)
	if _, err := src.Images(t.Context(), host+"/app:1"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%v", err)
	}
	if n := 1000 - down.Load(); n != int32(quick.Steps) {
		t.Errorf("%d connections tried", n)
	}
}

// notes collects what a client says.
type notes struct {
	mu   sync.Mutex
	list []string
}

func (n *notes) note(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, fmt.Sprintf(format, args...))
}

// TestWaitsTogether has several workers meet one limit. They must wait as one,
// then send one request to see whether the limit is gone, and say so once a wait.
func TestWaitsTogether(t *testing.T) {
	const workers = 5
	var (
		mu              sync.Mutex
		asked, now, max int
		together        = make(chan struct{})
	)
	host := liar(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked++
		n := asked
		if now++; n > workers && n <= workers+2 {
			max = maxOf(max, now)
		}
		mu.Unlock()
		defer func() {
			mu.Lock()
			now--
			mu.Unlock()
		}()
		w.Header().Set("Retry-After", "0")
		switch {
		case n < workers:
			<-together
			w.WriteHeader(http.StatusTooManyRequests)
		case n == workers:
			close(together)
			w.WriteHeader(http.StatusTooManyRequests)
		case n == workers+1:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			serve(v1.MediaTypeImageManifest, "", manifestText)(w, r)
		}
	})
	var said notes
	src := newTestClient(t, Options{Note: said.note, Backoff: remote.Backoff{Duration: 50 * time.Millisecond, Factor: 1, Steps: 3}}).Source()
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			if _, err := src.Images(t.Context(), host+"/app:1"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if max != 1 {
		t.Errorf("%d requests at once while the limit held", max)
	}
	if asked != 2*workers+1 {
		t.Errorf("%d requests", asked)
	}
	if len(said.list) != 2 {
		t.Errorf("%q", said.list)
	}
}

func maxOf(a, b int) int { return max(a, b) }

// TestLimitOfDockerHub reads Docker Hub's headers, and takes the longest wait
// for the user's to decide.
func TestLimitOfDockerHub(t *testing.T) {
	var after atomic.Value
	var asked atomic.Int32
	host := liar(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("ratelimit-limit", "100;w=21600")
		w.Header().Set("ratelimit-remaining", "0;w=21600")
		w.Header().Set("docker-ratelimit-source", "192.0.2.1")
		w.Header().Set("Retry-After", after.Load().(string))
		w.WriteHeader(http.StatusTooManyRequests)
	})
	const known = "(100 in 6h0m0s for 192.0.2.1, 0 left)"
	for _, c := range []struct {
		after, hint string
		asked       int32
	}{{"0", "docker login", maxLimited}, {"86400", "24h0m0s", 1}, {time.Now().Add(48 * time.Hour).UTC().Format(http.TimeFormat), "48h", 1}} {
		var said notes
		after.Store(c.after)
		asked.Store(0)
		_, err := newTestClient(t, Options{Note: said.note}).Source().Images(t.Context(), host+"/app:1")
		if err == nil || !strings.Contains(err.Error(), known) || !strings.Contains(fault.Hint(err), c.hint) && c.hint != "48h" {
			t.Errorf("%s: %v (%s)", c.after, err, fault.Hint(err))
		}
		if asked.Load() != c.asked || len(said.list) != int(c.asked)-1 {
			t.Errorf("%s: %d requests, said %q", c.after, asked.Load(), said.list)
		}
		for _, line := range said.list {
			if !strings.Contains(line, known) || !strings.Contains(line, host) {
				t.Errorf("%q", line)
			}
		}
	}
}

// TestWaitEndsWithContext breaks off while a registry makes everybody wait.
func TestWaitEndsWithContext(t *testing.T) {
	host := liar(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "600")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := newTestClient(t, Options{Note: func(string, ...any) { cancel() }})
	if _, err := c.Source().Images(ctx, host+"/app:1"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, err := c.Source().Images(ctx, host+"/app:1"); !errors.Is(err, context.Canceled) {
		t.Errorf("the next one: %v", err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestReplays sends again only what may be sent twice, with its whole body.
func TestReplays(t *testing.T) {
	const text = "the body"
	for _, c := range []struct {
		method string
		body   io.Reader
		times  int
	}{
		{http.MethodGet, nil, 3}, {http.MethodDelete, nil, 3}, {http.MethodPost, nil, 3},
		{http.MethodPut, strings.NewReader(text), 3}, {http.MethodPost, bytes.NewReader([]byte(text)), 3},
		{http.MethodPut, io.MultiReader(strings.NewReader(text)), 1},
		{http.MethodPatch, strings.NewReader(text), 1}, {http.MethodPatch, nil, 1},
	} {
		var bodies []string
		w := newWaiter(roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Body != nil {
				b, err := io.ReadAll(r.Body)
				if err != nil {
					t.Fatal(err)
				}
				bodies = append(bodies, string(b))
			} else {
				bodies = append(bodies, "")
			}
			return nil, io.ErrUnexpectedEOF
		}), Options{Backoff: quick})
		req, err := http.NewRequestWithContext(t.Context(), c.method, "http://127.0.0.1/", c.body)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.RoundTrip(req) //nolint:bodyclose // there is no answer
		if !errors.Is(err, io.ErrUnexpectedEOF) || len(bodies) != c.times {
			t.Errorf("%s: %v, %q", c.method, err, bodies)
		}
		for _, b := range bodies {
			if c.body != nil && b != text {
				t.Errorf("%s: body %q", c.method, b)
			}
		}
	}
}

func TestDelay(t *testing.T) {
	b := Options{}.backoff()
	last := time.Duration(0)
	for i := 1; i < 100; i++ {
		d := delay(b, i)
		if d < last/2 || d < b.Duration || d > maxDelay+maxDelay/4 {
			t.Errorf("%d failures: %s", i, d)
		}
		last = d
	}
}

// TestGate lets one request at a time through after a limit, until one that was
// sent after it has come back.
func TestGate(t *testing.T) {
	var all gates
	g := all.of("host")
	enter := func() (func(), error) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		return g.enter(ctx)
	}
	before := time.Now()
	g.shut(before, 0, &limit{})
	g.open(before) // an answer from before the limit
	pass, err := enter()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := enter(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("two went first: %v", err)
	}
	g.shut(time.Now(), 0, &limit{})
	pass()
	pass, err = enter()
	if err != nil {
		t.Fatal(err)
	}
	g.open(time.Now())
	if _, err := enter(); err != nil {
		t.Errorf("after a good answer: %v", err)
	}
	pass()

	g.shut(time.Now(), 0, &limit{})
	if pass, err = enter(); err != nil {
		t.Fatal(err)
	}
	second := make(chan error)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err := g.enter(ctx)
		second <- err
	}()
	time.Sleep(20 * time.Millisecond) // so that it most likely waits for its turn
	g.shut(time.Now(), time.Hour, &limit{})
	pass()
	if err := <-second; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the second did not wait as the first was told: %v", err)
	}
}

// TestGates bounds how many hosts are remembered.
func TestGates(t *testing.T) {
	var g gates
	for i := range 3 * maxGates {
		g.of(fmt.Sprint(i)).open(time.Now())
	}
	if len(g.m) > maxGates {
		t.Errorf("%d gates", len(g.m))
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 21, 17, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": -1, "0": 0, "30": 30 * time.Second, " 7 ": 7 * time.Second, "-1": -1, "1.5": -1, "soon": -1,
		"99999999999999999999": -1, "Sat, 21 Nov 2026 17:02:00 GMT": 2 * time.Minute,
		"Sat, 21 Nov 2026 16:00:00 GMT": 0, "Sun, 06 Nov 9994 08:49:37 GMT": maxQuantity * time.Second,
	} {
		got, ok := retryAfter(header, now)
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %s, %t", header, got, ok)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"", "120", "-1", "Fri, 31 Dec 1999 23:59:59 GMT", "9223372036854775807"} {
		f.Add(s)
	}
	now := time.Now()
	f.Fuzz(func(t *testing.T, header string) {
		if wait, ok := retryAfter(header, now); wait < 0 || wait > maxQuantity*time.Second || !ok && wait != 0 {
			t.Errorf("%q: %s, %t", header, wait, ok)
		}
	})
}

func FuzzQuantity(f *testing.F) {
	for _, s := range []string{"", "100;w=21600", "100", ";w=1", "1;w=-2;w=3", "100; w=9999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		n, window := quantity(header)
		if n < -1 || n > maxQuantity || window < -1 || window > maxQuantity {
			t.Errorf("%q: %d in %d", header, n, window)
		}
		if s := (&limit{n, n, window, ""}).String(); strings.Contains(s, "-") {
			t.Errorf("%q: %q", header, s)
		}
	})
}
