package verify

import (
	"strings"
	"unicode"
)

// maxClip is how much foreign text goes into a message, in runes.
const maxClip = 120

// Clip makes foreign text from a bundle fit to be shown: short, and nothing in it that
// a terminal acts on. Space of any kind is plain space, since the errors of
// protojson vary in that at random.
func Clip(s string) string {
	n := 0
	for i := range s {
		if n++; n > maxClip {
			s = s[:i] + "..."
			break
		}
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
}
