package chunk

import (
	"bytes"
	"strconv"
	"strings"
)

// blockSize is the unit of a tar.
const blockSize = 512

// A tar header, as far as cutting needs it (IEEE 1003.1, ustar; GNU and pax
// extensions): offset and length of the fields.
const (
	sizeOff, sizeLen = 124, 12
	sumOff, sumLen   = 148, 8
	typeOff          = 156
)

// isHeader reports whether a block is a tar header: its checksum is right.
func isHeader(block []byte) bool {
	want, ok := number(block[sumOff : sumOff+sumLen])
	if !ok {
		return false
	}
	var sum int64
	for i, c := range block {
		if i >= sumOff && i < sumOff+sumLen {
			c = ' '
		}
		sum += int64(c)
	}
	return sum == want && !isZero(block)
}

// number reads a numeric field: octal digits between spaces and NULs, or
// GNU's base-256 with the top bit set.
func number(f []byte) (int64, bool) {
	if f[0]&0x80 != 0 {
		if f[0] != 0x80 {
			return 0, false // negative, or larger than any file
		}
		var n int64
		for _, c := range f[1:] {
			if n >= 1<<54 {
				return 0, false
			}
			n = n<<8 | int64(c)
		}
		return n, true
	}
	s := strings.Trim(string(f), " \x00")
	if s == "" {
		return 0, true
	}
	n, err := strconv.ParseInt(s, 8, 64)
	return n, err == nil && n >= 0
}

// entry is what cutting needs to know of a tar entry.
type entry struct {
	size    int64 // bytes that follow, without padding
	content bool  // they are a file's content, not an extension header
	pax     bool  // they are pax records for the next entry
}

// parseEntry reads a header that isHeader accepts. paxSize is the size that a
// pax record before it gave, or -1.
func parseEntry(block []byte, paxSize int64) (entry, bool) {
	size, ok := number(block[sizeOff : sizeOff+sizeLen])
	if !ok {
		return entry{}, false
	}
	switch block[typeOff] {
	case 'x':
		return entry{size: size, pax: true}, true
	case 'g', 'L', 'K', 'N', 'V', 'M':
		return entry{size: size}, true
	case '1', '2', '3', '4', '5', '6':
		return entry{}, true // links, devices and folders have no content, whatever size says
	}
	if paxSize >= 0 {
		size = paxSize
	}
	return entry{size: size, content: true}, true
}

// paxSize finds the size record in pax records ("%d size=%d\n"), or -1.
func paxSize(records []byte) int64 {
	for len(records) > 0 {
		sp := bytes.IndexByte(records, ' ')
		if sp <= 0 {
			return -1
		}
		n, err := strconv.Atoi(string(records[:sp]))
		if err != nil || n <= sp || n > len(records) {
			return -1
		}
		record := strings.TrimSuffix(string(records[sp+1:n]), "\n")
		if v, ok := strings.CutPrefix(record, "size="); ok {
			if size, err := strconv.ParseInt(v, 10, 64); err == nil && size >= 0 {
				return size
			}
			return -1
		}
		records = records[n:]
	}
	return -1
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
