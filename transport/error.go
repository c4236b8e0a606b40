package transport

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Side is the end of a copy at which something went wrong.
type Side string

// The sides.
const (
	AtSource Side = "source"
	AtTarget Side = "target"
	AtSpool  Side = "spool" // where blobs are kept that are fetched ahead
)

// Error says on which side a copy failed, and with which object.
type Error struct {
	Side   Side
	Object string // an image's name, a blob's or manifest's digest; the spool's folder
	Err    error
}

// Error names side and object before the cause.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s: %v", e.Side, e.Object, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// at wraps err, unless it is about the user's breaking off or names its side already.
func at(s Side, object fmt.Stringer, err error) error {
	var known *Error
	if err == nil || errors.Is(err, context.Canceled) || errors.As(err, &known) {
		return err
	}
	return &Error{Side: s, Object: object.String(), Err: err}
}

// Partly tells that some of several names were set before err: a registry and
// an engine set names one by one. Each of those images is whole.
func Partly(err error, named []Image) error {
	if err == nil || len(named) == 0 {
		return err
	}
	var names []string
	for _, i := range named {
		names = append(names, i.Name.String())
	}
	return fmt.Errorf("%w (set before that: %s)", err, strings.Join(names, ", "))
}
