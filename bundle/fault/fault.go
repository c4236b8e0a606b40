// Package fault names the ways in which bale's work goes wrong, so that a
// caller (and in the end a script that reads an exit code) can tell them
// apart without looking at text.
//
// A fault has a kind (one of the sentinels below), a message that says what
// failed, on which side and with which object, and often a hint: one line that
// says what to do next.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// The kinds of fault. Test for them with [errors.Is].
var (
	// ErrDamaged marks input whose bytes are not what they should be: cut
	// short, altered, lying about sizes, or no bundle at all.
	ErrDamaged = errors.New("damaged")
	// ErrUntrusted marks a bundle that is not signed by a key the user named.
	ErrUntrusted = errors.New("not trusted")
	// ErrMissing marks something asked for that is not there.
	ErrMissing = errors.New("missing")
	// ErrUnsupported marks input that is well formed but says something this
	// version of bale does not know, such as a newer format.
	ErrUnsupported = errors.New("unsupported")
	// ErrUsage marks a request that makes no sense as it was asked.
	ErrUsage = errors.New("usage")
)

// Error is a fault of one kind. Its text is only the message; the kind is for
// [errors.Is], and the hint is printed apart by the command line.
type Error struct {
	kind error
	err  error
	hint string
}

// Error returns the message without kind and hint.
func (e *Error) Error() string { return e.err.Error() }

// Unwrap returns the kind, if any, and the wrapped error.
func (e *Error) Unwrap() []error {
	if e.kind == nil {
		return []error{e.err}
	}
	return []error{e.kind, e.err}
}

// Damaged returns an [ErrDamaged] fault; format and args are as for
// [fmt.Errorf], %w included.
func Damaged(format string, args ...any) error { return newError(ErrDamaged, format, args) }

// Untrusted returns an [ErrUntrusted] fault.
func Untrusted(format string, args ...any) error { return newError(ErrUntrusted, format, args) }

// Missing returns an [ErrMissing] fault.
func Missing(format string, args ...any) error { return newError(ErrMissing, format, args) }

// Unsupported returns an [ErrUnsupported] fault.
func Unsupported(format string, args ...any) error { return newError(ErrUnsupported, format, args) }

// Usage returns an [ErrUsage] fault.
func Usage(format string, args ...any) error { return newError(ErrUsage, format, args) }

func newError(kind error, format string, args []any) error {
	return &Error{kind: kind, err: fmt.Errorf(format, args...)}
}

// WithHint adds a line of advice to err; nil stays nil. The hint of the
// innermost fault wins, since it knows most, so an outer hint never hides it.
func WithHint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Error{err: err, hint: fmt.Sprintf(format, args...)}
}

// Hint returns the innermost hint in err's tree, or "". Where an error wraps
// several others (as [errors.Join] does) the first that has one is taken.
func Hint(err error) string {
	if err == nil {
		return ""
	}
	switch u := err.(type) {
	case interface{ Unwrap() error }:
		if h := Hint(u.Unwrap()); h != "" {
			return h
		}
	case interface{ Unwrap() []error }:
		for _, e := range u.Unwrap() {
			if h := Hint(e); h != "" {
				return h
			}
		}
	}
	if e, ok := err.(*Error); ok {
		return strings.TrimSpace(e.hint)
	}
	return ""
}
