package delta

import "encoding/binary"

// class is the kind of place a difference is found at.
type class int

// The classes.
const (
	plain    class = iota // bytes of which nothing is known
	relative              // a reference to a place so far from the field's end
	absolute              // a reference to a place by its address
	classes
)

const (
	fieldSize = 4 // bytes of a field

	// reach is how far a relative reference goes at most, in bytes.
	reach = 64 << 20
	// Absolute references lie in [lowest, highest), so that small numbers
	// are none.
	lowest, highest = 64 << 10, 128 << 20
)

// field is a reference in a span of old.
type field struct {
	at    int // in the span
	class class
	value uint32 // as it stands in old
}

// marks tells what bytes of x86-64 code come before a relative reference: 1
// for call, jmp, and operands relative to the instruction pointer; 2 for the
// second byte of a conditional jump.
var marks = func() (m [256]uint8) {
	for c := range m {
		switch {
		case c&0xc7 == 0x05, c&0xfe == 0xe8:
			m[c] = 1
		case c&0xf0 == 0x80:
			m[c] = 2
		}
	}
	return m
}()

// nextField finds the first field of src, which will stand at byte at of new,
// that starts at i or later. Where there is none it starts at len(src).
func nextField(src []byte, i, at int) field {
	for end := len(src) - fieldSize; i < end; {
		if (at+i)&7 == 0 && i+8 <= len(src) {
			if v := binary.LittleEndian.Uint64(src[i:]); v-lowest < highest-lowest {
				return field{i, absolute, uint32(v)}
			}
		}
		for stop := min(i+8-(at+i)&7, end); i < stop; i++ {
			m := marks[src[i]]
			if m == 0 || m == 2 && (i == 0 || src[i-1] != 0x0f) {
				continue
			}
			if v := binary.LittleEndian.Uint32(src[i+1:]); v+reach < 2*reach {
				return field{i + 1, relative, v}
			}
		}
	}
	return field{at: len(src)}
}
