package containerd

import (
	"context"
	"errors"
	"sync"

	"github.com/containerd/containerd/v2/core/images"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/transport"
)

// Sink writes images to a namespace, which containerd makes if it is not there.
// Blobs stream into its content store as they come. A run that was killed is
// taken up where it was, blob by blob and within them.
type Sink struct {
	n           *node
	snapshotter string

	mu        sync.Mutex
	lease     *lease // nil until there is something to hold
	committed bool
	closed    bool
}

// NewSink connects to containerd.
func NewSink(ctx context.Context, o Options) (*Sink, error) {
	n, err := connect(ctx, o)
	if err != nil {
		return nil, err
	}
	return &Sink{n: n, snapshotter: o.Snapshotter}, nil
}

// Properties implements [transport.Sink].
func (s *Sink) Properties() transport.Properties { return transport.Properties{} }

// TakesSparse implements [transport.Sparse]: containerd keeps indexes in part,
// as it does itself when it pulls one platform.
func (s *Sink) TakesSparse(ctx context.Context, _ transport.Image, _ []byte, _ []v1.Descriptor) (bool, error) {
	return true, ctx.Err()
}

// Holds implements [transport.Sink]. containerd has verified what it has; all
// of an image that is there stays there until this run ends.
func (s *Sink) Holds(ctx context.Context, img transport.Image, _ []byte) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	g, err := s.n.search(s.keep).complete(ctx, img.Root)
	return err == nil && g == nil, err
}

// Has implements [transport.Sink]. What is there stays there until this run ends.
func (s *Sink) Has(ctx context.Context, d v1.Descriptor, _ []transport.Image) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if err := blob.Check(d.Digest, d.Size); err != nil {
		return false, err
	}
	return s.keep(ctx, d)
}

// WriteBlob implements [transport.Sink].
func (s *Sink) WriteBlob(ctx context.Context, d v1.Descriptor, _ []transport.Image, open transport.Opener) error {
	return s.write(ctx, d, open)
}

// WriteManifest implements [transport.Sink].
func (s *Sink) WriteManifest(ctx context.Context, d v1.Descriptor, _ []transport.Image, content []byte) error {
	return s.write(ctx, d, opener(content))
}

// label sets the labels by which a manifest keeps what it refers to from being
// collected: those that containerd sets when it pulls. It may have been there
// without them, as when layers are given up once they are unpacked.
func (s *Sink) label(ctx context.Context, d v1.Descriptor) error {
	store := s.n.api.ContentStore()
	if _, err := images.SetChildrenLabels(store, images.ChildrenHandler(store))(ctx, bare(d)); err != nil {
		return s.n.fail(ctx, "label "+d.Digest.String(), err)
	}
	return nil
}

// Close implements [transport.Sink]. Without a Commit containerd removes what
// this run wrote.
func (s *Sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var err error
	if s.lease != nil {
		err = s.endLease(s.lease, s.committed)
	}
	return errors.Join(err, s.n.api.Close())
}

var (
	_ transport.Sink   = (*Sink)(nil)
	_ transport.Sparse = (*Sink)(nil)
)
