package bale

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle"
	"bale/bundle/commit"
	"bale/bundle/index"
	"bale/transport"
)

// Signer makes one signature entry over SHA256SUMS. Package sign's private
// keys are signers.
type Signer interface {
	Sign(message []byte) ([]byte, error)
}

// SinkOptions say what bundle is to be written.
type SinkOptions struct {
	Path      string
	Overwrite bool
	Signers   []Signer // none: the bundle is not signed
	Writer    bundle.WriterOptions
	// Preparer finds out how to take gzip layers apart; without it all blobs
	// are kept as they came.
	Preparer *bundle.Preparer
	// Fixed makes the bundle's id follow from time and images, so that the
	// same input gives the same bytes.
	Fixed bool
}

// Sink writes images to a bundle file, which appears when it is complete.
type Sink struct {
	o       SinkOptions
	file    *commit.File
	w       *bundle.Writer
	planned map[string]transport.Planned // by target name
	size    int64
	apart   int

	mu       sync.Mutex
	prepared map[digest.Digest]*bundle.Prepared // until the blob is written
}

var (
	_ transport.Sink      = (*Sink)(nil)
	_ transport.Preparing = (*Sink)(nil)
)

// NewSink makes sure that a bundle can be written at the path. The caller
// calls [Sink.Start] when the plan is known, and Close in any case.
func NewSink(o SinkOptions) (*Sink, error) {
	var opts []commit.Option
	if o.Overwrite {
		opts = append(opts, commit.Overwrite())
	}
	f, err := commit.Create(o.Path, opts...)
	if err != nil {
		return nil, err
	}
	return &Sink{o: o, file: f, prepared: make(map[digest.Digest]*bundle.Prepared)}, nil
}

// Start writes the beginning of the bundle. It is what [transport.Options]'s
// Planned calls.
func (s *Sink) Start(ctx context.Context, plan *transport.Plan) error {
	s.planned = make(map[string]transport.Planned)
	h := sha256.New()
	fmt.Fprintln(h, s.o.Writer.Created.Unix(), s.o.Writer.Level)
	for _, i := range plan.Images {
		if _, err := parseName(i.Target.Name.String(), i.Target.Root.Digest); err != nil {
			return fmt.Errorf("call an image %s in the bundle: %w", i.Target.Name, err)
		}
		s.planned[i.Target.Name.String()] = i
		fmt.Fprintln(h, i.Target.Name, i.Target.Root.Digest)
	}
	o := s.o.Writer
	if s.o.Fixed {
		o.ID = [16]byte(h.Sum(nil))
	}
	var err error
	s.w, err = bundle.NewWriter(ctx, s.file, o)
	return err
}

// Properties implements [transport.Sink].
func (s *Sink) Properties() transport.Properties { return transport.Properties{Ordered: true} }

// Holds implements [transport.Sink]: a new bundle is empty.
func (s *Sink) Holds(context.Context, transport.Image, []byte) (bool, error) { return false, nil }

// Has implements [transport.Sink].
func (s *Sink) Has(context.Context, v1.Descriptor, []transport.Image) (bool, error) {
	return false, nil
}

var errNotStarted = errors.New("bundle: Start was not called")

// Prepares implements [transport.Preparing]. Any blob but a config may be gzip,
// whatever its media type says; what is not is soon found out.
func (s *Sink) Prepares(d v1.Descriptor) bool {
	return s.o.Preparer != nil && !transport.IsConfig(d.MediaType)
}

// Prepare implements [transport.Preparing].
func (s *Sink) Prepare(ctx context.Context, d v1.Descriptor, open transport.Opener) error {
	p, err := s.o.Preparer.Prepare(ctx, d.Digest, d.Size, open)
	if err != nil || p == nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prepared[d.Digest] = p
	return nil
}

// take hands over what was prepared for a blob, which may be nothing.
func (s *Sink) take(d digest.Digest) *bundle.Prepared {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.prepared[d]
	delete(s.prepared, d)
	return p
}

// WriteBlob implements [transport.Sink].
func (s *Sink) WriteBlob(ctx context.Context, d v1.Descriptor, _ []transport.Image, open transport.Opener) error {
	if s.w == nil {
		return errNotStarted
	}
	p := s.take(d.Digest)
	defer func() { _ = p.Close() }() // what it held is of no use any more
	rc, err := open(ctx)
	if err != nil {
		return err
	}
	err = s.w.AddBlob(ctx, d.Digest, d.Size, rc, bundle.BlobOptions{Meta: transport.IsConfig(d.MediaType), Prepared: p})
	if cerr := rc.Close(); err == nil {
		err = cerr
	}
	if err == nil && p != nil {
		s.apart++
	}
	return err
}

// WriteManifest implements [transport.Sink].
func (s *Sink) WriteManifest(ctx context.Context, d v1.Descriptor, _ []transport.Image, content []byte) error {
	if s.w == nil {
		return errNotStarted
	}
	return s.w.AddBlob(ctx, d.Digest, d.Size, bytes.NewReader(content), bundle.BlobOptions{Meta: true})
}

// Commit implements [transport.Sink]: index, sums, signatures, and the file's name.
func (s *Sink) Commit(ctx context.Context, images []transport.Image) error {
	if s.w == nil {
		return errNotStarted
	}
	for _, i := range images {
		x := index.Image{Name: i.Name.String(), MediaType: i.Root.MediaType, Digest: i.Root.Digest, Size: i.Root.Size}
		p := s.planned[x.Name]
		x.Platform = p.Platform
		for _, o := range p.Omitted {
			x.Omitted = append(x.Omitted, index.Omission{Digest: o.Descriptor.Digest, Reason: reason(o.Reason)})
		}
		if err := s.w.AddImage(x); err != nil {
			return err
		}
	}
	sums, err := s.w.Finish(ctx)
	if err != nil {
		return err
	}
	for _, k := range s.o.Signers {
		sig, err := k.Sign(sums)
		if err != nil {
			return fmt.Errorf("sign the bundle: %w", err)
		}
		if err := s.w.AddSignature(sig); err != nil {
			return err
		}
	}
	if err := s.w.Close(); err != nil {
		return err
	}
	s.size = s.w.Size()
	return s.file.Commit(ctx)
}

func reason(r string) index.Reason {
	if r == transport.ForeignLayer {
		return index.Foreign
	}
	return index.Absent
}

// Size returns the size of the bundle in bytes once it is committed.
func (s *Sink) Size() int64 { return s.size }

// Apart returns how many blobs were taken apart.
func (s *Sink) Apart() int { return s.apart }

// Close implements [transport.Sink]. Without a Commit nothing remains.
func (s *Sink) Close() error {
	if s.w != nil {
		s.w.Abort()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.prepared {
		_ = p.Close() // see WriteBlob
	}
	clear(s.prepared)
	s.file.Discard()
	return nil
}
