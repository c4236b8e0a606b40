package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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
	ctx     context.Context
	cancel  context.CancelCauseFunc
	work    chan *job // to the workers
	order   chan *job // the same jobs, to the assembler
	all     sync.WaitGroup
	changed *changed
	write   writePack
	emitted int // frames handed on

	// Of the assembler, until it has ended.
	packs  []index.Pack
	frames []index.Frame
	inPack int
	meta   []*job // manifests and configs, which go to packs of their own

	mu      sync.Mutex
	placed  sync.Cond
	builder pack.Builder
	spots   map[int]spot // by frame, of those that may be read back
	written []int64      // where the packs begin
}

// writePack writes a pack and returns where its first byte is.
type writePack func(name string, sum [32]byte, data []byte) (off int64, err error)

// spot is where a frame is.
type spot struct {
	pack             int
	off, stored, raw int64
}

type job struct {
	frame
	seq    int
	size   int64 // raw bytes
	kind   pack.Kind
	patch  int64 // bytes of the patch
	stored []byte
	err    error
	done   chan struct{}
}

var errAborted = errors.New("bundle was given up")

func newPipeline(ctx context.Context, l pack.Level, workers int, write writePack) (*pipeline, error) {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	workers = min(workers, maxWorkers)
	p := &pipeline{work: make(chan *job, workers), order: make(chan *job, 2*workers), changed: newChanged(l), write: write, spots: make(map[int]spot)}
	p.placed.L = &p.mu
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	context.AfterFunc(p.ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.placed.Broadcast()
	})
	for range workers {
		e, err := newEncoders(l)
		if err != nil {
			p.cancel(err)
			return nil, err
		}
		p.all.Go(func() { p.compress(&e) })
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
func (e *encoders) of(c class) *pack.Encoder {
	if c == packedClass || c == correctionsClass {
		return e.packed
	}
	return e.normal
}

// frame hands a frame on, and returns which one it is; it blocks while enough
// are under way.
func (p *pipeline) frame(f frame) (seq int, err error) {
	j := &job{frame: f, seq: p.emitted, size: int64(len(f.raw)), done: make(chan struct{})}
	p.emitted++
	if err := p.changed.enter(p.ctx, j); err != nil {
		return j.seq, context.Cause(p.ctx)
	}
	for _, c := range []chan *job{p.order, p.work} {
		select {
		case c <- j:
		case <-p.ctx.Done():
			return j.seq, context.Cause(p.ctx)
		}
	}
	return j.seq, nil
}

func (p *pipeline) compress(e *encoders) {
	for {
		select {
		case <-p.ctx.Done():
			return
		case j, ok := <-p.work:
			if !ok {
				return
			}
			if j.changed() {
				j.err = p.changed.encode(p.ctx, j, e.normal)
			} else {
				j.stored = e.of(j.class).Encode(newBuffer(), j.raw)
			}
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
				if err := p.end(); err != nil {
					p.cancel(err)
				}
				return
			}
			select {
			case <-j.done:
			case <-p.ctx.Done():
				return
			}
			if j.class == metaClass {
				p.hold(j)
				continue
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
	if j.err != nil {
		return j.err
	}
	if !p.builder.Fits(len(j.stored)) {
		if err := p.endPack(); err != nil {
			return err
		}
	}
	p.mu.Lock()
	off, err := p.builder.Add(j.stored)
	if j.kind == pack.Plain {
		p.spots[j.seq] = spot{len(p.written), off, int64(len(j.stored)), j.size}
	}
	p.placed.Broadcast()
	p.mu.Unlock()
	if err != nil {
		return err
	}
	p.frames = append(p.frames, index.Frame{
		Kind: j.kind, FirstChunk: uint32(j.class)<<classShift | j.first, Chunks: j.count,
		Stored: int64(len(j.stored)), Raw: j.size, Dictionary: j.dictionary, Patch: j.patch,
	})
	p.inPack++
	freeBuffer(j.raw)
	freeBuffer(j.stored)
	return nil
}

// hold keeps a frame for the end, in no more memory than it takes.
func (p *pipeline) hold(j *job) {
	stored := bytes.Clone(j.stored)
	freeBuffer(j.raw)
	freeBuffer(j.stored)
	j.raw, j.stored = nil, stored
	p.meta = append(p.meta, j)
}

// end writes what is left: content, and then manifests and configs in packs of
// their own, which is what a receipt keeps.
func (p *pipeline) end() error {
	if err := p.endPack(); err != nil {
		return err
	}
	for _, j := range p.meta {
		if err := p.place(j); err != nil {
			return err
		}
	}
	return p.endPack()
}

// read returns a plain frame as it was placed, and its raw size. It waits for
// it if need be; back reads what was written.
func (p *pipeline) read(seq int, back io.ReaderAt) (stored []byte, raw int64, err error) {
	p.mu.Lock()
	s, ok := p.spots[seq]
	for ; !ok; s, ok = p.spots[seq] {
		if p.ctx.Err() != nil {
			p.mu.Unlock()
			return nil, 0, context.Cause(p.ctx)
		}
		p.placed.Wait()
	}
	if s.pack == len(p.written) {
		stored = bytes.Clone(p.builder.Bytes(s.off, s.stored))
		p.mu.Unlock()
		return stored, s.raw, nil
	}
	off := p.written[s.pack] + s.off
	p.mu.Unlock()
	stored = make([]byte, s.stored)
	if n, err := back.ReadAt(stored, off); n < len(stored) {
		return nil, 0, fmt.Errorf("read back what was written: %w", err)
	}
	return stored, s.raw, nil
}

func (p *pipeline) endPack() error {
	if p.builder.Empty() {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.builder.Finish()
	off, err := p.write(container.PackName(f.Digest), f.Sum, f.Data)
	if err != nil {
		return fmt.Errorf("write pack: %w", err)
	}
	p.written = append(p.written, off)
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
