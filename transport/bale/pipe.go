package bale

import (
	"context"
	"fmt"
	"io"
	"os"

	"bale/bundle/blob"
	"bale/bundle/commit"
)

// Stdout is the path that stands for a stream.
const Stdout = "-"

// pipe is a bundle for a stream. It is kept in a file without a name until it is
// complete, so that whoever reads gets all of it or nothing.
type pipe struct {
	*os.File
	to io.Writer
}

func newPipe(to io.Writer) (*pipe, error) {
	f, err := commit.Scratch("")
	if err != nil {
		return nil, err
	}
	return &pipe{f, to}, nil
}

// Commit implements [output].
func (p *pipe) Commit(ctx context.Context) error {
	if _, err := p.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the bundle back: %w", err)
	}
	if _, err := io.Copy(p.to, blob.WithContext(ctx, p.File)); err != nil {
		return fmt.Errorf("write the bundle to the stream: %w", err)
	}
	return p.Close()
}

// Discard implements [output].
func (p *pipe) Discard() { _ = p.Close() } // its content is of no use any more
