// Package blob holds the one reader that checks content against its name.
//
// Every byte that bale takes from a registry, an engine, a layout or a bundle
// and hands on passes through [NewReader], so content whose digest or size is
// wrong never reaches its end: the consumer sees the error instead of io.EOF.
package blob

import (
	"bytes"
	_ "crypto/sha256" // digests are one of these two
	_ "crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
)

// Reader reads content of a known digest and size. At the end of good content
// it returns io.EOF; content that is short, long or different ends with a
// [fault.ErrDamaged] error that never wraps io.EOF, and stays at that error.
type Reader struct {
	r    io.Reader
	c    io.Closer
	want digest.Digest
	size int64
	left int64
	sum  hash.Hash
	err  error
}

// NewReader returns a Reader over r, which must hold exactly size bytes whose
// digest is want. If r is an io.Closer, Close closes it.
// It fails when want is malformed or its algorithm is unknown.
func NewReader(r io.Reader, want digest.Digest, size int64) (*Reader, error) {
	if err := Check(want, size); err != nil {
		return nil, err
	}
	v := &Reader{r: r, want: want, size: size, left: size, sum: want.Algorithm().Hash()}
	v.c, _ = r.(io.Closer)
	return v, nil
}

// Check reports whether a digest and size can name content at all: the digest
// well formed and of a known algorithm (sha256 or sha512), the size not
// negative.
func Check(d digest.Digest, size int64) error {
	if err := d.Validate(); err != nil {
		return fault.Damaged("digest %.100q: %w", string(d), err)
	}
	if a := d.Algorithm(); a != digest.SHA256 && a != digest.SHA512 {
		return fault.Unsupported("digest %s: algorithm %s is not supported", d, a)
	}
	if size < 0 {
		return fault.Damaged("%s: size %d is negative", d, size)
	}
	return nil
}

// Read implements io.Reader.
func (v *Reader) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	if v.left == 0 {
		v.err = v.finish()
		return 0, v.err
	}
	if int64(len(p)) > v.left {
		p = p[:v.left]
	}
	n, err := v.r.Read(p)
	v.sum.Write(p[:n])
	v.left -= int64(n)
	switch {
	case errors.Is(err, io.EOF) && v.left > 0:
		v.err = fault.Damaged("%s: ends after %d of %d bytes", v.want, v.size-v.left, v.size)
	case err != nil && !errors.Is(err, io.EOF):
		v.err = err
	}
	return n, v.err
}

// finish looks for bytes past the end and compares the digest.
func (v *Reader) finish() error {
	var one [1]byte
	for {
		n, err := v.r.Read(one[:])
		if n > 0 {
			return fault.Damaged("%s: longer than its %d bytes", v.want, v.size)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if got := digest.NewDigest(v.want.Algorithm(), v.sum); got != v.want {
		return fault.Damaged("content has digest %s, not %s", got, v.want)
	}
	return io.EOF
}

// Close closes the underlying reader if it can be closed.
func (v *Reader) Close() error {
	if v.c == nil {
		return nil
	}
	return v.c.Close()
}

// ReadAll reads a whole blob of at most limit bytes into memory and verifies
// it. It fails before reading when size is over the limit.
func ReadAll(r io.Reader, want digest.Digest, size, limit int64) ([]byte, error) {
	if size > limit {
		return nil, fault.Damaged("%s: %d bytes is over the limit of %d for such content", want, size, limit)
	}
	v, err := NewReader(r, want, size)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Grow(int(size))
	if _, err := io.Copy(&b, v); err != nil {
		return nil, fmt.Errorf("read %s: %w", want, err)
	}
	return b.Bytes(), nil
}
