package bundle

import (
	"container/list"
	"context"
	"crypto/sha256"
	"fmt"
	"sync"

	"bale/bundle/fault"
)

// cacheBytes is how many raw bytes of frames a Reader keeps. Blobs that are
// rebuilt side by side each walk through a frame of structure, one of content
// and perhaps one of corrections, so this serves several of them.
const cacheBytes = 64 << 20

// writerCacheBytes is how many a [Writer] keeps of each base and of what it has
// written itself: it asks for what is compared with in the order it is stored.
const writerCacheBytes = 32 << 20

// frameCache keeps the frames used last. Several readers that want the same
// frame wait for one decompression.
type frameCache struct {
	load  func(ctx context.Context, frame int) (*rawFrame, error)
	limit int64 // bytes

	mu    sync.Mutex
	byID  map[int]*list.Element // of *cached
	order list.List             // most recently used first
	bytes int64
}

type cached struct {
	frame int
	ready chan struct{}
	raw   *rawFrame
	err   error
}

// rawFrame is a decompressed frame whose chunks were checked.
type rawFrame struct {
	data []byte
	ends []uint32 // where each chunk ends
}

// chunks returns the bytes of n chunks from the i-th of the frame on.
func (f *rawFrame) chunks(i, n uint32) []byte {
	start := uint32(0)
	if i > 0 {
		start = f.ends[i-1]
	}
	return f.data[start:f.ends[i+n-1]]
}

func (f *rawFrame) size() int64 { return int64(len(f.data) + 4*len(f.ends)) }

func newFrameCache(limit int64, load func(context.Context, int) (*rawFrame, error)) *frameCache {
	return &frameCache{load: load, limit: limit, byID: make(map[int]*list.Element)}
}

// LimitCache lowers how many raw bytes the reader keeps of frames that may be
// asked for again.
func (r *Reader) LimitCache(bytes int64) { r.frames.shrink(bytes) }

// shrink lowers the limit for what is loaded from now on.
func (c *frameCache) shrink(limit int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = min(c.limit, limit)
}

// get returns a frame, which must not be changed.
func (c *frameCache) get(ctx context.Context, frame int) (*rawFrame, error) {
	for {
		c.mu.Lock()
		e, ok := c.byID[frame]
		if !ok {
			f := &cached{frame: frame, ready: make(chan struct{})}
			e = c.order.PushFront(f)
			c.byID[frame] = e
			c.mu.Unlock()
			c.fill(ctx, f, e)
			return f.raw, f.err
		}
		c.order.MoveToFront(e)
		f := e.Value.(*cached)
		c.mu.Unlock()
		select {
		case <-f.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		// The one who loaded may have been cancelled; that is not our failure.
		if f.err == nil || ctx.Err() != nil || !isContext(f.err) {
			return f.raw, f.err
		}
	}
}

// fill loads a frame and makes room for it. Failures are not kept.
func (c *frameCache) fill(ctx context.Context, f *cached, e *list.Element) {
	raw, err := c.load(ctx, f.frame)
	c.mu.Lock()
	defer c.mu.Unlock()
	f.raw, f.err = raw, err
	if f.err != nil {
		c.order.Remove(e)
		delete(c.byID, f.frame)
	} else {
		c.bytes += f.raw.size()
		for back := c.order.Back(); c.bytes > c.limit && back != nil; {
			prev := back.Prev()
			if old := back.Value.(*cached); old != f && old.raw != nil {
				c.bytes -= old.raw.size()
				c.order.Remove(back)
				delete(c.byID, old.frame)
			}
			back = prev
		}
	}
	close(f.ready)
}

// loadFrame reads, decompresses and checks one frame with all its chunks.
func (r *Reader) loadFrame(ctx context.Context, frame int) (*rawFrame, error) {
	f := &r.index.Frames[frame]
	p := int(f.Pack)
	if err := r.checkPack(ctx, p, nil); err != nil {
		return nil, err
	}
	name := r.packs[p].entry.Name
	stored := make([]byte, f.Stored)
	if err := r.c.ReadAt(stored, r.packs[p].entry.Offset+f.Offset); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	raw, err := r.decode(ctx, f, stored)
	if err != nil {
		return nil, fmt.Errorf("%s, byte %d: %w", name, f.Offset, err)
	}
	out := &rawFrame{data: raw, ends: make([]uint32, 0, f.Chunks)}
	var off int64
	for c := f.FirstChunk; c < f.FirstChunk+f.Chunks; c++ {
		n := r.index.Chunks.Length(c)
		if h := r.index.Chunks.Hash(c); sha256.Sum256(raw[off:off+n]) != h {
			return nil, fault.Damaged("%s, byte %d: chunk %x has other content", name, f.Offset, h[:8])
		}
		off += n
		out.ends = append(out.ends, uint32(off))
	}
	return out, nil
}
