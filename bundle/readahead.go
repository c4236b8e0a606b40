package bundle

import "io"

const (
	// aheadBuffers and aheadSize are how many buffers of how many bytes a
	// readAhead fills before they are wanted.
	aheadBuffers, aheadSize = 4, 256 << 10
)

// readAhead reads from another goroutine, so that what it takes to read
// (inflating, hashing) goes on beside what is done with what was read.
type readAhead struct {
	full, empty chan []byte
	quit, done  chan struct{}
	err         error  // of the reader, once full is closed
	now         []byte // the buffer being used
	rest        []byte // what is left of it
}

// newReadAhead starts to read r. The caller calls stop when it wants no more.
func newReadAhead(r io.Reader) *readAhead {
	a := &readAhead{
		full: make(chan []byte, aheadBuffers), empty: make(chan []byte, aheadBuffers),
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	for range aheadBuffers {
		a.empty <- make([]byte, aheadSize)
	}
	go a.run(r)
	return a
}

func (a *readAhead) run(r io.Reader) {
	defer close(a.done)
	defer close(a.full)
	for {
		var b []byte
		select {
		case b = <-a.empty:
		case <-a.quit:
			return
		}
		n, err := r.Read(b[:aheadSize])
		if n > 0 {
			a.full <- b[:n] // there is room for all buffers
		}
		if err != nil {
			a.err = err
			return
		}
		if n == 0 {
			a.empty <- b
		}
	}
}

// Read implements io.Reader.
func (a *readAhead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.now != nil {
			a.empty <- a.now // there is room for all buffers
			a.now = nil
		}
		b, ok := <-a.full
		if !ok {
			return 0, a.err
		}
		a.now, a.rest = b, b
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// stop ends the reading and waits for it.
func (a *readAhead) stop() {
	close(a.quit)
	<-a.done
}
