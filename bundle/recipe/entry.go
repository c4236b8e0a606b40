package recipe

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/opencontainers/go-digest"

	"bale/bundle/spill"
)

// MaxParams is the greatest size of a recipe's parameters, in bytes.
const MaxParams = 4 << 10

// An entry's file: what it is about, corrections, and the code over both.
const (
	magic   = "balercp\x01"
	macSize = sha256.Size
	maxHead = len(magic) + 4 + 1 + maxDigest + 8 + 1 + 4 + MaxParams + 8 + 8

	maxDigest = 7 + 128 // "sha512:" and 64 bytes in hexadecimal

	kept  = 0
	apart = 1
)

// identity is what an entry is for.
type identity struct {
	digest digest.Digest
	size   int64
}

// errForeign marks what is no entry of this store for this blob.
var errForeign = errors.New("not an entry of this store")

// encode writes an entry and returns its length.
func (s *Store) encode(w io.Writer, id identity, e *Entry) (int64, error) {
	h := append([]byte(nil), magic...)
	h = binary.LittleEndian.AppendUint32(h, s.engine)
	h = append(h, byte(len(id.digest)))
	h = append(h, id.digest...)
	h = binary.LittleEndian.AppendUint64(h, uint64(id.size))
	var corrections io.Reader = bytes.NewReader(nil)
	if e == nil {
		h = append(h, kept)
	} else {
		if len(e.Params) > MaxParams {
			return 0, fmt.Errorf("parameters of %d bytes", len(e.Params))
		}
		h = append(h, apart)
		h = binary.LittleEndian.AppendUint32(h, uint32(len(e.Params)))
		h = append(h, e.Params...)
		h = binary.LittleEndian.AppendUint64(h, uint64(e.RawSize))
		h = binary.LittleEndian.AppendUint64(h, uint64(e.Corrections.Len()))
		corrections = e.Corrections.Reader()
	}
	mac := hmac.New(sha256.New, s.key)
	n, err := io.Copy(io.MultiWriter(w, mac), io.MultiReader(bytes.NewReader(h), corrections))
	if err != nil {
		return 0, err
	}
	_, err = w.Write(mac.Sum(nil))
	return n + macSize, err
}

// decode reads an entry. The result is what was authenticated, whatever
// becomes of the file.
func (s *Store) decode(ctx context.Context, r io.Reader, want identity, scratch string) (*Entry, error) {
	in := &entryReader{r: r, mac: hmac.New(sha256.New, s.key)}
	if string(in.take(len(magic))) != magic || binary.LittleEndian.Uint32(in.take(4)) != s.engine ||
		string(in.take(int(in.take(1)[0]))) != want.digest.String() || in.number(math.MaxInt64) != want.size {
		return nil, in.failure()
	}
	var e *Entry
	switch in.take(1)[0] {
	case kept:
	case apart:
		e = &Entry{Params: bytes.Clone(in.take(int(min(binary.LittleEndian.Uint32(in.take(4)), MaxParams+1))))}
		e.RawSize = in.number(math.MaxInt64)
		// Not authentic yet, so it must not fill the disk.
		if n := in.number(maxEntry); n > 0 && in.err == nil {
			e.Corrections = &spill.Buffer{Dir: scratch}
			if err := in.copy(ctx, e.Corrections, n); err != nil {
				_ = e.Corrections.Close() // the first error says more
				return nil, err
			}
		}
	default:
		return nil, errForeign
	}
	if err := in.end(); err != nil {
		if e != nil {
			_ = e.Corrections.Close() // the first error says more
		}
		return nil, err
	}
	return e, nil
}

// entryReader takes fields from an entry and authenticates them. After the
// first error fields are zero.
type entryReader struct {
	r   io.Reader
	mac interface {
		io.Writer
		Sum([]byte) []byte
	}
	err error
}

// take returns the next n bytes.
func (in *entryReader) take(n int) []byte {
	b := make([]byte, n)
	if in.err == nil && n > maxHead {
		in.err = errForeign
	}
	if in.err == nil {
		_, err := io.ReadFull(in.r, b)
		in.fail(err)
		_, _ = in.mac.Write(b) // never fails
	}
	return b
}

// fail keeps an error; a file that is too short is foreign, one that cannot be
// read is not.
func (in *entryReader) fail(err error) {
	switch {
	case err == nil || in.err != nil:
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		in.err = errForeign
	default:
		in.err = err
	}
}

func (in *entryReader) failure() error {
	if in.err != nil {
		return in.err
	}
	return errForeign
}

// number returns a number of at most limit.
func (in *entryReader) number(limit uint64) int64 {
	n := binary.LittleEndian.Uint64(in.take(8))
	if n > limit && in.err == nil {
		in.err = errForeign
	}
	if in.err != nil {
		return 0
	}
	return int64(n)
}

// copy takes n bytes to w.
func (in *entryReader) copy(ctx context.Context, w io.Writer, n int64) error {
	buf := make([]byte, 64<<10)
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(n, int64(len(buf)))]
		if _, err := io.ReadFull(in.r, b); err != nil {
			in.fail(err)
			return in.err
		}
		_, _ = in.mac.Write(b) // never fails
		if _, err := w.Write(b); err != nil {
			return err
		}
		n -= int64(len(b))
	}
	return nil
}

// end compares the code and makes sure that nothing follows.
func (in *entryReader) end() error {
	if in.err != nil {
		return in.err
	}
	want := in.mac.Sum(nil)
	got := make([]byte, macSize+1)
	n, err := io.ReadFull(in.r, got)
	if n != macSize || !hmac.Equal(got[:macSize], want) {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		return errForeign
	}
	return nil
}
