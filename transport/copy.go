package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// Options change how images are copied. The zero value is usable.
type Options struct {
	// Platform takes only this platform of each image; nil takes all, or the
	// one that the sink can keep.
	Platform *v1.Platform
	// Concurrency is how many blobs are moved at a time; 0 is [DefaultConcurrency].
	Concurrency int
	// SpoolDir is where blobs that are fetched ahead of their turn are kept,
	// without a name; "" is the system's folder for temporary files.
	SpoolDir string
	// Planned, if not nil, is called between planning and writing; an error
	// ends the copy before anything is written.
	Planned func(*Plan) error
	// Progress is told what happens; nil says nothing.
	Progress Progress
}

// DefaultConcurrency is how many blobs are moved at a time: as Docker uploads.
const DefaultConcurrency = 5

// The phases that [Progress] is told.
const (
	PhasePlan   = "plan"
	PhaseCopy   = "copy"
	PhaseCommit = "commit"
)

// Copy copies images to a sink and makes them visible there: it plans, moves
// what the sink lacks (layers, then configs, then manifests from the bottom
// up), and gives names last. After an error no name at the sink has changed,
// unless the error is one of giving names, which many places do one by one;
// the caller closes sink and sources in any case.
func Copy(ctx context.Context, requests []Request, sink Sink, o Options) (*Plan, error) {
	if o.Progress == nil {
		o.Progress = Silent{}
	}
	if o.Concurrency <= 0 {
		o.Concurrency = DefaultConcurrency
	}
	plan, err := copyImages(ctx, requests, sink, o)
	switch {
	case err == nil:
		return plan, nil // also if ctx has ended meanwhile: the names are set
	case ctx.Err() != nil:
		// Whatever else is said, breaking off is told as such.
		return nil, ctx.Err()
	}
	return nil, err
}

func copyImages(ctx context.Context, requests []Request, sink Sink, o Options) (*Plan, error) {
	o.Progress.Phase(PhasePlan, 0)
	plan, err := newPlan(ctx, requests, sink, o)
	if err != nil {
		return nil, err
	}
	if o.Planned != nil {
		if err := o.Planned(plan); err != nil {
			return nil, err
		}
	}
	bytes, _ := plan.Bytes()
	o.Progress.Phase(PhaseCopy, bytes)
	if sink.Properties().Ordered {
		err = copyOrdered(ctx, plan, sink, o)
	} else {
		err = copyParallel(ctx, plan, sink, o)
	}
	if err != nil {
		return nil, err
	}
	// A sink may not look at ctx when it is given nothing to wait for.
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	o.Progress.Phase(PhaseCommit, 0)
	if err := sink.Commit(ctx, plan.targets()); err != nil {
		return nil, fmt.Errorf("%s: %w", AtTarget, err)
	}
	return plan, nil
}

// wanted returns the items that the sink lacks.
func wanted(items []*item) []*item {
	return slices.DeleteFunc(slices.Clone(items), func(i *item) bool { return i.has || len(i.owners) == 0 })
}

// copyParallel moves blobs side by side, one kind after the other.
func copyParallel(ctx context.Context, plan *Plan, sink Sink, o Options) error {
	for _, stage := range [][]*item{wanted(plan.layers), wanted(plan.configs)} {
		err := each(ctx, o.Concurrency, stage, func(ctx context.Context, i *item) error {
			return writeBlob(ctx, sink, i, i.open, o.Progress)
		})
		if err != nil {
			return err
		}
	}
	manifests := wanted(plan.manifests)
	for level := 0; len(manifests) > 0; level++ {
		var now, later []*item
		for _, m := range manifests {
			if m.level == level {
				now = append(now, m)
			} else {
				later = append(later, m)
			}
		}
		err := each(ctx, o.Concurrency, now, func(ctx context.Context, i *item) error {
			return at(AtTarget, i.desc.Digest, sink.WriteManifest(ctx, i.desc, i.images(), i.content))
		})
		if err != nil {
			return err
		}
		manifests = later
	}
	return nil
}

// each calls f for items side by side and ends with the first error.
func each(ctx context.Context, limit int, items []*item, f func(context.Context, *item) error) error {
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(limit)
	for _, i := range items {
		group.Go(func() error {
			if err := gctx.Err(); err != nil {
				return err
			}
			return f(gctx, i)
		})
	}
	return group.Wait()
}

// copyOrdered writes one item after the other and fetches the next ones meanwhile.
func copyOrdered(ctx context.Context, plan *Plan, sink Sink, o Options) error {
	blobs := slices.Concat(wanted(plan.layers), wanted(plan.configs))
	ahead := newAhead(ctx, blobs, o)
	defer ahead.close()
	for n, i := range blobs {
		open := func(ctx context.Context) (io.ReadCloser, error) { return ahead.open(ctx, n) }
		if err := ahead.turn(ctx, n); err != nil {
			return err
		}
		if err := writeBlob(ctx, sink, i, open, o.Progress); err != nil {
			return err
		}
		ahead.release(n)
	}
	for _, i := range wanted(plan.manifests) {
		if err := sink.WriteManifest(ctx, i.desc, i.images(), i.content); err != nil {
			return at(AtTarget, i.desc.Digest, err)
		}
	}
	return nil
}

// writeBlob moves one blob. An error of the source comes to us through the
// sink, so it is remembered to be told for what it is.
func writeBlob(ctx context.Context, sink Sink, i *item, open Opener, p Progress) error {
	var w watch
	err := sink.WriteBlob(ctx, i.desc, i.images(), func(ctx context.Context) (io.ReadCloser, error) {
		w.set(nil) // what failed before is being tried again
		rc, err := open(ctx)
		if err != nil {
			err = at(AtSource, i.desc.Digest, err)
			w.set(err)
			return nil, err
		}
		return counting{&watched{rc: rc, watch: &w, digest: i.desc.Digest}, p}, nil
	})
	if err == nil {
		return nil
	}
	// A read that was cancelled while we were not is the sink's way to give up.
	if failed := w.get(); failed != nil && (ctx.Err() != nil || !errors.Is(failed, context.Canceled)) {
		return failed
	}
	return at(AtTarget, i.desc.Digest, err)
}
