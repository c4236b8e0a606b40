package transport

import (
	"context"
	"io"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

const (
	// aheadBytes bounds what is fetched and prepared before its turn, all
	// together. A blob larger than that streams when its turn has come; so no
	// connection is ever opened and then kept waiting until the far side gives
	// up. Unless it is to be prepared: then it is fetched as a whole, since it
	// is read several times.
	aheadBytes = 512 << 20
	// aheadCount bounds how many blobs that is, so that small ones, which are
	// kept in memory, do not add up either.
	aheadCount = 64
	// aheadLarge is how many blobs may be prepared at a time however large they
	// are: or one of them would keep all cores but one waiting.
	aheadLarge = 4
	// maxPreparing bounds how many blobs are prepared at a time, and so memory.
	maxPreparing = 8
)

// How often a blob is gone through, for [tally]. Who prepares a blob reads it
// to see whether it is worth it, to do it, and to check what came of it; each
// takes about twice as long as moving it.
const (
	fetchPasses   = 1
	prepareWeight = 2
	preparePasses = 3 * prepareWeight
	writePasses   = 1
)

// ahead does for a sink that takes blobs one by one what can be done side by
// side before: it fetches them, and lets the sink prepare them.
type ahead struct {
	group   *errgroup.Group
	cancel  context.CancelFunc
	sink    Preparing // nil if it prepares nothing
	jobs    []*job
	budget  *semaphore.Weighted
	slots   *semaphore.Weighted // one for each blob that is on its way
	workers *semaphore.Weighted // one for each that is being prepared
	dir     string
}

// job is one blob and what is done for it before its turn.
type job struct {
	*item
	fetch   bool
	prepare bool
	tally   *tally
	ready   chan struct{} // closed when all that is done; nil if it is nothing
	spool   spool
	err     error // to be read after ready
}

func newAhead(ctx context.Context, blobs []*item, sink Sink, o Options) *ahead {
	a := &ahead{
		dir: o.SpoolDir, budget: semaphore.NewWeighted(aheadBytes), group: &errgroup.Group{},
		slots: semaphore.NewWeighted(int64(o.Downloads)), workers: semaphore.NewWeighted(int64(o.Workers)),
	}
	a.sink, _ = sink.(Preparing)
	ctx, a.cancel = context.WithCancel(ctx)
	for _, i := range blobs {
		j := &job{item: i, prepare: prepares(sink, i), fetch: !i.local()}
		if i.desc.Size > aheadBytes && !j.prepare {
			j.fetch = false
		}
		passes := writePasses
		if j.fetch {
			passes += fetchPasses
		}
		if j.prepare {
			passes += preparePasses
		}
		if j.fetch || j.prepare {
			j.ready = make(chan struct{})
		}
		j.tally = &tally{p: o.Progress, size: i.desc.Size, passes: passes}
		a.jobs = append(a.jobs, j)
	}
	a.group.Go(func() error { a.schedule(ctx); return nil })
	return a
}

// prepares reports whether a sink wants to prepare a blob.
func prepares(sink Sink, i *item) bool {
	p, ok := sink.(Preparing)
	return ok && p.Prepares(i.desc)
}

// schedule starts jobs in the order of the blobs as far as the budget goes.
// Since it is freed in the same order, the blob whose turn it is is never kept
// out by later ones.
func (a *ahead) schedule(ctx context.Context) {
	for _, j := range a.jobs {
		if j.ready == nil {
			continue
		}
		err := a.budget.Acquire(ctx, j.weight())
		if err == nil && j.fetch {
			err = a.slots.Acquire(ctx, 1)
		}
		if err != nil {
			j.err = err
			close(j.ready)
			continue
		}
		a.group.Go(func() error {
			j.err = a.run(ctx, j)
			close(j.ready)
			return nil
		})
	}
}

// weight is what a job takes of the budget.
func (j *job) weight() int64 {
	w := j.desc.Size
	if j.prepare {
		w = min(w, aheadBytes/aheadLarge)
	}
	return max(w, aheadBytes/aheadCount)
}

func (a *ahead) run(ctx context.Context, j *job) error {
	if j.fetch {
		err := j.spool.fill(ctx, j.item, a.dir, j.tally)
		a.slots.Release(1)
		if err != nil {
			return at(AtSource, j.desc.Digest, err)
		}
		j.tally.reach(fetchPasses)
	}
	if !j.prepare {
		return nil
	}
	if err := a.workers.Acquire(ctx, 1); err != nil {
		return err
	}
	defer a.workers.Release(1)
	end := j.tally.passes - writePasses
	err := reading(ctx, j.desc.Digest, j.open, func(n int64) { j.tally.count(n*prepareWeight, j.desc.Size, end) },
		func(open Opener) error { return a.sink.Prepare(ctx, j.desc, open) })
	if err == nil {
		j.tally.reach(end)
	}
	return err
}

// open gives a blob's content: what was fetched, or the source's.
func (j *job) open(ctx context.Context) (io.ReadCloser, error) {
	if !j.fetch {
		return j.item.open(ctx)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return j.spool.open(), nil
}

// turn waits until all is done for the n-th blob. One for which there is
// nothing to do takes part in the limit on how many are moved at a time until
// it is released.
func (a *ahead) turn(ctx context.Context, n int) (*job, error) {
	j := a.jobs[n]
	if j.ready == nil {
		return j, a.slots.Acquire(ctx, 1)
	}
	select {
	case <-j.ready:
		return j, j.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// release frees what a blob took that was written.
func (a *ahead) release(j *job) {
	if j.ready == nil {
		a.slots.Release(1)
		return
	}
	j.spool.free()
	a.budget.Release(j.weight())
}

// close ends all that is under way and frees everything.
func (a *ahead) close() {
	a.cancel()
	_ = a.group.Wait() // jobs keep their errors
	for _, j := range a.jobs {
		j.spool.free()
	}
}
