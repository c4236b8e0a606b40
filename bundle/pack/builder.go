package pack

import (
	"crypto/sha256"
	"fmt"

	"github.com/opencontainers/go-digest"
)

// Builder collects frames until a pack is full. It is not safe for concurrent use.
type Builder struct {
	buf []byte
}

// Pack is a finished pack. Data is valid until the Builder is used again.
type Pack struct {
	Digest digest.Digest
	Sum    [sha256.Size]byte // the digest's bytes
	Data   []byte
}

// Fits reports whether a frame of n bytes still goes into the current pack.
func (b *Builder) Fits(n int) bool { return max(len(b.buf), HeaderSize)+n <= MaxSize }

// Empty reports whether no frame was added since the last Finish.
func (b *Builder) Empty() bool { return len(b.buf) == 0 }

// Add appends a frame, which must fit, and returns its offset in the pack.
func (b *Builder) Add(frame []byte) (off int64, err error) {
	if !b.Fits(len(frame)) {
		return 0, fmt.Errorf("frame of %d bytes does not fit into a pack", len(frame))
	}
	if b.Empty() {
		b.buf = append(b.buf, header()...)
	}
	off = int64(len(b.buf))
	b.buf = append(b.buf, frame...)
	return off, nil
}

// Bytes returns n bytes of the current pack from an offset on. They are valid
// until the Builder is used again.
func (b *Builder) Bytes(off, n int64) []byte { return b.buf[off : off+n] }

// Finish ends the current pack.
func (b *Builder) Finish() Pack {
	sum := sha256.Sum256(b.buf)
	p := Pack{Digest: digest.NewDigestFromBytes(digest.SHA256, sum[:]), Sum: sum, Data: b.buf}
	b.buf = b.buf[:0]
	return p
}
