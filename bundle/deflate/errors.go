package deflate

import (
	"errors"
	"fmt"
)

// Reasons for which a stream is not taken apart. None is a fault of the
// stream's owner: the blob is stored as it came.
var (
	// ErrNotGzip says that the bytes are no gzip stream, or a damaged one.
	ErrNotGzip = errors.New("not a whole gzip stream")
	// ErrIrregular says that the stream is valid but cannot be described: it
	// uses a form that no compressor is known to use, or breaks a limit.
	ErrIrregular = errors.New("unusual gzip stream")
	// ErrNotWorth says that the corrections are too large to be of use.
	ErrNotWorth = errors.New("corrections too large")
)

// ErrRecipe says that a recipe is not one that this package wrote for these
// raw bytes: it is damaged, or was made for others.
var ErrRecipe = errors.New("recipe does not fit")

func notGzip(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrNotGzip, fmt.Sprintf(format, a...))
}

func irregular(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrIrregular, fmt.Sprintf(format, a...))
}

func misfit(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrRecipe, fmt.Sprintf(format, a...))
}
