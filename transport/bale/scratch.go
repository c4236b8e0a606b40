package bale

import (
	"context"
	"errors"
	"os"
	"time"

	"bale/bundle"
	"bale/bundle/commit"
	"bale/bundle/pack"
	"bale/transport"
)

// Scratch is images of a place as a base: a bundle of their content that is for
// this process only, in a file without a name.
type Scratch struct {
	*bundle.Reader
	file *os.File
}

// scratchFile is what it is written to.
type scratchFile struct{ *os.File }

func (scratchFile) Commit(ctx context.Context) error { return ctx.Err() }
func (scratchFile) Discard()                         {}

// NewScratch reads images as a base for a bundle. The id is the same for the
// same images. dir needs room for their compressed content. The caller closes it.
func NewScratch(ctx context.Context, requests []transport.Request, dir string, o transport.Options) (_ *Scratch, err error) {
	f, err := commit.Scratch(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = f.Close() // it has no name
		}
	}()
	sink := newSink(SinkOptions{
		Unpack: true, Fixed: true,
		Writer: bundle.WriterOptions{Created: time.Unix(0, 0), Creator: "bale", Level: pack.Fast},
	}, scratchFile{f})
	sink.plain = true
	defer func() { err = errors.Join(err, sink.Close()) }()
	o.Planned = func(p *transport.Plan) error { return sink.Start(ctx, p) }
	o.SpoolDir = dir
	if _, err := transport.Copy(ctx, requests, sink, o); err != nil {
		return nil, err
	}
	r, err := reopen(ctx, f, sink.Size())
	if err != nil {
		return nil, err
	}
	return &Scratch{r, f}, nil
}

// Close frees what it takes.
func (s *Scratch) Close() error { return s.file.Close() }
