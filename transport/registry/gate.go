package registry

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxGates bounds how many hosts are remembered: redirects may name any number.
const maxGates = 256

// gates has one gate for every host.
type gates struct {
	note func(format string, args ...any)

	mu sync.Mutex
	m  map[string]*gate
}

// of returns the gate of a host.
func (s *gates) of(host string) *gate {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.m[host]
	if g == nil {
		if len(s.m) >= maxGates || s.m == nil {
			s.m = map[string]*gate{} // requests under way keep theirs
		}
		g = &gate{host: host, note: s.note, turn: make(chan struct{}, 1)}
		s.m[host] = g
	}
	return g
}

// gate holds back all requests to one host that limits them, so that they wait
// together. After the wait one goes first, and the others follow when it has
// come through.
type gate struct {
	host string
	note func(format string, args ...any)
	turn chan struct{} // taken by the one that goes first

	mu     sync.Mutex
	closed bool
	since  time.Time // of the last wait
	until  time.Time // no request goes out before
	spoke  bool      // the host has answered something
}

// enter waits until a request may go out. The caller calls pass when it has
// been answered, or has failed.
func (g *gate) enter(ctx context.Context) (pass func(), err error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		g.mu.Lock()
		closed, wait := g.closed, time.Until(g.until)
		g.mu.Unlock()
		if !closed {
			return func() {}, nil
		}
		if wait > 0 {
			if err := sleep(ctx, wait); err != nil {
				return nil, err
			}
			continue
		}
		select {
		case g.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		// Meanwhile another one may have been first, and come through or not.
		g.mu.Lock()
		first := g.closed && time.Until(g.until) <= 0
		g.mu.Unlock()
		if first {
			return func() { <-g.turn }, nil
		}
		<-g.turn
	}
}

// shut makes all requests wait, because one that was sent at a time has met a
// limit. It says so once for all that were under way together.
func (g *gate) shut(sent time.Time, wait time.Duration, l *limit) {
	now := time.Now()
	g.mu.Lock()
	together := g.closed && sent.Before(g.since)
	g.closed, g.spoke = true, true
	if until := now.Add(wait); until.After(g.until) {
		g.until = until
	}
	if !together {
		g.since = now
	}
	g.mu.Unlock()
	if g.note != nil && !together {
		g.note("%s limits requests%s: waiting %s", g.host, l, roundUp(wait))
	}
}

// open lets all requests pass, because one that was sent at a time has come
// through. One from before the wait says nothing about the limit.
func (g *gate) open(sent time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.spoke = true
	if !sent.Before(g.since) {
		g.closed = false
	}
}

// answered reports whether the host has ever answered.
func (g *gate) answered() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.spoke
}

// roundUp makes a wait readable.
func roundUp(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return (d + time.Second - 1).Truncate(time.Second)
}

// limit is what a registry says about its limit of requests, as Docker Hub does
// in its headers (docs.docker.com, "Docker Hub pull usage and limits").
type limit struct {
	all, left, window int64  // -1 is unknown
	source            string // the address or account that it counts for
}

// limitOf returns the limit that an answer has met, or nil, and how long the
// registry wants its clients to wait, 0 if it does not say.
func limitOf(resp *http.Response, err error) (*limit, time.Duration) {
	if err != nil {
		return nil, 0
	}
	asked, ok := retryAfter(resp.Header.Get("Retry-After"), time.Now())
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
	case resp.StatusCode == http.StatusServiceUnavailable && ok:
	default:
		return nil, 0
	}
	l := &limit{all: -1, left: -1, window: -1, source: printable(resp.Header.Get("docker-ratelimit-source"))}
	l.all, l.window = quantity(resp.Header.Get("ratelimit-limit"))
	l.left, _ = quantity(resp.Header.Get("ratelimit-remaining"))
	return l, asked
}

// String tells what is known, such as " (100 in 6h0m0s for 192.0.2.1, 0 left)".
func (l *limit) String() string {
	var b strings.Builder
	if l.all >= 0 {
		b.WriteString(strconv.FormatInt(l.all, 10))
		if l.window > 0 {
			b.WriteString(" in " + (time.Duration(l.window) * time.Second).String())
		}
	}
	if l.source != "" {
		b.WriteString(" for " + l.source)
	}
	if l.left >= 0 {
		b.WriteString(", " + strconv.FormatInt(l.left, 10) + " left")
	}
	s := strings.Trim(b.String(), " ,")
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

// maxQuantity bounds the numbers in headers: ten years of seconds.
const maxQuantity = 10 * 366 * 24 * 60 * 60

// quantity reads a header like "100;w=21600": a number of requests, and the
// seconds that they are counted over. What is unknown is -1.
func quantity(header string) (n, window int64) {
	number, rest, _ := strings.Cut(header, ";")
	n, window = seconds(number), -1
	if n < 0 {
		return -1, -1
	}
	for part := range strings.SplitSeq(rest, ";") {
		if w, ok := strings.CutPrefix(strings.TrimSpace(part), "w="); ok {
			window = seconds(w)
		}
	}
	return n, window
}

// seconds reads a whole number that is not negative and not absurd, else -1.
func seconds(s string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n < 0 || n > maxQuantity {
		return -1
	}
	return n
}

// retryAfter reads a Retry-After header (RFC 9110, section 10.2.3): seconds, or
// a date. ok is false if there is none that makes sense.
func retryAfter(header string, now time.Time) (wait time.Duration, ok bool) {
	if n := seconds(header); n >= 0 {
		return time.Duration(n) * time.Second, true
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0, false
	}
	return min(max(at.Sub(now), 0), maxQuantity*time.Second), true
}
