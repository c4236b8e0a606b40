package bale

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"bale/bundle"
	"bale/bundle/chunk"
	"bale/bundle/commit"
	"bale/bundle/deflate"
	"bale/bundle/fault"
	"bale/bundle/index"
	"bale/transport"
)

// Bases is what an update builds on, as far as it is at hand: earlier bundles,
// and what was found in layers at a place. It is safe for concurrent use once
// bundles are added.
type Bases struct {
	dir  string // for the scratch file; "" is the system's
	kept []kept
	// Whether the frames of kept bundles can be had, with all that they build on.
	mu      sync.Mutex
	frames  map[keptFrame]state
	there   int      // frames that can be had
	changes int      // of what can be had
	file    *os.File // chunks that were fetched
	size    int64
	at      map[index.Hash]int64
	whole   map[digest.Digest]transport.Opener
	looked  []string // where, in words
}

type kept struct {
	name string
	r    *bundle.Reader
}

type keptFrame struct{ bundle, frame int }

// state is whether a frame can be had. What is had later may change that it cannot.
type state struct {
	rank   int  // it can, and was found to as the rank-th, from 1; 0: not known
	asked  bool // while we find out; whoever asks again has come in a circle
	failed int  // changes there had been when it could not, and 1; 0: never
}

var _ bundle.Content = (*Bases)(nil)

// NewBases returns an empty Bases. Fetched chunks are kept in a file without a
// name in dir ("" is the system's folder for temporary files).
func NewBases(dir string) *Bases {
	return &Bases{
		dir: dir, frames: make(map[keptFrame]state), at: make(map[index.Hash]int64),
		whole: make(map[digest.Digest]transport.Opener),
	}
}

// AddBundle adds an earlier bundle, called by name in messages. It may be an
// update itself, whose bases are added too. It must stay open.
func (b *Bases) AddBundle(name string, r *bundle.Reader) {
	b.kept = append(b.kept, kept{name, r})
	b.changes++
	b.Looked(name)
	r.BuildOn(b)
	for _, k := range b.kept {
		k.r.LimitCache(cacheBytes / int64(len(b.kept)))
	}
}

// cacheBytes is how many raw bytes all earlier bundles together keep of what was
// read of them, besides the frame that each has read last.
const cacheBytes = 64 << 20

// Looked notes for messages where it was looked for bases, in words.
func (b *Bases) Looked(where string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Contains(b.looked, where) {
		b.looked = append(b.looked, where)
	}
}

// Close frees what was fetched. It does not close bundles.
func (b *Bases) Close() error {
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}

// Has implements [bundle.Content].
func (b *Bases) Has(h index.Hash) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.has(h)
}

func (b *Bases) has(h index.Hash) bool {
	if _, ok := b.at[h]; ok {
		return true
	}
	_, ok := b.holder(h)
	return ok
}

// holder returns a kept bundle that can give a chunk.
func (b *Bases) holder(h index.Hash) (kept, bool) {
	for {
		// Who was asked first may have failed for what was found out only then.
		before := b.changes
		if k, ok := b.ask(h); ok || b.changes == before {
			return k, ok
		}
	}
}

// ask returns the kept bundle that was the first that could give a chunk. What
// it builds on could be had before, and so on: this never leads in a circle,
// even if two bundles have each other's chunks as changes of their own.
func (b *Bases) ask(h index.Hash) (k kept, ok bool) {
	rank := 0
	for i := range b.kept {
		if f, ok := b.kept[i].r.FrameOf(h); ok {
			if n := b.frames[keptFrame{i, f}].rank; n > 0 && (rank == 0 || n < rank) {
				rank, k = n, b.kept[i]
			}
		}
	}
	if rank > 0 {
		return k, true
	}
	for i := range b.kept {
		if f, ok := b.kept[i].r.FrameOf(h); ok && b.frame(keptFrame{i, f}) {
			return b.kept[i], true
		}
	}
	return kept{}, false
}

// frame reports whether all that a frame builds on can be had.
func (b *Bases) frame(f keptFrame) bool {
	s := b.frames[f]
	if s.rank > 0 {
		return true
	}
	start := b.changes + 1
	if s.asked || s.failed == start {
		return false
	}
	b.frames[f] = state{asked: true}
	r := b.kept[f.bundle].r
	for _, c := range r.BuildsOn(f.frame) {
		h := r.Index().Chunks.Hash(c)
		if _, ok := b.at[h]; ok {
			continue
		}
		if _, ok := b.ask(h); !ok {
			b.frames[f] = state{failed: start}
			return false
		}
	}
	b.there++
	b.changes++
	b.frames[f] = state{rank: b.there}
	return true
}

