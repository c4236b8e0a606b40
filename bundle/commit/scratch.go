package commit

import (
	"fmt"
	"os"
)

// Scratch opens a file for what is only needed for a while. It has no name, so
// it goes away with its last handle, whatever becomes of the program. dir is
// where its space is taken from; "" is the system's folder for temporary files.
func Scratch(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, ".bale-scratch-*")
	if err != nil {
		return nil, fmt.Errorf("make a temporary file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close() // the first error says more
		return nil, fmt.Errorf("make a temporary file: %w", err)
	}
	return f, nil
}
