package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"

	"bale/transport/archive"
)

// maxAnswer is how much an engine may say about a load, in bytes. It takes
// about 100 for an image.
const maxAnswer = 16 << 20

// maxSaid is how much of its last words is kept, in bytes.
const maxSaid = 2000

// load is one archive on its way into an engine. The engine takes up nothing
// before it has read the whole archive, so one that is broken off leaves no
// image there.
type load struct {
	e      *engine
	w      *archive.Writer
	pipe   *io.PipeWriter
	cut    bool // the engine took no more
	cancel context.CancelFunc
	done   chan struct{} // closed when the engine has answered
	answer error         // to be read after done
	said   string        // what else the engine has to say, likewise
}

// startLoad begins a load that outlives ctx, which is that of one call only.
func (e *engine) startLoad(ctx context.Context) *load {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r, pipe := io.Pipe()
	l := &load{e: e, pipe: pipe, cancel: cancel, done: make(chan struct{})}
	l.w = archive.NewWriter(l)
	go func() {
		defer close(l.done)
		l.said, l.answer = e.load(ctx, r)
		_ = r.Close() // never fails; frees a writer that still waits
	}()
	return l
}

// load sends an archive and reads the whole answer, of which it returns the last
// words.
func (e *engine) load(ctx context.Context, r io.Reader) (said string, err error) {
	res, err := e.api.ImageLoad(ctx, r, client.ImageLoadWithQuiet(true))
	if err != nil {
		return "", e.fail("load", err)
	}
	said, err = answered(io.LimitReader(res, maxAnswer))
	if cerr := res.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return said, e.fail("load", err)
	}
	return said, nil
}

// answered reads an engine's stream of messages to the end and returns the
// error in it, if any, or else the last words.
func answered(r io.Reader) (said string, err error) {
	dec := json.NewDecoder(r)
	for {
		var m struct {
			Stream string            `json:"stream"`
			Error  string            `json:"error"`
			Detail *jsonstream.Error `json:"errorDetail"`
		}
		err := dec.Decode(&m)
		switch {
		case errors.Is(err, io.EOF):
			return said, nil
		case err != nil:
			return said, fmt.Errorf("read its answer: %w", err)
		case m.Detail != nil:
			return said, m.Detail
		case m.Error != "":
			return said, errors.New(m.Error)
		case m.Stream != "":
			said = strings.TrimSpace(said + "\n" + strings.TrimSpace(m.Stream))
			said = said[max(0, len(said)-maxSaid):]
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
	case l.cut && l.said != "":
		return fmt.Errorf("%s: load: it stopped reading and said %q", l.e, l.said)
	case l.cut:
		return fmt.Errorf("%s: load: it stopped reading and gave no reason", l.e)
	}
	return err
}

// finish ends the archive as end does, and waits for the engine to take it up.
func (l *load) finish(ctx context.Context, end func(*archive.Writer) error) error {
	err := l.do(ctx, func(w *archive.Writer) error {
		if err := end(w); err != nil {
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
	if l == nil {
		return
	}
	_ = l.pipe.CloseWithError(errAborted) // never fails
	l.cancel()
}

// lastWords is what the engine said at the end, which has come.
func (l *load) lastWords() string {
	if l == nil {
		return ""
	}
	return l.said
}

// close breaks the load off, if it goes on, and waits for its end.
func (l *load) close() {
	if l == nil {
		return
	}
	l.abort()
	<-l.done
}

var errAborted = errors.New("load broken off")
