package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
)

// ErrInjected is what injected faults fail with.
var ErrInjected = errors.New("injected fault")

// Fault is one thing that goes wrong when one object is read. [Inject] puts it
// in the way.
type Fault struct {
	what   string
	digest digest.Digest
	nth    int                                     // the opening that goes wrong, from 1; 0 for all
	open   error                                   // what opening fails with, if it does
	wrap   func(r io.Reader, hit func()) io.Reader // what becomes of the content, if open is nil

	opened, hits atomic.Int64
}

// Nth makes the fault happen at the n-th opening of the object only, counted
// from 1.
func (f *Fault) Nth(n int) *Fault {
	f.nth = n
	return f
}

// Hits returns how often the fault has happened.
func (f *Fault) Hits() int { return int(f.hits.Load()) }

// String says what goes wrong.
func (f *Fault) String() string { return f.what + " of " + f.digest.String() }

func (f *Fault) hit() { f.hits.Add(1) }

// FailOpen makes opening fail with [ErrInjected].
func FailOpen(d digest.Digest) *Fault {
	return &Fault{what: "failing open", digest: d, open: ErrInjected}
}

// FailRead makes reading fail with [ErrInjected] after so many bytes.
func FailRead(d digest.Digest, after int64) *Fault {
	return &Fault{what: fmt.Sprintf("failing read after %d bytes", after), digest: d,
		wrap: func(r io.Reader, hit func()) io.Reader {
			return io.MultiReader(io.LimitReader(r, after), call(func() error { hit(); return ErrInjected }))
		}}
}

// CutShort makes the content end after so many bytes, as if that were all.
func CutShort(d digest.Digest, after int64) *Fault {
	return &Fault{what: fmt.Sprintf("early end after %d bytes", after), digest: d,
		wrap: func(r io.Reader, hit func()) io.Reader {
			return io.MultiReader(io.LimitReader(r, after), call(func() error { hit(); return io.EOF }))
		}}
}

// Lengthen puts more bytes after the content.
func Lengthen(d digest.Digest, more []byte) *Fault {
	return &Fault{what: fmt.Sprintf("%d bytes too many", len(more)), digest: d,
		wrap: func(r io.Reader, hit func()) io.Reader {
			return io.MultiReader(r, call(func() error { hit(); return io.EOF }), bytes.NewReader(more))
		}}
}

// FlipBit turns over one bit of the content; bit 0 is the lowest of the first
// byte.
func FlipBit(d digest.Digest, bit int64) *Fault {
	return &Fault{what: fmt.Sprintf("flip of bit %d", bit), digest: d,
		wrap: func(r io.Reader, hit func()) io.Reader {
			return io.MultiReader(io.LimitReader(r, bit/8), &flipper{r: r, mask: 1 << (bit % 8), hit: hit})
		}}
}

// Hook calls do once so many bytes have been read, and then goes on as if
// nothing had happened.
func Hook(d digest.Digest, after int64, do func()) *Fault {
	return &Fault{what: fmt.Sprintf("hook after %d bytes", after), digest: d,
		wrap: func(r io.Reader, hit func()) io.Reader {
			return io.MultiReader(io.LimitReader(r, after), call(func() error { hit(); do(); return io.EOF }), r)
		}}
}

// call is a reader that has no content: reading it calls it, and its error is
// the reader's.
type call func() error

func (c call) Read([]byte) (int, error) { return 0, c() }

// flipper turns over a bit of the first byte that it reads.
type flipper struct {
	r    io.Reader
	mask byte
	hit  func()
}

func (r *flipper) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if n > 0 && r.mask != 0 {
		p[0] ^= r.mask
		r.mask = 0
		r.hit()
	}
	return n, err
}
