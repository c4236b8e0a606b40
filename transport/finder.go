package transport

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"bale/bundle/blob"
	"bale/bundle/fault"
)

const (
	// maxLooks bounds how many manifests and indexes one search reads. What only
	// others lead to is not found.
	maxLooks = 4096
	// maxAsks bounds how many blobs one search asks for by digest, counting each
	// in every repository. What is not asked for may still be found by its config.
	maxAsks = 1 << 16
	// asking is how many blobs are asked for at a time.
	asking = 8
	// unknownSize is that of a blob of which only the digest is known.
	unknownSize = -1
)

// Stat asks a place for a blob that belongs to in, of which no more than the
// repository may be known. It returns the blob's size; d.Size is negative if
// any will do. A blob of another size is not the one that is asked for.
type Stat func(ctx context.Context, in Image, d v1.Descriptor) (size int64, ok bool, err error)

// Finder searches the images of a source for layers, for places that keep
// blobs as they are. Its methods may be called from several goroutines at once.
type Finder struct {
	src      Source
	stat     Stat
	want     []Layer
	byDigest map[digest.Digest][]int
	byDiffID map[digest.Digest][]int

	mu    sync.Mutex // guards what follows
	found []*FoundLayer
	left  int
	asks  int
	seen  map[lookKey]bool
}

// A manifest is looked at in every repository that names it, since not every
// repository that names one has all of it.
type lookKey struct {
	repository string
	digest     digest.Digest
}

// NewFinder returns a Finder of layers in src, which asks by stat what is there.
func NewFinder(src Source, want []Layer, stat Stat) *Finder {
	f := &Finder{
		src: src, stat: stat, want: want, found: make([]*FoundLayer, len(want)), left: len(want),
		byDigest: make(map[digest.Digest][]int), byDiffID: make(map[digest.Digest][]int), seen: make(map[lookKey]bool),
	}
	for i, l := range want {
		f.byDigest[l.Digest] = append(f.byDigest[l.Digest], i)
		f.byDiffID[l.DiffID] = append(f.byDiffID[l.DiffID], i)
	}
	return f
}

// Found returns what was found, in the order of what was looked for.
func (f *Finder) Found() []FoundLayer {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []FoundLayer
	for _, l := range f.found {
		if l != nil {
			out = append(out, *l)
		}
	}
	return out
}

// Done reports whether all that was looked for is found.
func (f *Finder) Done() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.left == 0
}

// Ask looks for the layers by digest, and so finds also what no manifest
// refers to any more; first for the blobs, and then for the rest by their diff
// ids, since a layer may be there without compression.
func (f *Finder) Ask(ctx context.Context, in Image) error {
	if err := f.ask(ctx, in, func(l Layer) (digest.Digest, int64) { return l.Digest, l.Size }); err != nil {
		return err
	}
	return f.ask(ctx, in, func(l Layer) (digest.Digest, int64) { return l.DiffID, unknownSize })
}

// ask asks for what is said to be the blob of each layer that is not found yet.
func (f *Finder) ask(ctx context.Context, in Image, blobOf func(Layer) (digest.Digest, int64)) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(asking)
	for _, d := range f.questions(blobOf) {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error {
			return f.take(gctx, in, d, slices.Concat(f.byDigest[d.Digest], f.byDiffID[d.Digest]))
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// questions returns the blobs to ask for, each once.
func (f *Finder) questions(blobOf func(Layer) (digest.Digest, int64)) []v1.Descriptor {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []v1.Descriptor
	known := make(map[digest.Digest]bool)
	for i, l := range f.want {
		d, size := blobOf(l)
		if f.found[i] != nil || known[d] || blob.Check(d, 0) != nil || f.asks == maxAsks {
			continue
		}
		known[d] = true
		f.asks++
		out = append(out, v1.Descriptor{Digest: d, Size: size})
	}
	return out
}

// Look looks for the layers by diff id: as the configs of an image tell them,
// or those of all images of an index. What there is of the image that cannot be
// read, or makes no sense, is passed over.
func (f *Finder) Look(ctx context.Context, in Image) error {
	return f.look(ctx, in, in.Root, 0)
}

func (f *Finder) look(ctx context.Context, in Image, d v1.Descriptor, depth int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if depth > MaxDepth || !f.first(in, d.Digest) {
		return nil
	}
	content, err := readManifest(ctx, f.src, in, d)
	if err != nil {
		return Passable(err)
	}
	m, err := ParseManifest(d.MediaType, content)
	if err != nil {
		return Passable(err)
	}
	for _, c := range m.Manifests {
		if err := f.look(ctx, in, c, depth+1); err != nil {
			return err
		}
	}
	if m.Config == nil || !IsConfig(m.Config.MediaType) || f.Done() {
		return nil
	}
	config, err := f.config(ctx, in, *m.Config)
	if err != nil {
		return Passable(err)
	}
	for i, id := range DiffIDs(m, config) {
		if err := f.take(ctx, in, m.Layers[i], f.byDiffID[id]); err != nil {
			return err
		}
	}
	return nil
}

// first reports whether a manifest is to be looked at: there is something left
// to find, and it was not looked at before.
func (f *Finder) first(in Image, d digest.Digest) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := lookKey{in.Name.Repository(), d}
	if f.left == 0 || f.seen[key] || len(f.seen) == maxLooks {
		return false
	}
	f.seen[key] = true
	return true
}

// config reads and verifies a config.
func (f *Finder) config(ctx context.Context, in Image, d v1.Descriptor) ([]byte, error) {
	if d.Size > maxConfig {
		return nil, fault.Unsupported("config %s of %d bytes is over the limit of %d", d.Digest, d.Size, maxConfig)
	}
	rc, err := f.src.Blob(ctx, in, d)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rc.Close() }()
	return blob.ReadAll(rc, d.Digest, d.Size, maxConfig)
}

// take notes that layers are found as d, if the place still has that: those of
// indices that are not found yet.
func (f *Finder) take(ctx context.Context, in Image, d v1.Descriptor, indices []int) error {
	if !f.lack(indices) {
		return nil
	}
	size, ok, err := f.stat(ctx, in, d)
	if err != nil || !ok {
		return err
	}
	d.Size = size
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range indices {
		if f.found[i] == nil {
			f.found[i] = &FoundLayer{Index: i, Digest: d.Digest, Open: f.opener(in, d)}
			f.left--
		}
	}
	return nil
}

func (f *Finder) lack(indices []int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range indices {
		if f.found[i] == nil {
			return true
		}
	}
	return false
}

func (f *Finder) opener(in Image, d v1.Descriptor) Opener {
	return func(ctx context.Context) (io.ReadCloser, error) {
		rc, err := f.src.Blob(ctx, in, d)
		if errors.Is(err, fault.ErrMissing) {
			return nil, Gone(d.Digest, err)
		}
		return rc, err
	}
}

// Gone words that a layer was deleted after it had been found. What advice
// there is in err is for other cases, and left out.
func Gone(layer digest.Digest, err error) error {
	return fault.WithHint(fault.Missing("layer %s was there and is gone: %v", layer, err),
		"an image was deleted meanwhile: try again, which looks anew for what is there; an earlier bundle that has the layer will do, too (--base FILE)")
}

// Passable returns nil for what is wrong with one image only.
func Passable(err error) error {
	if errors.Is(err, fault.ErrMissing) || errors.Is(err, fault.ErrDamaged) || errors.Is(err, fault.ErrUnsupported) {
		return nil
	}
	return err
}
