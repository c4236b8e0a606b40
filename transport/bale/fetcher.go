package bale

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"bale/bundle/chunk"
	"bale/bundle/commit"
	"bale/bundle/deflate"
	"bale/bundle/fault"
	"bale/bundle/index"
	"bale/transport"
)

// maxFetching bounds how many layers are unpacked side by side, and so memory.
const maxFetching = 2

// fetcher keeps those chunks of layers that are wanted.
type fetcher struct {
	b      *Bases
	wanted map[index.Hash]bool // guarded by b.mu
}

var errEnough = errors.New("nothing more is wanted")

// layer cuts one layer as it was cut for the base.
func (f *fetcher) layer(ctx context.Context, l transport.FoundLayer, isRaw bool) error {
	if f.done() {
		return nil
	}
	rc, err := l.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = rc.Close() }() // only read from
	src := &noted{r: rc}
	var raw io.Reader = src
	if !isRaw {
		unpacked, done, err := unpack(src)
		if err != nil {
			return fmt.Errorf("layer %s: %w", l.Digest, err)
		}
		defer done()
		raw = unpacked
	}
	s, err := chunk.NewSplitter()
	if err != nil {
		return err
	}
	var failed error
	_, err = s.Split(raw, func(p chunk.Piece) error {
		if failed = ctx.Err(); failed == nil {
			failed = f.take(p.Data)
		}
		return failed
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	if err != nil && (failed != nil || src.err != nil) {
		return fmt.Errorf("layer %s: %w", l.Digest, err)
	}
	// What does not decompress is another layer than it says: what is missing then
	// is missing.
	return nil
}

// noted notes how reading failed.
type noted struct {
	r   io.Reader
	err error
}

func (n *noted) Read(p []byte) (int, error) {
	k, err := n.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		n.err = err
	}
	return k, err
}

func (f *fetcher) done() bool {
	f.b.mu.Lock()
	defer f.b.mu.Unlock()
	return len(f.wanted) == 0
}

// take keeps a chunk if it is wanted.
func (f *fetcher) take(p []byte) error {
	h := sha256.Sum256(p)
	b := f.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if f.wanted[h] {
		if err := b.keep(h, p); err != nil {
			return err
		}
		delete(f.wanted, h)
	}
	if len(f.wanted) == 0 {
		return errEnough
	}
	return nil
}

// keep writes a chunk to the scratch file.
func (b *Bases) keep(h index.Hash, p []byte) error {
	if b.file == nil {
		var err error
		if b.file, err = commit.Scratch(b.dir); err != nil {
			return fmt.Errorf("keep content of a base: %w", err)
		}
	}
	if _, err := b.file.WriteAt(p, b.size); err != nil {
		return fault.WithHint(fmt.Errorf("keep content of a base: %w", err), "set TMPDIR to a folder with more room")
	}
	b.at[h] = b.size
	b.size += int64(len(p))
	b.changes++
	return nil
}

// unpack decompresses a layer, if it is compressed.
func unpack(r io.Reader) (raw io.Reader, done func(), err error) {
	in := bufio.NewReaderSize(r, 64<<10)
	head, err := in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	switch {
	case strings.HasPrefix(string(head), "\x1f\x8b"):
		return deflate.NewInflater(in), func() {}, nil
	case string(head) == "\x28\xb5\x2f\xfd":
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow))
		if err != nil {
			return nil, nil, fmt.Errorf("zstd: %w", err)
		}
		return z, z.Close, nil
	}
	return in, func() {}, nil
}

// maxWindow is the largest window that a zstd layer may ask for, in bytes: what
// zstd itself takes without being asked.
const maxWindow = 128 << 20
