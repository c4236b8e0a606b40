package docker

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/moby/moby/client"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport/archive"
)

const (
	// leastProbed is the least size in bytes of a blob that an engine is asked for:
	// to ask takes about as much.
	leastProbed = 32 << 10
	// maxProbed is how many blobs are asked for at a time.
	maxProbed = 1000
)

// prober finds out which blobs an engine with containerd's store has. The API
// does not tell, but it tells whether all that an index lists is there: so the
// engine is given an index, without a name, of manifests of one blob each, and
// none of the blobs. As long as it is there, the engine keeps what it has of them.
type prober struct {
	e    *engine
	turn chan struct{} // held while the engine is asked

	mu      sync.Mutex // guards what follows
	known   map[digest.Digest]*question
	waiting []*question
	probes  []digest.Digest // indexes at the engine
}

// question is what is asked about one blob.
type question struct {
	d    v1.Descriptor
	done chan struct{} // closed when the answer is there
	has  bool
	err  error
}

func newProber(e *engine) *prober {
	return &prober{e: e, turn: make(chan struct{}, 1), known: map[digest.Digest]*question{}}
}

// has reports whether the engine has a blob. Whoever comes first asks for all that
// wait.
func (p *prober) has(ctx context.Context, d v1.Descriptor) (bool, error) {
	if d.Size < leastProbed {
		return false, ctx.Err()
	}
	q := p.enqueue(d)
	select {
	case <-q.done:
		return q.has, q.err
	case <-ctx.Done():
		return false, ctx.Err()
	case p.turn <- struct{}{}:
	}
	defer func() { <-p.turn }()
	for {
		select {
		case <-q.done:
			return q.has, q.err
		default:
		}
		p.answer(ctx, p.dequeue())
	}
}

func (p *prober) enqueue(d v1.Descriptor) *question {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.known[d.Digest]
	if q == nil {
		q = &question{d: d, done: make(chan struct{})}
		p.known[d.Digest] = q
		p.waiting = append(p.waiting, q)
	}
	return q
}

func (p *prober) dequeue() []*question {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(len(p.waiting), maxProbed)
	list := p.waiting[:n]
	p.waiting = p.waiting[n:]
	return list
}

// answer asks the engine. One that does not play along is taken to have nothing:
// then everything is sent.
func (p *prober) answer(ctx context.Context, list []*question) {
	available, err := p.ask(ctx, list)
	for _, q := range list {
		q.has, q.err = err == nil && available[q.d.Digest], ctx.Err()
		close(q.done)
	}
}

// ask returns which blobs the engine has.
func (p *prober) ask(ctx context.Context, list []*question) (map[digest.Digest]bool, error) {
	var tar bytes.Buffer
	w := archive.NewWriter(&tar)
	config, err := putJSON(w, v1.MediaTypeEmptyJSON, struct{}{})
	if err != nil {
		return nil, err
	}
	index := newIndex()
	// Another run may ask for the same: its probe is not to be this one.
	index.Annotations = map[string]string{v1.AnnotationRefName: "bale-probe-" + rand.Text()}
	blobs := map[digest.Digest]digest.Digest{} // by manifest
	for _, q := range list {
		m, err := putJSON(w, v1.MediaTypeImageManifest, v1.Manifest{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, Config: config,
			Layers: []v1.Descriptor{{MediaType: "application/octet-stream", Digest: q.d.Digest, Size: q.d.Size}},
		})
		if err != nil {
			return nil, err
		}
		m.Platform = &v1.Platform{OS: "unknown", Architecture: "unknown"} // not to be unpacked
		index.Manifests = append(index.Manifests, m)
		blobs[m.Digest] = q.d.Digest
	}
	root, err := putJSON(w, v1.MediaTypeImageIndex, index)
	if err != nil {
		return nil, err
	}
	if err := w.CloseLayout(newIndex(root)); err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.probes = append(p.probes, root.Digest)
	p.mu.Unlock()
	if _, err := p.e.load(ctx, &tar); err != nil {
		return nil, err
	}
	res, ok, err := p.e.inspect(ctx, root.Digest.String())
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("%s: %s is not there after it was loaded", p.e, root.Digest)
	}
	available := map[digest.Digest]bool{}
	for _, m := range res.Manifests {
		available[blobs[m.Descriptor.Digest]] = m.Available
	}
	return available, nil
}

// remove takes the probes away.
func (p *prober) remove() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.probes) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), sweepTime)
	defer cancel()
	for _, d := range p.probes {
		_, _ = p.e.api.ImageRemove(ctx, d.String(), client.ImageRemoveOptions{}) // there may be none
	}
}

// newIndex returns an index of manifests.
func newIndex(manifests ...v1.Descriptor) v1.Index {
	return v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: manifests}
}

// putJSON writes a manifest, config or index, and returns what refers to it.
func putJSON(w *archive.Writer, mediaType string, content any) (v1.Descriptor, error) {
	b, err := json.Marshal(content)
	if err != nil {
		return v1.Descriptor{}, err
	}
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
	return d, w.WriteBlob(d, bytes.NewReader(b))
}
