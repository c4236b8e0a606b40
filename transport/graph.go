package transport

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"bale/bundle/blob"
	"bale/bundle/fault"
)

const (
	// maxManifests bounds the bytes of all manifests of one run together:
	// they are kept in memory from plan to commit.
	maxManifests = 64 << 20
	// fetches is how many manifests are asked for at a time.
	fetches = 6
	// maxMissing is how many things that are not there are told of.
	maxMissing = 20
)

// node is a manifest or index with what it refers to, or what an index lists
// that is neither: to us that is a blob.
type node struct {
	desc     v1.Descriptor
	content  []byte
	manifest *Manifest // nil for a blob, and for what is not there
	children []*node   // of an index, in its order
	lacking  bool      // the source does not have it, and need not ([Partial])

	src     Source
	in      Image
	depth   int
	started bool
}

// isBlob reports whether a node is neither manifest nor index.
func (n *node) isBlob() bool {
	t := n.desc.MediaType
	return t != "" && !IsIndex(t) && !IsManifest(t) && !isSchema1(t)
}

// grapher reads graphs of manifests, each manifest once, in phases that end
// with wait.
type grapher struct {
	base   context.Context
	cancel context.CancelFunc
	group  *errgroup.Group
	ctx    context.Context // of the group
	slots  chan struct{}

	// indexes keeps it from reading what an index lists that is no index, until
	// it is needed: who wants one platform need not read all of them.
	indexes bool

	mu      sync.Mutex
	known   map[graphKey]*node
	bytes   int64
	missing []error
}

// A manifest is asked for in every repository that names it, since not every
// repository that names one has it.
type graphKey struct {
	source     Source
	repository string
	digest     digest.Digest
}

func newGrapher(ctx context.Context) *grapher {
	g := &grapher{slots: make(chan struct{}, fetches), known: make(map[graphKey]*node)}
	g.base, g.cancel = context.WithCancel(ctx)
	g.phase()
	return g
}

func (g *grapher) phase() { g.group, g.ctx = errgroup.WithContext(g.base) }

// add returns the node for a manifest, whose content and children are there
// after need and wait.
func (g *grapher) add(src Source, in Image, d v1.Descriptor) (*node, error) {
	return g.node(src, in, d, 0, false)
}

// find returns the node for a manifest, if there is one.
func (g *grapher) find(src Source, repository string, d digest.Digest) *node {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.known[graphKey{src, repository, d}]
}

// need lets a node be read, if it is not.
func (g *grapher) need(n *node) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.start(n)
}

func (g *grapher) node(src Source, in Image, d v1.Descriptor, depth int, needed bool) (*node, error) {
	if err := blob.Check(d.Digest, d.Size); err != nil {
		return nil, err
	}
	if depth > MaxDepth {
		return nil, fault.Damaged("indexes are nested more than %d deep", MaxDepth)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	key := graphKey{src, in.Name.Repository(), d.Digest}
	n, ok := g.known[key]
	switch {
	case !ok:
		if len(g.known) == MaxNodes {
			return nil, fault.Damaged("more than %d manifests", MaxNodes)
		}
		n = &node{desc: d, src: src, in: in, depth: depth}
		if !n.isBlob() || depth == 0 {
			if d.Size > maxManifests-g.bytes {
				return nil, fault.Damaged("manifests have more than %d bytes together", maxManifests)
			}
			g.bytes += d.Size
		}
		g.known[key] = n
	case n.desc.Size != d.Size || n.desc.MediaType != d.MediaType:
		return nil, fault.Damaged("%s is referred to as %d bytes of %s and as %d bytes of %s",
			d.Digest, n.desc.Size, n.desc.MediaType, d.Size, d.MediaType)
	}
	if needed || depth > 0 && IsIndex(d.MediaType) {
		g.start(n)
	}
	return n, nil
}

// start lets a node be read, once. g.mu is held.
func (g *grapher) start(n *node) {
	if n.started {
		return
	}
	n.started = true
	group, ctx := g.group, g.ctx
	group.Go(func() error { return g.miss(at(AtSource, n.in.Name, g.load(ctx, n))) })
}

// miss takes note of something that is not there, so that all of that can be
// told at once.
func (g *grapher) miss(err error) error {
	if !errors.Is(err, fault.ErrMissing) {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.missing) < maxMissing {
		g.missing = append(g.missing, err)
	}
	return nil
}

func (g *grapher) load(ctx context.Context, n *node) error {
	select {
	case g.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	content, err := g.read(ctx, n)
	<-g.slots
	if err != nil || n.lacking || n.isBlob() && n.depth > 0 {
		return err
	}
	m, err := ParseManifest(n.desc.MediaType, content)
	if err != nil {
		return fmt.Errorf("manifest %s: %w", n.desc.Digest, err)
	}
	n.content, n.manifest = content, m
	for _, c := range m.Manifests {
		child, err := g.node(n.src, n.in, c, n.depth+1, !g.indexes)
		if err != nil {
			return fmt.Errorf("index %s: %w", n.desc.Digest, err)
		}
		n.children = append(n.children, child)
	}
	return nil
}

// read reads a manifest, or finds out that the source lacks it.
func (g *grapher) read(ctx context.Context, n *node) ([]byte, error) {
	if p, ok := n.src.(Partial); ok && n.depth > 0 && !IsIndex(n.desc.MediaType) {
		var err error
		if n.lacking, err = p.Lacks(ctx, n.in, n.desc); err != nil || n.lacking {
			return nil, err
		}
	}
	if n.isBlob() && n.depth > 0 {
		return nil, nil
	}
	content, err := readManifest(ctx, n.src, n.in, n.desc)
	if p, ok := n.src.(Partial); ok && n.depth > 0 && errors.Is(err, fault.ErrMissing) {
		// An index in an index: what it lists is looked at for itself.
		lacks, lerr := p.Lacks(ctx, n.in, n.desc)
		if lerr != nil {
			return nil, lerr
		}
		if n.lacking = lacks; lacks {
			return nil, nil
		}
	}
	return content, err
}

// wait ends when all that was added is read. What is not there is told all at
// once.
func (g *grapher) wait() error {
	err := g.group.Wait()
	g.phase()
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	slices.SortFunc(g.missing, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return errors.Join(g.missing...)
}

// close ends what is still being read: nobody may use a source after Copy.
func (g *grapher) close() {
	g.cancel()
	_ = g.group.Wait() // whoever wants the error has waited
}

// readManifest fetches and verifies one manifest.
func readManifest(ctx context.Context, src Source, in Image, d v1.Descriptor) ([]byte, error) {
	if d.Size > MaxManifest {
		return nil, fault.Damaged("manifest %s of %d bytes is over the limit of %d", d.Digest, d.Size, MaxManifest)
	}
	content, err := src.Manifest(ctx, in, d)
	if err != nil {
		return nil, err
	}
	return blob.ReadAll(bytes.NewReader(content), d.Digest, d.Size, MaxManifest)
}
