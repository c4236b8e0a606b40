package pack

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// Level is how much effort goes into compression.
type Level int

// The levels, from fastest to smallest.
const (
	Fast Level = iota
	Default
	Best
)

// ParseLevel reads "fast", "default" or "best".
func ParseLevel(s string) (Level, error) {
	for _, l := range []Level{Fast, Default, Best} {
		if s == l.String() {
			return l, nil
		}
	}
	return 0, fmt.Errorf("level %q is none of fast, default, best", s)
}

// String returns the level's name.
func (l Level) String() string {
	return [...]string{"fast", "default", "best"}[l]
}

// window is the encoders' window: a frame as this version makes it fits in
// whole, and no decoder needs more.
const window = 4 << 20

// Encoder compresses frames. Its output depends on input and level only. It
// is not safe for concurrent use.
type Encoder struct {
	z *zstd.Encoder
}

// NewEncoder returns an Encoder for a level.
func NewEncoder(l Level) (*Encoder, error) {
	speed := [...]zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBestCompression}[l]
	z, err := zstd.NewWriter(nil, options(speed, window)...)
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return &Encoder{z}, nil
}

func options(l zstd.EncoderLevel, window int) []zstd.EOption {
	return []zstd.EOption{
		zstd.WithEncoderLevel(l),
		zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(window),
		zstd.WithSingleSegment(true), // states the size of short frames too
		zstd.WithEncoderCRC(true),
	}
}

// Encode appends the frame of raw to dst.
func (e *Encoder) Encode(dst, raw []byte) []byte { return e.z.EncodeAll(raw, dst) }
