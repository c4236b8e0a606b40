package bundle

import (
	"errors"
	"fmt"
	"strings"
)

const (
	// MaxName is the greatest length of a bundle's name, in bytes.
	MaxName = 255
	// MaxSequence is the highest number a bundle can have: beyond it, not every
	// reader of JSON tells one number from the next (RFC 8259, section 6).
	MaxSequence = 1<<53 - 1
)

// CheckName tells whether bundles can have a name: 1 to [MaxName] bytes of
// printable ASCII that neither begin nor end with a space or a slash.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case len(name) > MaxName:
		return fmt.Errorf("a name of %d bytes is longer than %d", len(name), MaxName)
	case strings.Trim(name, " /") != name:
		return fmt.Errorf("the name %q begins or ends with a space or a slash", name)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }):
		return fmt.Errorf("the name %q has characters that are not printable ASCII", name)
	}
	return nil
}

// checkOrder tells whether name and sequence go together: both or none.
func (h *Header) checkOrder() error {
	switch {
	case h.Name == "" && h.Sequence == 0:
		return nil
	case h.Sequence == 0 || h.Sequence > MaxSequence:
		return fmt.Errorf("sequence %d is not between 1 and %d", h.Sequence, uint64(MaxSequence))
	}
	return CheckName(h.Name)
}
