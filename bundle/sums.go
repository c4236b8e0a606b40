package bundle

import (
	"bytes"
	"encoding/hex"
	"strings"

	"bale/bundle/container"
	"bale/bundle/fault"
)

// maxSumLine is the greatest length of a line: a hash, two spaces, the name of
// a ustar entry, a line feed.
const maxSumLine = 64 + 2 + 100 + 1

// Sum is one line of SHA256SUMS.
type Sum struct {
	Hash [32]byte
	Name string
}

// encodeSums writes lines as sha256sum does.
func encodeSums(sums []Sum) []byte {
	var b bytes.Buffer
	for _, s := range sums {
		b.WriteString(hex.EncodeToString(s.Hash[:]))
		b.WriteString("  ")
		b.WriteString(s.Name)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// ParseSums reads SHA256SUMS in its one form (FORMAT.md, section 6).
func ParseSums(b []byte) ([]Sum, error) {
	var sums []Sum
	for line := 1; len(b) > 0; line++ {
		l, rest, ok := bytes.Cut(b, []byte{'\n'})
		if !ok {
			return nil, fault.Damaged("SHA256SUMS: line %d has no end", line)
		}
		var s Sum
		const digits = 2 * len(s.Hash)
		if len(l) < digits+3 || string(l[digits:digits+2]) != "  " {
			return nil, fault.Damaged("SHA256SUMS: line %d is not a hash, two spaces and a name", line)
		}
		if _, err := hex.Decode(s.Hash[:], l[:digits]); err != nil || hex.EncodeToString(s.Hash[:]) != string(l[:digits]) {
			return nil, fault.Damaged("SHA256SUMS: line %d does not start with a hash", line)
		}
		s.Name = string(l[digits+2:])
		if strings.ContainsFunc(s.Name, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }) {
			return nil, fault.Damaged("SHA256SUMS: line %d has an odd name", line)
		}
		if len(sums) == container.MaxEntries {
			return nil, fault.Damaged("SHA256SUMS has more than %d lines", container.MaxEntries)
		}
		sums = append(sums, s)
		b = rest
	}
	return sums, nil
}
