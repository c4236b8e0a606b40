package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"bale/transport"
)

// Between two lines of plain progress there are at least this much time and
// this share of the whole: a log should not drown. But after a while there is
// one however little was done: nobody should think that nothing is.
const (
	plainEvery = 5 * time.Second
	plainShare = 10 // per cent
	plainLate  = time.Minute
)

// progress returns how a command tells of its progress: nothing when quiet, a
// bar on a terminal, lines elsewhere.
func (a *app) progress() *meter {
	m := &meter{w: a.err, now: time.Now, quiet: a.quiet}
	if f, ok := a.err.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		m.terminal = true
	}
	// Lines of words would be in the way of a program that reads JSON.
	m.quiet = m.quiet || a.json && !m.terminal
	return m
}

// meter implements [transport.Progress].
type meter struct {
	w        io.Writer
	now      func() time.Time
	quiet    bool
	terminal bool

	mu    sync.Mutex
	name  string
	total int64
	done  int64
	bar   *progressbar.ProgressBar
	start time.Time
	last  time.Time
	share int64
}

var _ transport.Progress = (*meter)(nil)

// Phase implements [transport.Progress].
func (m *meter) Phase(name string, total int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end()
	m.name, m.total, m.done, m.share = name, total, 0, 0
	m.start = m.now()
	m.last = m.start
	switch {
	case m.quiet:
	case m.terminal:
		m.bar = newBar(m.w, name, total)
	case total > 0:
		fmt.Fprintf(m.w, "%s: %s\n", name, size(total))
	default:
		fmt.Fprintf(m.w, "%s\n", name)
	}
}

// newBar shows bytes, rate and time left; a spinner where the size is unknown.
func newBar(w io.Writer, name string, total int64) *progressbar.ProgressBar {
	if total == 0 {
		total = -1
	}
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(name),
		progressbar.OptionShowBytes(true),
		progressbar.OptionShowCount(), // of bytes, that is
		progressbar.OptionShowTotalBytes(true),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSpinnerType(14),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetWidth(30))
}

// Add implements [transport.Progress].
func (m *meter) Add(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += n
	switch {
	case m.quiet || m.name == "":
	case m.bar != nil:
		_ = m.bar.Add64(n) // a bar that cannot be drawn is no reason to stop
	case m.total > 0:
		share := m.done * 100 / m.total
		now := m.now()
		if since := now.Sub(m.last); since >= plainLate || since >= plainEvery && share >= m.share+plainShare {
			m.share, m.last = share, now
			fmt.Fprintf(m.w, "%s: %s of %s (%d %%)%s\n", m.name, size(m.done), size(m.total), share, m.left(now))
		}
	default:
		if now := m.now(); now.Sub(m.last) >= plainEvery {
			m.last = now
			fmt.Fprintf(m.w, "%s: %s\n", m.name, size(m.done))
		}
	}
}

// left estimates the time left from the rate so far.
func (m *meter) left(now time.Time) string {
	spent := now.Sub(m.start)
	if m.done == 0 || spent < time.Second {
		return ""
	}
	rest := time.Duration(float64(spent) / float64(m.done) * float64(m.total-m.done))
	return fmt.Sprintf(", %s/s, %s left", size(int64(float64(m.done)/spent.Seconds())), rest.Round(time.Second))
}

// finish ends the last phase. It is called before anything else is printed.
func (m *meter) finish() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end()
	m.name = ""
}

func (m *meter) end() {
	if m.bar != nil {
		_ = m.bar.Finish() // see Add
		_ = m.bar.Clear()
		m.bar = nil
	}
}

// size writes a number of bytes for people, in powers of 1000 as discs and
// registries do.
func size(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), ""
	for _, unit = range []string{"kB", "MB", "GB", "TB"} {
		if v /= 1000; v < 999.5 {
			break
		}
	}
	if v < 9.95 {
		return fmt.Sprintf("%.1f %s", v, unit)
	}
	return fmt.Sprintf("%.0f %s", v, unit)
}
