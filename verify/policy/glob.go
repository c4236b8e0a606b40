package policy

import "strings"

// glob reports whether a text fits a pattern in which * stands for any text,
// also for none.
func glob(pattern, text string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, first)
	if !ok {
		return false
	}
	parts := strings.Split(rest, "*")
	last := parts[len(parts)-1]
	for _, p := range parts[:len(parts)-1] {
		// The first place is the best: it leaves most for the others.
		i := strings.Index(text, p)
		if i < 0 {
			return false
		}
		text = text[i+len(p):]
	}
	return strings.HasSuffix(text, last)
}

// globPath is glob for texts with slashes, part by part; ** stands for one or
// more whole parts. With covers set, text is a pattern itself, and fits if all
// that fits it does.
func globPath(pattern, text []string, covers bool) bool {
	// reach[j] tells whether the parts of pattern so far fit text[:j].
	reach := make([]bool, len(text)+1)
	reach[0] = true
	for _, p := range pattern {
		next := make([]bool, len(text)+1)
		for j, t := range text {
			switch {
			case p == "**":
				next[j+1] = reach[j] || next[j]
			case covers && t == "**":
			default:
				next[j+1] = reach[j] && glob(p, t)
			}
		}
		reach = next
	}
	return reach[len(text)]
}
