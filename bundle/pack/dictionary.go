package pack

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"

	"bale/bundle/fault"
)

// DictionaryEncoder makes frames that build on other content. It is not safe
// for concurrent use. It holds some 80 MB.
type DictionaryEncoder struct {
	z *zstd.Encoder
}

// NewDictionaryEncoder returns a DictionaryEncoder. It always takes the effort
// of [Best]: the library's other levels hardly look into a dictionary.
func NewDictionaryEncoder() (*DictionaryEncoder, error) {
	z, err := zstd.NewWriter(nil, append(options(zstd.SpeedBestCompression, MaxFrame), zstd.WithEncoderDictRaw(0, []byte("none yet")))...)
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return &DictionaryEncoder{z}, nil
}

// Encode appends to dst the frame of raw with a raw-content dictionary (RFC
// 8878, section 5). Both together may have [MaxFrame] bytes: what lies farther
// back is out of reach.
func (e *DictionaryEncoder) Encode(dst, raw, dictionary []byte) ([]byte, error) {
	if err := e.z.ResetWithOptions(nil, zstd.WithEncoderDictRaw(0, dictionary)); err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return e.z.EncodeAll(raw, dst), nil
}

// dictionaryDecoders are for one frame at a time each, since every frame has a
// dictionary of its own.
var dictionaryDecoders = sync.Pool{New: func() any {
	z, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxMemory(MaxFrame),
		zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderMaxWindow(MaxFrame))
	if err != nil {
		return err
	}
	return z
}}

// DecodeDictionary decompresses a frame of kind [Dictionary] that must hold
// exactly size raw bytes. Errors and limits are those of [Decode].
func DecodeDictionary(frame []byte, size int64, dictionary []byte) ([]byte, error) {
	if size < 0 || size > MaxFrame || len(dictionary) > MaxDictionary {
		return nil, fault.Damaged("frame of %d raw bytes on %d is over the limits of %d and %d", size, len(dictionary), MaxFrame, MaxDictionary)
	}
	if err := CheckFrame(frame, size); err != nil {
		return nil, err
	}
	got := dictionaryDecoders.Get()
	z, ok := got.(*zstd.Decoder)
	if !ok {
		return nil, fmt.Errorf("zstd: %w", got.(error))
	}
	defer func() {
		// It must not hold the content any longer.
		if z.ResetWithOptions(nil, zstd.WithDecoderDictRaw(0, nil)) == nil {
			dictionaryDecoders.Put(z)
		}
	}()
	if err := z.ResetWithOptions(nil, zstd.WithDecoderDictRaw(0, dictionary)); err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return decodeAll(z, frame, size)
}
