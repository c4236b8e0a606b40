package bundle

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"bale/bundle/container"
	"bale/bundle/index"
	"bale/bundle/pack"
)

// maxWorkers bounds memory: each worker holds an encoder and has two frames
// waiting, which comes to about 25 MB.
const maxWorkers = 4

// pipeline compresses frames side by side and writes them in the order they
// came, so that the result does not depend on who was fastest.
type pipeline struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	work   chan *job // to the workers
	order  chan *job // the same jobs, to the assembler
	all    sync.WaitGroup
	write  func(name string, sum [32]byte, data []byte) error

	// Of the assembler, until it has ended.
	builder pack.Builder
	packs   []index.Pack
	frames  []index.Frame
	inPack  int
}

type job struct {
	frame
	stored []byte
	done   chan struct{}
}

var errAborted = errors.New("bundle was given up")

func newPipeline(ctx context.Context, l pack.Level, workers int, write func(string, [32]byte, []byte) error) (*pipeline, error) {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	workers = min(workers, maxWorkers)
	p := &pipeline{work: make(chan *job, workers), order: make(chan *job, 2*workers), write: write}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	for range workers {
		e, err := newEncoders(l)
		if err != nil {
			p.cancel(err)
			return nil, err
		}
		p.all.Go(func() { p.compress(e) })
	}
	p.all.Go(p.assemble)
	return p, nil
}

// encoders are what one worker needs: content that is compressed already is
// not worth more than the fastest level.
type encoders struct{ normal, packed *pack.Encoder }

func newEncoders(l pack.Level) (e encoders, err error) {
	if e.normal, err = pack.NewEncoder(l); err != nil {
		return e, err
	}
	e.packed, err = pack.NewEncoder(pack.Fast)
	return e, err
}

// of returns the encoder for a class.
func (e encoders) of(c class) *pack.Encoder {
	if c == packedClass || c == correctionsClass {
		return e.packed
	}
	return e.normal
}

// frame hands a frame on; it blocks while enough are under way.
func (p *pipeline) frame(f frame) error {
	j := &job{frame: f, done: make(chan struct{})}
	for _, c := range []chan *job{p.order, p.work} {
		select {
		case c <- j:
		case <-p.ctx.Done():
			return context.Cause(p.ctx)
		}
	}
	return nil
}

func (p *pipeline) compress(e encoders) {
	for {
		select {
		case <-p.ctx.Done():
			return
		case j, ok := <-p.work:
			if !ok {
				return
			}
			j.stored = e.of(j.class).Encode(newBuffer(), j.raw)
			close(j.done)
		}
	}
}

func (p *pipeline) assemble() {
	for {
		select {
		case <-p.ctx.Done():
			return
		case j, ok := <-p.order:
			if !ok {
				if err := p.endPack(); err != nil {
					p.cancel(err)
				}
				return
			}
			select {
			case <-j.done:
			case <-p.ctx.Done():
				return
			}
			if err := p.place(j); err != nil {
				p.cancel(err)
				return
			}
		}
	}
}

// place puts a compressed frame into a pack. FirstChunk keeps class and number
// until the chunkStore turns them into ordinals.
func (p *pipeline) place(j *job) error {
	if !p.builder.Fits(len(j.stored)) {
		if err := p.endPack(); err != nil {
			return err
		}
	}
	if err := p.builder.Add(j.stored); err != nil {
		return err
	}
	p.frames = append(p.frames, index.Frame{
		Kind: pack.Plain, FirstChunk: uint32(j.class)<<classShift | j.first, Chunks: j.count,
		Stored: int64(len(j.stored)), Raw: int64(len(j.raw)),
	})
	p.inPack++
	freeBuffer(j.raw)
	freeBuffer(j.stored)
	return nil
}

func (p *pipeline) endPack() error {
	if p.builder.Empty() {
		return nil
	}
	f := p.builder.Finish()
	if err := p.write(container.PackName(f.Digest), f.Sum, f.Data); err != nil {
		return fmt.Errorf("write pack: %w", err)
	}
	p.packs = append(p.packs, index.Pack{Digest: f.Digest, Size: int64(len(f.Data)), Frames: p.inPack})
	p.inPack = 0
	return nil
}

// finish waits for the workers and returns what was written; with !ok it
// makes them stop at once.
func (p *pipeline) finish(ok bool) ([]index.Pack, []index.Frame, error) {
	if !ok {
		p.cancel(errAborted)
	}
	close(p.work)
	close(p.order)
	p.all.Wait()
	err := context.Cause(p.ctx)
	p.cancel(nil)
	return p.packs, p.frames, err
}

// buffers are as large as a frame and its compressed form may become.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, frameSize+frameSize/16); return &b }}

func newBuffer() []byte { return (*buffers.Get().(*[]byte))[:0] }

func freeBuffer(b []byte) {
	if cap(b) >= frameSize {
		b = b[:0]
		buffers.Put(&b)
	}
}
