package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"testing"
	"time"

	"bale/transport/parts"
)

// late is how long something that must happen may take.
const late = 20 * time.Second

// moment is a request at which something is to happen.
type moment struct {
	method string // "" is any
	path   string // a regular expression
	skip   int    // requests that match and go through before
	after  int64  // bytes of content that go through before
}

// gate is a registry that lets a moment last until the test has ended.
type gate struct {
	*parts.RegistryPart
	moment
	match   *regexp.Regexp
	reached chan struct{}
	open    chan struct{}

	mu    sync.Mutex
	armed bool
	once  sync.Once
}

func newGate(t testing.TB, m moment) *gate {
	t.Helper()
	g := &gate{moment: m, match: regexp.MustCompile(m.path), reached: make(chan struct{}), open: make(chan struct{})}
	g.RegistryPart = parts.MemoryRegistry(t, g.wrap)
	t.Cleanup(func() { close(g.open) }) // before the registry waits for its clients
	return g
}

// arm lets the gate close from now on.
func (g *gate) arm() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.armed = true
}

// disarm lets everything through again.
func (g *gate) disarm() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.armed = false
}

func (g *gate) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !g.stops(r):
			next.ServeHTTP(w, r)
		case g.after == 0:
			g.wait(r)
		case r.Method == http.MethodGet:
			next.ServeHTTP(&halfWriter{w, g, r, g.after}, r)
		default:
			_, _ = io.CopyN(io.Discard, r.Body, g.after) // the client may be gone
			g.wait(r)
		}
	})
}

func (g *gate) stops(r *http.Request) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.armed || g.method != "" && g.method != r.Method || !g.match.MatchString(r.URL.Path) {
		return false
	}
	g.skip--
	return g.skip < 0
}

// wait says that the moment has come, and lets it last.
func (g *gate) wait(r *http.Request) {
	g.once.Do(func() { close(g.reached) })
	select {
	case <-g.open:
	case <-r.Context().Done():
	}
}

// halfWriter stops when so many bytes of an answer have gone out.
type halfWriter struct {
	http.ResponseWriter
	g    *gate
	r    *http.Request
	left int64
}

func (w *halfWriter) Write(p []byte) (int, error) {
	if w.left > int64(len(p)) {
		w.left -= int64(len(p))
		return w.ResponseWriter.Write(p)
	}
	_, _ = w.ResponseWriter.Write(p[:w.left]) // the client may be gone
	_ = http.NewResponseController(w.ResponseWriter).Flush()
	w.g.wait(w.r)
	return 0, io.ErrClosedPipe
}

// process is a bale of its own.
type process struct {
	t           *testing.T
	cmd         *exec.Cmd
	out, errout bytes.Buffer
	ended       chan struct{}
}

// startBale starts the program; see TestMain. It does not outlive the test.
func startBale(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command("bale", args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.errout
	p.start()
	return p
}

func (p *process) start() {
	p.t.Helper()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended is looked at later
	}()
	p.t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // as a rule it has ended
		<-p.ended
	})
}

// until waits for what has to happen before the program ends.
func (p *process) until(what string, happened <-chan struct{}) {
	p.t.Helper()
	select {
	case <-happened:
	case <-p.ended:
		p.t.Fatalf("bale ended before %s: %s", what, p.errout.String())
	case <-time.After(late):
		p.t.Fatalf("no %s after %v", what, late)
	}
}

// end waits until the program has ended.
func (p *process) end() outcome {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(late):
		p.t.Fatalf("bale has not ended after %v", late)
	}
	return outcome{p.cmd.ProcessState.ExitCode(), p.out.String(), p.errout.String()}
}

// signal sends the program a signal and waits until it has ended.
func (p *process) signal(s os.Signal) outcome {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
	return p.end()
}
