package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"

	"bale/transport/archive"
)

// maxAnswer is how much an engine may say about a load, in bytes. It takes
// about 100 for an image.
const maxAnswer = 16 << 20

// load is one docker-archive on its way into an engine. The engine takes up
// nothing before it has read the whole archive, so one that is broken off
// leaves nothing there.
type load struct {
	e      *engine
	w      *archive.Writer
	pipe   *io.PipeWriter
	cut    bool // the engine took no more
	cancel context.CancelFunc
	done   chan struct{} // closed when the engine has answered
	answer error         // to be read after done
}

// startLoad begins a load that outlives ctx, which is that of one call only.
func (e *engine) startLoad(ctx context.Context) *load {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r, pipe := io.Pipe()
	l := &load{e: e, pipe: pipe, cancel: cancel, done: make(chan struct{})}
	l.w = archive.NewWriter(l)
	go func() {
		defer close(l.done)
		l.answer = e.load(ctx, r)
		_ = r.Close() // never fails; frees a writer that still waits
	}()
	return l
}

// load sends an archive and reads the whole answer.
func (e *engine) load(ctx context.Context, r io.Reader) error {
	res, err := e.api.ImageLoad(ctx, r, client.ImageLoadWithQuiet(true))
	if err != nil {
		return e.fail("load", err)
	}
	err = answered(io.LimitReader(res, maxAnswer))
	if cerr := res.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return e.fail("load", err)
	}
	return nil
}

// answered reads an engine's stream of messages to the end and returns the
// error in it, if any.
func answered(r io.Reader) error {
	dec := json.NewDecoder(r)
	for {
		var m struct {
			Error  string            `json:"error"`
			Detail *jsonstream.Error `json:"errorDetail"`
		}
		err := dec.Decode(&m)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read its answer: %w", err)
		case m.Detail != nil:
			return m.Detail
		case m.Error != "":
			return errors.New(m.Error)
		}
	}
}

// Write implements io.Writer for the archive's writer.
func (l *load) Write(p []byte) (int, error) {
	n, err := l.pipe.Write(p)
	if err != nil {
		l.cut = true
	}
	return n, err
}

// do runs f, which writes to the archive. If f fails, or ctx ends meanwhile,
// the load is broken off; and if f failed because the engine took no more,
// the engine's reason is returned.
func (l *load) do(ctx context.Context, f func(*archive.Writer) error) error {
	defer context.AfterFunc(ctx, l.abort)()
	err := f(l.w)
	if err == nil {
		return ctx.Err()
	}
	l.abort()
	<-l.done
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case l.cut && l.answer != nil:
		return l.answer
	case l.cut:
		return fmt.Errorf("docker engine %s: load: it stopped reading and gave no reason", l.e.host)
	}
	return err
}

// finish ends the archive and waits for the engine to take it up.
func (l *load) finish(ctx context.Context, items []archive.Item) error {
	err := l.do(ctx, func(w *archive.Writer) error {
		if err := w.Close(items); err != nil {
			return err
		}
		return l.pipe.Close()
	})
	if err != nil {
		return err
	}
	select {
	case <-l.done:
		return l.answer
	case <-ctx.Done():
		l.abort()
		<-l.done
		return ctx.Err()
	}
}

// abort breaks the load off, so that the engine sees no end of the archive.
// It does nothing after the engine's answer.
func (l *load) abort() {
	_ = l.pipe.CloseWithError(errAborted) // never fails
	l.cancel()
}

var errAborted = errors.New("load broken off")
