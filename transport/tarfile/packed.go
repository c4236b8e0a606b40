package tarfile

import (
	"bytes"
	"compress/gzip"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Compression is a way in which archives and layers are compressed.
type Compression int

// The compressions that can be told by their first bytes. Of the last two no
// more is known here: image-spec has no layers of such kinds.
const (
	None Compression = iota
	Gzip
	Zstd
	Bzip2
	XZ
)

// HeadSize is how many bytes [Detect] needs.
const HeadSize = 6

// magics are what compressed content begins with.
var magics = map[Compression]string{
	Gzip: "\x1f\x8b", Zstd: "\x28\xb5\x2f\xfd", Bzip2: "BZh", XZ: "\xfd7zXZ\x00",
}

// Detect tells a compression by the first bytes of content.
func Detect(head []byte) Compression {
	for c, magic := range magics {
		if bytes.HasPrefix(head, []byte(magic)) {
			return c
		}
	}
	return None
}

// Unpack decompresses r, which must be [Gzip] or [Zstd]. The caller closes what
// it gets, which leaves r open.
func (c Compression) Unpack(r io.Reader) (io.ReadCloser, error) {
	if c == Gzip {
		return gzip.NewReader(r)
	}
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(MaxWindow), zstd.WithDecoderMaxMemory(MaxWindow))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}
