package bundle

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sort"

	"golang.org/x/sync/errgroup"

	"bale/bundle/index"
)

// Rebuild rebuilds every blob, several at a time, and compares it with its
// digest, without keeping it: afterwards it is sure that all of them can be
// had from this bundle and what it builds on, but for those that need what is
// not at hand ([Reader.Carries]), of which it returns how many there are. Where [Reader.Check] finds what happened on the way,
// this finds what was wrong from the beginning.
// progress, if not nil, is called with the bytes rebuilt since the call before.
func (r *Reader) Rebuild(ctx context.Context, progress func(int64)) (left int, err error) {
	blobs := r.carried()
	// In the order of the packs, so that most frames are decompressed once.
	sort.SliceStable(blobs, func(i, j int) bool { return firstChunk(blobs[i]) < firstChunk(blobs[j]) })
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(min(runtime.GOMAXPROCS(0), maxWorkers))
	for _, b := range blobs {
		group.Go(func() error {
			if err := gctx.Err(); err != nil {
				return err
			}
			if err := r.rebuild(gctx, b, progress); err != nil {
				return fmt.Errorf("rebuild %s: %w", b.Digest, err)
			}
			return nil
		})
	}
	return len(r.index.Blobs) - len(blobs), group.Wait()
}

// carried returns the blobs that can be rebuilt.
func (r *Reader) carried() []*index.Blob {
	var blobs []*index.Blob
	for i := range r.index.Blobs {
		if b := &r.index.Blobs[i]; r.Carries(b.Digest) {
			blobs = append(blobs, b)
		}
	}
	return blobs
}

func (r *Reader) rebuild(ctx context.Context, b *index.Blob, progress func(int64)) error {
	rc, err := r.OpenBlob(ctx, b.Digest)
	if err != nil {
		return err
	}
	buf := make([]byte, 256<<10)
	for {
		n, err := rc.Read(buf)
		if progress != nil {
			progress(int64(n))
		}
		if err == io.EOF {
			return rc.Close()
		}
		if err != nil {
			_ = rc.Close() // the first error says more
			return err
		}
	}
}

// firstChunk returns where a blob's content begins; content lies in the last lane.
func firstChunk(b *index.Blob) uint32 {
	if runs := b.Lanes[len(b.Lanes)-1]; len(runs) > 0 {
		return runs[0].First
	}
	return 0
}

// BlobBytes returns how many bytes [Reader.Rebuild] rebuilds.
func (r *Reader) BlobBytes() (n int64) {
	for _, b := range r.carried() {
		n += b.Size
	}
	return n
}
