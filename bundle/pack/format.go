// Package pack reads and writes packs: files of Zstandard frames that hold
// chunks (FORMAT.md, section 4).
package pack

import (
	"encoding/binary"

	"bale/bundle/fault"
)

const (
	// MaxSize is the greatest size of a pack, in bytes.
	MaxSize = 32 << 20
	// MaxFrame is how many raw bytes a frame may hold, and the greatest
	// window it may ask of a decoder.
	MaxFrame = 16 << 20
	// HeaderSize is how many bytes stand before the first frame.
	HeaderSize = 16
	// Version is the version of packs that this package writes and reads.
	Version = 1
	// MaxDictionary is how many bytes a frame may build on.
	MaxDictionary = 16 << 20
)

// Kind is the kind of a frame.
type Kind uint64

// The kinds of frame.
const (
	Plain      Kind = 0 // decompresses by itself
	Dictionary Kind = 1 // needs other chunks as a raw-content dictionary
	Patch      Kind = 2 // holds a patch (package delta) on other chunks
)

// skippable is the magic number of a pack's first frame (RFC 8878, 3.1.2).
const skippable = 0x184d2a50

// header returns the bytes that every pack starts with.
func header() []byte {
	b := binary.LittleEndian.AppendUint32(nil, skippable)
	b = binary.LittleEndian.AppendUint32(b, 8)
	b = append(b, "balepk"...)
	return append(b, Version, 0)
}

// CheckHeader checks the first [HeaderSize] bytes of a pack.
func CheckHeader(b []byte) error {
	want := header()
	if len(b) < HeaderSize || string(b[:HeaderSize-2]) != string(want[:HeaderSize-2]) {
		return fault.Damaged("not a pack: it does not start like one")
	}
	if v := b[HeaderSize-2]; v != Version || b[HeaderSize-1] != 0 {
		return fault.WithHint(fault.Unsupported("pack version %d is not known", v), "use a newer bale")
	}
	return nil
}
