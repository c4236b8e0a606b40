package transport

import (
	"io"
	"sync"
)

// tally tells how far one blob has come. Bytes alone would not do: it may be
// gone through several times (fetched, prepared, written), and each of these
// takes its time. So each pass counts for the same share of the blob's size.
type tally struct {
	p      Progress
	size   int64
	passes int

	mu   sync.Mutex
	done float64 // passes
	told int64
}

// count adds n of a pass's total bytes. A sink that reads more than once in a
// pass, because it tries again, does not get further than the pass's end.
func (t *tally) count(n, total int64, end int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tell(min(t.done+float64(n)/float64(total), float64(end)))
}

// reach ends a pass, however much of it was read.
func (t *tally) reach(end int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tell(float64(end))
}

func (t *tally) tell(done float64) {
	if done <= t.done {
		return
	}
	t.done = done
	// The last byte is not left to rounding.
	now := t.size
	if done < float64(t.passes) {
		now = min(now, int64(float64(t.size)*done/float64(t.passes)))
	}
	if now > t.told {
		t.p.Add(now - t.told)
		t.told = now
	}
}

// counting tells how much is read through it.
type counting struct {
	io.ReadCloser
	count func(n int64)
}

func (c counting) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	if n > 0 {
		c.count(int64(n))
	}
	return n, err
}
