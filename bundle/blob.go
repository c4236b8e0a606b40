package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/bundle/index"
)

// OpenBlob returns the content of a blob, rebuilt and verified: it ends with
// an error instead of io.EOF if it is not what its digest says. The caller
// closes it. A blob that is not in the bundle is a [fault.ErrMissing].
func (r *Reader) OpenBlob(ctx context.Context, d digest.Digest) (io.ReadCloser, error) {
	b, ok := r.index.Blob(d)
	if !ok {
		return nil, fault.Missing("blob %s is not in the bundle", d)
	}
	switch b.Recipe {
	case index.Stored:
		return blob.NewReader(r.rawReader(ctx, b), b.Digest, b.Size)
	case index.Listed:
		return nil, fault.Missing("blob %s is only listed here", d)
	}
	z, err := r.rebuildBlob(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", d, err)
	}
	return blob.NewReader(z, b.Digest, b.Size)
}

// ErrStored says that a blob was not taken apart, so it has no raw bytes other
// than its own.
var ErrStored = errors.New("blob is stored as it came")

// OpenRaw returns what a gzip blob decompresses to, and how many bytes that is,
// without rebuilding the blob. Each chunk is verified. The caller closes it. A
// blob that was not taken apart is an [ErrStored].
func (r *Reader) OpenRaw(ctx context.Context, d digest.Digest) (io.ReadCloser, int64, error) {
	b, ok := r.index.Blob(d)
	if !ok {
		return nil, 0, fault.Missing("blob %s is not in the bundle", d)
	}
	if b.Recipe == index.Stored {
		return nil, 0, fmt.Errorf("raw bytes of %s: %w", d, ErrStored)
	}
	raw := io.NopCloser(r.rawReader(ctx, b))
	if h, ok := r.index.RawHash(d); ok {
		v, err := blob.NewReader(raw, digest.NewDigestFromBytes(digest.SHA256, h[:]), b.RawSize)
		return v, b.RawSize, err
	}
	return raw, b.RawSize, nil
}

// rawReader reads a blob's raw bytes, woven from its lanes.
func (r *Reader) rawReader(ctx context.Context, b *index.Blob) io.Reader {
	lanes := make([]*laneReader, len(b.Lanes))
	for i, runs := range b.Lanes {
		lanes[i] = &laneReader{ctx: ctx, r: r, runs: runs}
	}
	if len(lanes) == 1 {
		return lanes[0]
	}
	w := &weaver{lanes: lanes, lengths: b.Weave.Iter()}
	return w
}

// weaver takes bytes from lanes in turn.
type weaver struct {
	lanes   []*laneReader
	lengths index.WeaveIter
	lane    int
	left    int64
}

func (w *weaver) Read(p []byte) (int, error) {
	for w.left == 0 {
		lane, n, ok := w.lengths.Next()
		if !ok {
			return 0, io.EOF
		}
		w.lane, w.left = lane, n
	}
	if int64(len(p)) > w.left {
		p = p[:w.left]
	}
	n, err := w.lanes[w.lane].Read(p)
	w.left -= int64(n)
	if errors.Is(err, io.EOF) {
		// The index was checked: lanes hold what the weave takes.
		err = fault.Damaged("a lane ends %d bytes too early", w.left)
	}
	return n, err
}

// laneReader reads the chunks of one lane.
type laneReader struct {
	ctx  context.Context
	r    *Reader
	runs []index.Run
	done uint32 // chunks of the first run that were read
	rest []byte // of the current stretch of chunks
}

func (l *laneReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(l.rest) == 0 {
		if len(l.runs) == 0 {
			return 0, io.EOF
		}
		if err := l.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// next takes as many consecutive chunks as lie in one frame.
func (l *laneReader) next() error {
	run := l.runs[0]
	if l.done == run.Count {
		l.runs, l.done = l.runs[1:], 0
		return nil
	}
	if err := l.ctx.Err(); err != nil {
		return err
	}
	first := run.First + l.done
	x := l.r.index
	fi, ok := x.Frame(first)
	if !ok {
		var err error
		l.rest, err = l.r.external(l.ctx, first)
		l.done++
		return err
	}
	frame, err := l.r.frames.get(l.ctx, fi)
	if err != nil {
		return err
	}
	f := &x.Frames[fi]
	n := min(run.Count-l.done, f.FirstChunk+f.Chunks-first)
	l.rest = frame.chunks(first-f.FirstChunk, n)
	l.done += n
	return nil
}

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
