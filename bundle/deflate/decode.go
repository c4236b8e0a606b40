package deflate

import "math/bits"

// Entries of a decoding table: the bits of the code in the lowest 4 bits, then
// 4 bits with the number of extra bits, 2 bits of kind, and from bit 16 the
// literal, the base, or the place of a further table.
const (
	entryExtra = 4
	entryKind  = 8
	entryValue = 16

	kindLiteral = 0 << entryKind
	kindBase    = 1 << entryKind // a length or a distance, with extra bits
	kindEnd     = 2 << entryKind
	kindTable   = 3 << entryKind // extra holds how many bits index the further table
	kindMask    = 3 << entryKind

	// invalid is an entry that no valid stream reaches: a table of no bits.
	invalid = kindTable
)

const (
	litBits   = 11 // bits that index the first table of literals and lengths
	distBits  = 9
	clenBits  = 7
	longest   = 15 // bits of the longest code
	tableRoom = 1 << longest
)

// A decoder decodes one prefix code.
type decoder struct {
	bits  uint
	table []uint32
}

// build makes the tables of the canonical code with these lengths (RFC 1951,
// section 3.2.2); entry gives what a symbol means. It returns false if there are
// more codes than fit. Codes that are not used become invalid.
func (d *decoder) build(lengths []uint8, first uint, entry func(symbol int) uint32) bool {
	var count, next [longest + 2]uint16
	for _, n := range lengths {
		count[n]++
	}
	count[0] = 0
	code := 0
	most := uint(0)
	for n := 1; n <= longest; n++ {
		code = (code + int(count[n-1])) << 1
		next[n] = uint16(code)
		if count[n] != 0 {
			most = uint(n)
		}
		if code+int(count[n]) > 1<<n {
			return false
		}
	}
	d.bits = min(first, max(most, 1))
	size := 1 << d.bits
	if cap(d.table) < size {
		d.table = make([]uint32, size, size+1<<10)
	}
	d.table = d.table[:size]
	for i := range d.table {
		d.table[i] = invalid
	}
	// further tables, one for each beginning of d.bits bits that has longer codes
	for s, n := range lengths {
		if n == 0 {
			continue
		}
		l := uint(n)
		rev := uint32(bits.Reverse16(next[n]) >> (16 - l))
		next[n]++
		e := entry(s)
		if l <= d.bits {
			e |= uint32(l)
			for i := rev; i < uint32(size); i += 1 << l {
				d.table[i] = e
			}
			continue
		}
		head := rev & (1<<d.bits - 1)
		width := most - d.bits
		if d.table[head] == invalid {
			at := len(d.table)
			d.table[head] = kindTable | uint32(width)<<entryExtra | uint32(at)<<entryValue | uint32(d.bits)
			for range 1 << width {
				d.table = append(d.table, invalid)
			}
		}
		at := d.table[head] >> entryValue
		e |= uint32(l - d.bits)
		for i := rev >> d.bits; i < 1<<width; i += 1 << (l - d.bits) {
			d.table[at+i] = e
		}
	}
	return true
}

func litEntry(s int) uint32 {
	switch {
	case s < endOfBlock:
		return kindLiteral | uint32(s)<<entryValue
	case s == endOfBlock:
		return kindEnd
	case s < maxLitLen:
		return kindBase | uint32(lengthExtra[s-257])<<entryExtra | uint32(lengthBase[s-257])<<entryValue
	}
	return invalid
}

func distEntry(s int) uint32 {
	if s < maxDist {
		return kindBase | uint32(distExtra[s])<<entryExtra | uint32(distBase[s])<<entryValue
	}
	return invalid
}

func clenEntry(s int) uint32 { return kindLiteral | uint32(s)<<entryValue }
