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
	nameOff, nameLen     = 0, 100
	sizeOff, sizeLen     = 124, 12
	sumOff, sumLen       = 148, 8
	typeOff              = 156
	magicOff             = 257
	prefixOff, prefixLen = 345, 155
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
	long    bool  // they are the name of the next entry
	extends bool  // they say something of the next entry
}

// extension is what headers said of the entry that follows them.
type extension struct {
	size int64  // -1 if nothing
	name string // "" if nothing
}

var noExtension = extension{size: -1}

// payload takes note of what follows an extension header.
func (x *extension) payload(e entry, p []byte) {
	if e.long {
		x.name = cString(p)
		return
	}
	if size, ok := paxRecord(p, "size"); ok {
		if n, err := strconv.ParseInt(size, 10, 64); err == nil && n >= 0 {
			x.size = n
		}
	}
	if name, ok := paxRecord(p, "path"); ok {
		x.name = name
	}
}

// entryName returns the name that a header gives.
func entryName(block []byte) string {
	name := cString(block[nameOff : nameOff+nameLen])
	// GNU's own format has other fields where the prefix stands.
	if string(block[magicOff:magicOff+6]) == "ustar\x00" {
		if prefix := cString(block[prefixOff : prefixOff+prefixLen]); prefix != "" {
			return prefix + "/" + name
		}
	}
	return name
}

func cString(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

// parseEntry reads a header that isHeader accepts.
func parseEntry(block []byte, before extension) (entry, bool) {
	size, ok := number(block[sizeOff : sizeOff+sizeLen])
	if !ok {
		return entry{}, false
	}
	switch block[typeOff] {
	case 'x':
		return entry{size: size, pax: true, extends: true}, true
	case 'L':
		return entry{size: size, long: true, extends: true}, true
	case 'g', 'K', 'N', 'V', 'M':
		return entry{size: size, extends: true}, true
	case '1', '2', '3', '4', '5', '6':
		return entry{}, true // links, devices and folders have no content, whatever size says
	}
	if before.size >= 0 {
		size = before.size
	}
	return entry{size: size, content: true}, true
}

// paxRecord finds the value of a keyword in pax records ("%d keyword=value\n").
func paxRecord(records []byte, keyword string) (string, bool) {
	for len(records) > 0 {
		sp := bytes.IndexByte(records, ' ')
		if sp <= 0 {
			return "", false
		}
		n, err := strconv.Atoi(string(records[:sp]))
		if err != nil || n <= sp || n > len(records) {
			return "", false
		}
		record := strings.TrimSuffix(string(records[sp+1:n]), "\n")
		if v, ok := strings.CutPrefix(record, keyword+"="); ok {
			return v, true
		}
		records = records[n:]
	}
	return "", false
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