// Chunk implements [bundle.Content].
func (b *Bases) Chunk(ctx context.Context, h index.Hash, length int64) ([]byte, error) {
	b.mu.Lock()
	off, fetched := b.at[h]
	var k kept
	ok := fetched
	if !fetched {
		k, ok = b.holder(h)
	}
	b.mu.Unlock()
	switch {
	case !ok:
		return nil, fault.Missing("chunk %x is in no base that is at hand", h[:8])
	case !fetched:
		p, err := k.r.Chunk(ctx, h, length)
		if err != nil {
			return nil, fmt.Errorf("base %s: %w", k.name, err)
		}
		return p, nil
	}
	p := make([]byte, length)
	if _, err := b.file.ReadAt(p, off); err != nil {
		return nil, fmt.Errorf("read what was fetched of a base: %w", err)
	}
	return p, nil
}

// Whole opens a blob that was found whole at the place, if it was.
func (b *Bases) Whole(d digest.Digest) (transport.Opener, bool) {
	if b == nil {
		return nil, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	open, ok := b.whole[d]
	return open, ok
}

// Place is where layers of a base may be found.
type Place struct {
	Name    string // in messages
	Holding transport.Holding
	Near    []transport.Name // repositories to look in
}

// Provide makes sure that the blobs of an update can be rebuilt, or unpacked
// (raw): what earlier bundles do not have is fetched from the places. What
// cannot be had is a [fault.ErrMissing] that says where it was looked for.
func (b *Bases) Provide(ctx context.Context, r *bundle.Reader, blobs []digest.Digest, raw bool, places []Place) error {
	for _, p := range places {
		b.Looked(p.Name)
	}
	if !raw {
		var err error
		if blobs, err = b.findWhole(ctx, r, blobs, places); err != nil {
			return err
		}
	}
	lacking, err := b.lacking(r, blobs, raw)
	if err != nil || len(lacking) == 0 {
		return err
	}
	for _, p := range places {
		// First where they are sure to be; then wherever they might.
		for _, all := range []bool{false, true} {
			if err := b.fetch(ctx, r, lacking, p, all); err != nil {
				return fmt.Errorf("%s: %w", p.Name, err)
			}
			if lacking, err = b.lacking(r, blobs, raw); err != nil || len(lacking) == 0 {
				return err
			}
		}
		if err := b.fetchUnder(ctx, r, lacking, p); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		if lacking, err = b.lacking(r, blobs, raw); err != nil || len(lacking) == 0 {
			return err
		}
	}
	return b.notFound(r, lacking)
}

// lacking returns the external chunks that blobs need and that are not at hand.
func (b *Bases) lacking(r *bundle.Reader, blobs []digest.Digest, raw bool) ([]uint32, error) {
	needs, err := r.Needs(blobs, raw)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(needs, func(c uint32) bool { return b.Has(r.Index().Chunks.Hash(c)) }), nil
}

// findWhole looks for blobs of the update that a base had too and a place still
// has, and returns the others.
func (b *Bases) findWhole(ctx context.Context, r *bundle.Reader, blobs []digest.Digest, places []Place) ([]digest.Digest, error) {
	lacking, err := b.lacking(r, blobs, false)
	if err != nil || len(lacking) == 0 {
		return blobs, err
	}
	was := make(map[digest.Digest]int64)
	for _, base := range r.Index().Bases {
		for _, l := range base.Blobs {
			was[l.Digest] = l.Size
		}
	}
	for _, p := range places {
		var want []transport.Layer
		for _, d := range blobs {
			if size, ok := was[d]; ok {
				want = append(want, transport.Layer{Digest: d, Size: size})
			}
		}
		if len(want) == 0 {
			return blobs, nil
		}
		found, err := p.Holding.FindLayers(ctx, p.Near, want)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		for _, f := range found {
			if d := want[f.Index].Digest; d == f.Digest {
				b.mu.Lock()
				b.whole[d] = f.Open
				b.mu.Unlock()
				blobs = slices.DeleteFunc(slices.Clone(blobs), func(x digest.Digest) bool { return x == d })
			}
		}
	}
	return blobs, nil
}

// external is a chunk that a bundle, the update or a kept one, does not carry.
type external struct {
	r     *bundle.Reader
	chunk uint32
}

// wanted returns the lacking chunks, and what kept bundles that carry these lack
// to give them, and so on.
func (b *Bases) wanted(r *bundle.Reader, lacking []uint32) ([]external, map[index.Hash]bool) {
	var list []external
	hashes := make(map[index.Hash]bool)
	add := func(r *bundle.Reader, c uint32) {
		if h := r.Index().Chunks.Hash(c); !hashes[h] && !b.Has(h) {
			hashes[h] = true
			list = append(list, external{r, c})
		}
	}
	for _, c := range lacking {
		add(r, c)
	}
	seen := make(map[keptFrame]bool)
	for n := 0; n < len(list); n++ {
		h := list[n].r.Index().Chunks.Hash(list[n].chunk)
		for i, k := range b.kept {
			f, ok := k.r.FrameOf(h)
			if !ok || seen[keptFrame{i, f}] {
				continue
			}
			seen[keptFrame{i, f}] = true
			for _, c := range k.r.BuildsOn(f) {
				add(k.r, c)
			}
		}
	}
	return list, hashes
}

// fetch takes lacking chunks out of a place's layers: those that the update says
// they are found in, or (all) the others that its bases had, and those of kept
// bundles. What kept bundles lack themselves is looked for alike.
func (b *Bases) fetch(ctx context.Context, r *bundle.Reader, lacking []uint32, p Place, all bool) error {
	list, wanted := b.wanted(r, lacking)
	first := make(map[*index.BaseBlob]bool)
	of := []*bundle.Reader{r}
	if all {
		for _, k := range b.kept {
			of = append(of, k.r)
		}
	}
	for _, e := range list {
		if _, blob := e.r.Index().External(e.chunk); blob != nil {
			first[blob] = true
		}
		if !slices.Contains(of, e.r) {
			of = append(of, e.r)
		}
	}
	var want []transport.Layer
	known := make(map[transport.Layer]bool)
	for _, r := range of {
		for i := range r.Index().Bases {
			for j := range r.Index().Bases[i].Blobs {
				l := &r.Index().Bases[i].Blobs[j]
				if first[l] == all {
					continue
				}
				one := transport.Layer{Digest: l.Digest, Size: l.Size}
				if l.Raw != (index.Hash{}) {
					one.DiffID = digest.NewDigestFromBytes(digest.SHA256, l.Raw[:])
				}
				if !known[one] {
					known[one] = true
					want = append(want, one)
				}
			}
		}
	}
	if len(want) == 0 {
		return nil
	}
	found, err := p.Holding.FindLayers(ctx, p.Near, want)
	if err != nil {
		return err
	}
	f := &fetcher{b: b, wanted: wanted}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(min(runtime.GOMAXPROCS(0), maxFetching))
	for _, l := range found {
		group.Go(func() error {
			// The raw bytes may be compressed themselves, and be cut as they are.
			err := f.layer(gctx, l, l.Digest == want[l.Index].DiffID)
			if errors.Is(err, fault.ErrMissing) {
				return nil // deleted since: then it is not there
			}
			return err
		})
	}
	return group.Wait()
}

// fetchUnder takes out of a place's layers what earlier bundles build on that
// have lacking chunks, but cannot give them: they are updates themselves.
func (b *Bases) fetchUnder(ctx context.Context, r *bundle.Reader, lacking []uint32, p Place) error {
	var wanted []index.Hash
	seen := make(map[index.Hash]bool)
	for _, c := range lacking {
		wanted = append(wanted, r.Index().Chunks.Hash(c))
	}
	for len(wanted) > 0 {
		var next []index.Hash
		for _, k := range b.kept {
			x := k.r.Index()
			var under []uint32
			for _, h := range wanted {
				f, ok := k.r.FrameOf(h)
				if !ok {
					continue
				}
				for _, c := range k.r.BuildsOn(f) {
					if h := x.Chunks.Hash(c); !seen[h] && !b.Has(h) {
						seen[h] = true
						under, next = append(under, c), append(next, h)
					}
				}
			}
			for _, all := range []bool{false, true} {
				under = slices.DeleteFunc(under, func(c uint32) bool { return b.Has(x.Chunks.Hash(c)) })
				if len(under) == 0 {
					break
				}
				if err := b.fetch(ctx, k.r, under, p, all); err != nil {
					return err
				}
			}
		}
		wanted = slices.DeleteFunc(next, b.Has)
	}
	return nil
}

// maxFetching bounds how many layers are unpacked side by side, and so memory.
const maxFetching = 4

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

// notFound says what is missing, and where it was looked for.
func (b *Bases) notFound(r *bundle.Reader, lacking []uint32) error {
	x := r.Index()
	var size int64
	var names []string
	seen := make(map[*index.Base]bool)
	for _, c := range lacking {
		size += x.Chunks.Length(c)
		base, _ := x.External(c)
		if base == nil || seen[base] {
			continue
		}
		seen[base] = true
		name := fmt.Sprintf("base %x", base.ID)
		if n := len(base.Images); n > 0 {
			name += " (" + strings.Join(base.Images[:min(n, maxNamed)], ", ")
			if n > maxNamed {
				name += fmt.Sprintf(" and %d more", n-maxNamed)
			}
			name += ")"
		}
		names = append(names, name)
	}
	if n := len(names); n > maxNamed {
		names = append(names[:maxNamed], fmt.Sprintf("%d more", n-maxNamed))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	looked := "nowhere: no base was given"
	if len(b.looked) > 0 {
		list := b.looked
		if n := len(list); n > maxNamed {
			list = append(slices.Clone(list[:maxNamed]), fmt.Sprintf("%d more", n-maxNamed))
		}
		looked = "in " + strings.Join(list, ", ")
	}
	return fault.WithHint(
		fault.Missing("the update needs %d chunks (%d bytes) that it does not carry, of %s; looked %s", len(lacking), size, strings.Join(names, ", "), looked),
		"load the base first, or give it with --base FILE; or have the sender save all of it, without --base")
}

// maxNamed is how many things of a kind a message lists.
const maxNamed = 4
