package transport

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"bale/bundle/commit"
	"bale/bundle/fault"
)

const (
	// aheadBytes bounds what is fetched before its turn, all together. A blob
	// larger than that streams when its turn has come; so no connection is
	// ever opened and then kept waiting until the far side gives up.
	aheadBytes = 512 << 20
	// aheadCount bounds how many blobs that is, so that small ones, which are
	// kept in memory, do not add up either.
	aheadCount = 64
	// inMemory is up to which size a blob is kept in memory instead of a file.
	inMemory = 1 << 20
)

// Local is implemented by sources that need no fetching ahead because their
// content lies on this machine.
type Local interface{ Local() bool }

// ahead fetches blobs side by side for a sink that takes them one by one.
type ahead struct {
	group  *errgroup.Group
	cancel context.CancelFunc
	blobs  []*item
	spools []*spool
	budget *semaphore.Weighted
	slots  *semaphore.Weighted // one for each blob that is on its way
	dir    string
}

// spool is one blob that was fetched, or will be.
type spool struct {
	ready chan struct{} // closed when the rest is set; nil if the blob streams
	data  []byte
	file  *os.File
	err   error
}

func newAhead(ctx context.Context, blobs []*item, o Options) *ahead {
	a := &ahead{
		blobs: blobs, spools: make([]*spool, len(blobs)), dir: o.SpoolDir,
		budget: semaphore.NewWeighted(aheadBytes), slots: semaphore.NewWeighted(int64(o.Concurrency)),
	}
	ctx, a.cancel = context.WithCancel(ctx)
	a.group = &errgroup.Group{}
	for n, i := range blobs {
		a.spools[n] = &spool{}
		l, ok := i.source.(Local)
		if i.desc.Size <= aheadBytes && !(ok && l.Local()) {
			a.spools[n].ready = make(chan struct{})
		}
	}
	a.group.Go(func() error { a.schedule(ctx); return nil })
	return a
}

// schedule starts fetches in the order of the blobs as far as the budget goes.
// Since it is freed in the same order, the blob whose turn it is is never kept
// out by later ones.
func (a *ahead) schedule(ctx context.Context) {
	for n, s := range a.spools {
		if s.ready == nil {
			continue
		}
		err := a.budget.Acquire(ctx, weight(a.blobs[n]))
		if err == nil {
			err = a.slots.Acquire(ctx, 1)
		}
		if err != nil {
			s.err = err
			close(s.ready)
			continue
		}
		a.group.Go(func() error {
			s.err = s.fetch(ctx, a.blobs[n], a.dir)
			a.slots.Release(1)
			close(s.ready)
			return nil
		})
	}
}

// weight is what a blob takes of the budget.
func weight(i *item) int64 { return max(i.desc.Size, aheadBytes/aheadCount) }

// fetch reads a blob to its verified end.
func (s *spool) fetch(ctx context.Context, i *item, dir string) error {
	rc, err := i.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = rc.Close() }() // only read from
	if i.desc.Size <= inMemory {
		s.data, err = io.ReadAll(rc)
		return err
	}
	if s.file, err = commit.Scratch(dir); err != nil {
		return spoolError(dir, err)
	}
	_, err = io.Copy(spoolWriter{s.file, dir}, rc)
	return err
}

// spoolWriter tells errors of writing a spool from those of the source.
type spoolWriter struct {
	f   *os.File
	dir string
}

func (w spoolWriter) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	return n, spoolError(w.dir, err)
}

func spoolError(dir string, err error) error {
	if err == nil {
		return nil
	}
	if dir == "" {
		dir = os.TempDir()
	}
	return &Error{Side: AtSpool, Object: dir, Err: fault.WithHint(fmt.Errorf("keep what is fetched ahead: %w", err),
		"make sure that %s can be written to and has room", dir)}
}

// turn begins the n-th blob. One that streams takes part in the limit on how
// many are moved at a time until it is released.
func (a *ahead) turn(ctx context.Context, n int) error {
	if a.spools[n].ready != nil {
		return nil
	}
	return a.slots.Acquire(ctx, 1)
}

// open gives the n-th blob when its turn has come.
func (a *ahead) open(ctx context.Context, n int) (io.ReadCloser, error) {
	s, i := a.spools[n], a.blobs[n]
	if s.ready == nil {
		return i.open(ctx)
	}
	select {
	case <-s.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	switch {
	case s.err != nil:
		return nil, s.err
	case s.file != nil:
		return io.NopCloser(io.NewSectionReader(s.file, 0, i.desc.Size)), nil
	}
	return io.NopCloser(bytes.NewReader(s.data)), nil
}

// release frees what the n-th blob took.
func (a *ahead) release(n int) {
	s := a.spools[n]
	if s.ready == nil {
		a.slots.Release(1)
		return
	}
	<-s.ready
	s.free()
	a.budget.Release(weight(a.blobs[n]))
}

func (s *spool) free() {
	if s.file != nil {
		_ = s.file.Close() // an unnamed file that nobody needs any more
		s.file = nil
	}
	s.data = nil
}

// close ends all fetches and frees everything.
func (a *ahead) close() {
	a.cancel()
	_ = a.group.Wait() // fetches keep their errors in their spools
	for _, s := range a.spools {
		s.free()
	}
}
