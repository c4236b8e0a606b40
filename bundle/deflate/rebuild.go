package deflate

import (
	"bufio"
	"errors"
	"io"
)

// A Reader gives a gzip stream that is rebuilt from raw bytes.
type Reader struct {
	m    *model
	out  []byte // what was rebuilt and not read
	left int64
	err  error
}

// NewReader rebuilds the stream of size bytes that params (of a [Recipe]) and
// corrections describe, from the raw bytes that it decompresses to. Read fails
// with [ErrRecipe] if these do not fit together, or if any are left over. That
// the stream is the right one only its digest tells. It keeps less than 16 MiB
// in memory.
// The caller closes it.
func NewReader(params []byte, size int64, raw, corrections io.Reader) (io.ReadCloser, error) {
	ch, err := parseParams(params)
	if err != nil {
		return nil, err
	}
	m, err := newModel(newReadingCoder(bufio.NewReader(corrections)), ch)
	if err != nil {
		return nil, err
	}
	m.raw = raw
	return &Reader{m: m, left: size}, nil
}

// Read implements [io.Reader].
func (r *Reader) Read(p []byte) (int, error) {
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.m.w.out = r.m.w.out[:0]
		more, err := r.m.step()
		r.out = r.m.w.out
		switch {
		case err != nil:
			r.err, r.out = err, nil
		case int64(len(r.out)) > r.left:
			r.err, r.out = misfit("more comes out than the stream has"), nil
		case !more:
			r.err = r.end()
		}
		r.left -= int64(len(r.out))
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// end makes sure that nothing is missing and nothing left over.
func (r *Reader) end() error {
	if r.left > 0 {
		return misfit("%d bytes less come out than the stream has", r.left)
	}
	var one [1]byte
	if n, err := io.ReadFull(r.m.raw, one[:]); n > 0 {
		return misfit("raw bytes are left over")
	} else if err != io.EOF {
		return err
	}
	return io.EOF
}

// Close implements [io.Closer]. It waits for what runs side by side.
func (r *Reader) Close() error {
	for _, k := range r.m.jobs {
		<-k.done
	}
	r.m.jobs = nil
	if r.err == nil || r.err == io.EOF {
		r.err = errClosed
	}
	r.out = nil
	return nil
}

var errClosed = errors.New("read after close")
