package bundle

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"

	"bale/bundle/delta"
	"bale/bundle/pack"
)

const (
	// maxChanged is how many frames of changed content are on their way at a
	// time: each holds up to 12 MiB of old content.
	maxChanged = 3
	// maxPatching is how many of them are worked on at a time.
	maxPatching = 2
)

// changed makes frames of changed content, for all workers: what it takes is too
// large for each of them to have its own.
type changed struct {
	level   pack.Level
	queue   *semaphore.Weighted
	patches chan *delta.Encoder // nil: not made yet

	mu         sync.Mutex
	dictionary *pack.DictionaryEncoder
}

func newChanged(l pack.Level) *changed {
	c := &changed{level: l, queue: semaphore.NewWeighted(maxChanged), patches: make(chan *delta.Encoder, maxPatching)}
	for range maxPatching {
		c.patches <- nil
	}
	return c
}

// changed reports whether a frame has something to be compared with.
func (f *frame) changed() bool { return len(f.old) > 0 || f.fetch != nil }

// enter waits until one more frame may be on its way.
func (c *changed) enter(ctx context.Context, j *job) error {
	if !j.changed() {
		return nil
	}
	return c.queue.Acquire(ctx, 1)
}

const (
	// similar is up to which share of the raw bytes a patch is thought to be so
	// small that nothing else needs to be tried.
	similarNum, similarDen = 1, 50
	// manyFiles is from how many on a dictionary is worth trying: it wins where
	// small files share more with each other than each with its predecessor, and
	// loses by far on large ones (FORMAT.md, section 13).
	manyFiles = 8
	// unlike is from which share on the content may be smaller by itself.
	unlikeNum, unlikeDen = 1, 8
)

// encode compresses a frame as suits it best: as a patch on what was there
// before, at level best also with that as dictionary (if it is of a base: a
// bundle without bases is not to take twice the memory), or by itself.
func (c *changed) encode(ctx context.Context, j *job, plain *pack.Encoder) (err error) {
	defer func() {
		j.old, j.fetch = nil, nil
		c.queue.Release(1)
	}()
	fromBase := j.fetch != nil
	if fromBase {
		if j.old, err = j.fetch(ctx); err != nil {
			return err
		}
	}
	patch := c.patch(j.old, j.raw)
	j.kind, j.patch = pack.Patch, int64(len(patch))
	j.stored = plain.Encode(newBuffer(), patch)
	freeBuffer(patch)
	if c.level == pack.Best && fromBase && j.files >= manyFiles && len(j.stored)*similarDen > len(j.raw)*similarNum {
		stored, err := c.withDictionary(j.raw, j.old)
		if err != nil {
			return err
		}
		j.take(pack.Dictionary, stored)
	}
	if len(j.stored)*unlikeDen > len(j.raw)*unlikeNum {
		j.take(pack.Plain, plain.Encode(newBuffer(), j.raw))
	}
	if j.kind == pack.Plain {
		j.dictionary = nil
	}
	return nil
}

func (c *changed) patch(old, raw []byte) []byte {
	e := <-c.patches
	if e == nil {
		e = delta.NewEncoder()
	}
	defer func() { c.patches <- e }()
	return e.Append(newBuffer(), old, raw)
}

func (c *changed) withDictionary(raw, old []byte) (_ []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dictionary == nil {
		if c.dictionary, err = pack.NewDictionaryEncoder(); err != nil {
			return nil, err
		}
	}
	return c.dictionary.Encode(newBuffer(), raw, old)
}

// take keeps what is smaller.
func (j *job) take(k pack.Kind, stored []byte) {
	if len(stored) >= len(j.stored) {
		freeBuffer(stored)
		return
	}
	freeBuffer(j.stored)
	j.kind, j.patch, j.stored = k, 0, stored
}
