package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// Options change how images are copied. The zero value is usable.
type Options struct {
	// Platforms takes only these of each image; none takes all that there are, or
	// the one that the sink can keep.
	Platforms []v1.Platform
	// Complete makes it an error that a source has not all platforms of an image
	// and none are asked for; else what is not there is left out and told.
	Complete bool
	// NoReferrers leaves out what is attached to images ([Referring]).
	NoReferrers bool
	// ForeignLayers fetches layers that their publisher keeps to itself; else
	// the target refers to them as the source does.
	ForeignLayers bool
	// Foreign, if not nil, opens such a layer where its publisher keeps it, if the
	// source does not have it.
	Foreign ForeignOpener
	// Downloads is how many blobs are read at a time from sources that are not
	// [Local]; 0 is [DefaultDownloads].
	Downloads int
	// Uploads is how many blobs are written at a time, if the sink takes several;
	// 0 is [DefaultUploads].
	Uploads int
	// Workers is how many blobs the sink prepares at a time, if it does; 0 is
	// as many as there are cores, as far as memory allows.
	Workers int
	// SpoolDir is where blobs that are fetched ahead of their turn are kept,
	// without a name; "" is the system's folder for temporary files.
	SpoolDir string
	// Planned, if not nil, is called between planning and writing; an error
	// ends the copy before anything is written.
	Planned func(*Plan) error
	// Progress is told what happens; nil says nothing.
	Progress Progress
}

// ForeignOpener opens a foreign layer at the URLs of its descriptor, after the
// source has refused it. What it gives is verified by the engine.
type ForeignOpener func(ctx context.Context, in Image, d v1.Descriptor, refused error) (io.ReadCloser, error)

// How many blobs are moved at a time, as Docker does it.
const (
	DefaultDownloads = 3
	DefaultUploads   = 5
)

// The phases that [Progress] is told.
const (
	PhasePlan    = "plan"
	PhaseCopy    = "copy"
	PhaseAnalyse = "analyse" // in place of copy if the sink prepares blobs: that takes most of the time
	PhaseCommit  = "commit"
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
	if o.Downloads <= 0 {
		o.Downloads = DefaultDownloads
	}
	if o.Uploads <= 0 {
		o.Uploads = DefaultUploads
	}
	if o.Workers <= 0 {
		o.Workers = min(runtime.GOMAXPROCS(0), maxPreparing)
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
	ordered := sink.Properties().Ordered
	phase := PhaseCopy
	if ordered && slices.ContainsFunc(wanted(plan.layers), func(i *item) bool { return prepares(sink, i) }) {
		phase = PhaseAnalyse
	}
	o.Progress.Phase(phase, bytes)
	if ordered {
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
	downloads := semaphore.NewWeighted(int64(o.Downloads))
	for _, stage := range [][]*item{wanted(plan.layers), wanted(plan.configs)} {
		err := each(ctx, o.Uploads, stage, func(ctx context.Context, i *item) error {
			return writeBlob(ctx, sink, i, i.limited(downloads), &tally{p: o.Progress, size: i.desc.Size, passes: writePasses})
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
		err := each(ctx, o.Uploads, now, func(ctx context.Context, i *item) error {
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

// copyOrdered writes one item after the other; the next ones are fetched and
// prepared meanwhile.
func copyOrdered(ctx context.Context, plan *Plan, sink Sink, o Options) error {
	blobs := slices.Concat(wanted(plan.layers), wanted(plan.configs))
	ahead := newAhead(ctx, blobs, sink, o)
	defer ahead.close()
	for n, i := range blobs {
		j, err := ahead.turn(ctx, n)
		if err != nil {
			return err
		}
		if err := writeBlob(ctx, sink, i, j.open, j.tally); err != nil {
			return err
		}
		ahead.release(j)
	}
	for _, i := range wanted(plan.manifests) {
		if err := sink.WriteManifest(ctx, i.desc, i.images(), i.content); err != nil {
			return at(AtTarget, i.desc.Digest, err)
		}
	}
	return nil
}

// writeBlob moves one blob, unpacked if that is less work for both sides.
func writeBlob(ctx context.Context, sink Sink, i *item, open Opener, t *tally) error {
	total := i.desc.Size
	write := func(open Opener) error { return sink.WriteBlob(ctx, i.desc, i.images(), open) }
	if u, ok := sink.(Unpacking); ok {
		if size, openRaw, ok := i.raw(); ok {
			total, open = size, openRaw
			write = func(open Opener) error { return u.WriteRaw(ctx, i.desc, size, i.images(), open) }
		}
	}
	err := reading(ctx, i.desc.Digest, open, func(n int64) { t.count(n, total, t.passes) }, write)
	if err == nil {
		t.reach(t.passes)
	}
	return err
}

// reading lets a sink do something for which it reads a blob. An error of the
// source comes to us through the sink, so it is remembered to be told for what
// it is.
func reading(ctx context.Context, d digest.Digest, open Opener, count func(int64), do func(Opener) error) error {
	var w watch
	err := do(func(ctx context.Context) (io.ReadCloser, error) {
		w.set(nil) // what failed before is being tried again
		rc, err := open(ctx)
		if err != nil {
			err = at(AtSource, d, err)
			w.set(err)
			return nil, err
		}
		return counting{&watched{rc: rc, watch: &w, digest: d}, count}, nil
	})
	if err == nil {
		return nil
	}
	// A read that was cancelled while we were not is the sink's way to give up.
	if failed := w.get(); failed != nil && (ctx.Err() != nil || !errors.Is(failed, context.Canceled)) {
		return failed
	}
	return at(AtTarget, d, err)
}
