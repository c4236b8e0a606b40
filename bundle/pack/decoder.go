package pack

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"

	"bale/bundle/fault"
)

// decoder has the format's limits set, so that no frame makes it allocate
// more than one frame may hold. It is shared: DecodeAll is safe for that.
var decoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(0), // as many at once as there are cores
		zstd.WithDecoderMaxMemory(MaxFrame),
		zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderMaxWindow(MaxFrame))
})

// Decode decompresses one plain frame that must hold exactly size raw bytes.
// What does not is an [fault.ErrDamaged]; at most [MaxFrame] bytes are
// allocated whatever the frame claims.
func Decode(frame []byte, size int64) ([]byte, error) {
	if size < 0 || size > MaxFrame {
		return nil, fault.Damaged("frame of %d raw bytes is over the limit of %d", size, MaxFrame)
	}
	if err := CheckFrame(frame, size); err != nil {
		return nil, err
	}
	z, err := decoder()
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return decodeAll(z, frame, size)
}

func decodeAll(z *zstd.Decoder, frame []byte, size int64) ([]byte, error) {
	raw, err := z.DecodeAll(frame, make([]byte, 0, size))
	if err != nil {
		return nil, fault.Damaged("frame does not decompress: %w", err)
	}
	if int64(len(raw)) != size {
		return nil, fault.Damaged("frame holds %d raw bytes, not %d", len(raw), size)
	}
	return raw, nil
}

// CheckFrame reads the frame's header before anything is decompressed: it must
// be one that states the size the index gives, and that needs no dictionary.
// And it walks along the blocks (RFC 8878, 3.1.1.2): there must be one frame and
// not a byte more.
func CheckFrame(frame []byte, size int64) error {
	var h zstd.Header
	if err := h.Decode(frame); err != nil {
		return fault.Damaged("frame header: %w", err)
	}
	switch {
	case h.Skippable:
		return fault.Damaged("frame is a skippable one")
	case h.DictionaryID != 0:
		return fault.Damaged("frame asks for dictionary %d", h.DictionaryID)
	case !h.HasFCS || h.FrameContentSize != uint64(size):
		return fault.Damaged("frame says it holds %d raw bytes, the index says %d", h.FrameContentSize, size)
	case !h.HasCheckSum:
		return fault.Damaged("frame has no checksum")
	}
	rest := frame[h.HeaderSize:]
	for last := false; !last; {
		if len(rest) < blockHeader {
			return fault.Damaged("frame ends inside a block")
		}
		head := uint32(rest[0]) | uint32(rest[1])<<8 | uint32(rest[2])<<16
		last = head&1 == 1
		n := int(head >> 3)
		if head>>1&3 == blockRLE {
			n = 1
		}
		if n > len(rest)-blockHeader {
			return fault.Damaged("frame ends inside a block")
		}
		rest = rest[blockHeader+n:]
	}
	if len(rest) != checksumSize {
		return fault.Damaged("frame has %d bytes after its last block, not a checksum of %d", len(rest), checksumSize)
	}
	return nil
}

// What a frame is made of (RFC 8878, 3.1.1).
const (
	blockHeader  = 3 // bytes
	blockRLE     = 1 // block type: one byte, repeated
	checksumSize = 4 // bytes
)
