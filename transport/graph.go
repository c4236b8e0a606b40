package transport

import (
	"bytes"
	"context"
	"fmt"
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
)

// node is a manifest or index with what it refers to.
type node struct {
	desc     v1.Descriptor
	content  []byte
	manifest *Manifest
	children []*node // of an index, in its order
}

// grapher reads graphs of manifests, each manifest once.
type grapher struct {
	group  *errgroup.Group
	ctx    context.Context
	cancel context.CancelFunc
	slots  chan struct{}

	mu    sync.Mutex
	known map[graphKey]*node
	bytes int64
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
	ctx, g.cancel = context.WithCancel(ctx)
	g.group, g.ctx = errgroup.WithContext(ctx)
	return g
}

// add returns the node for a manifest, whose content and children are there
// once wait has returned.
func (g *grapher) add(src Source, in Image, d v1.Descriptor, depth int) (*node, error) {
	if err := blob.Check(d.Digest, d.Size); err != nil {
		return nil, err
	}
	if depth > MaxDepth {
		return nil, fault.Damaged("indexes are nested more than %d deep", MaxDepth)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	key := graphKey{src, in.Name.Repository(), d.Digest}
	if n, ok := g.known[key]; ok {
		if n.desc.Size != d.Size || n.desc.MediaType != d.MediaType {
			return nil, fault.Damaged("%s is referred to as %d bytes of %s and as %d bytes of %s",
				d.Digest, n.desc.Size, n.desc.MediaType, d.Size, d.MediaType)
		}
		return n, nil
	}
	if len(g.known) == MaxNodes {
		return nil, fault.Damaged("more than %d manifests", MaxNodes)
	}
	if d.Size > maxManifests-g.bytes {
		return nil, fault.Damaged("manifests have more than %d bytes together", maxManifests)
	}
	g.bytes += d.Size
	n := &node{desc: d}
	g.known[key] = n
	g.group.Go(func() error { return at(AtSource, in.Name, g.load(src, in, n, depth)) })
	return n, nil
}

func (g *grapher) load(src Source, in Image, n *node, depth int) error {
	select {
	case g.slots <- struct{}{}:
	case <-g.ctx.Done():
		return g.ctx.Err()
	}
	content, err := readManifest(g.ctx, src, in, n.desc)
	<-g.slots
	if err != nil {
		return err
	}
	m, err := ParseManifest(n.desc.MediaType, content)
	if err != nil {
		return fmt.Errorf("manifest %s: %w", n.desc.Digest, err)
	}
	n.content, n.manifest = content, m
	for _, c := range m.Manifests {
		child, err := g.add(src, in, c, depth+1)
		if err != nil {
			return fmt.Errorf("index %s: %w", n.desc.Digest, err)
		}
		n.children = append(n.children, child)
	}
	return nil
}

// wait ends when all graphs are complete.
func (g *grapher) wait() error { return g.group.Wait() }

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
