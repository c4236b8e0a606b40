package bale

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle"
	"bale/bundle/commit"
	"bale/bundle/container"
	"bale/bundle/fault"
	"bale/bundle/index"
	"bale/transport"
)

// Sign makes the signatures over a bundle's SHA256SUMS and hands each to add, in
// the order of their forms.
type Sign func(ctx context.Context, sums []byte, add func(form container.Form, data []byte) error) error

// SinkOptions say what bundle is to be written.
type SinkOptions struct {
	Path      string    // or [Stdout]
	Stdout    io.Writer // what that path stands for; nil if there is none
	Overwrite bool
	Sign      Sign // nil: the bundle is not signed
	Writer    bundle.WriterOptions
	// Preparer finds out how to take gzip layers apart; without it all blobs
	// are kept as they came.
	Preparer *bundle.Preparer
	// Receipt, if not "", is the path of a receipt to be written as well.
	Receipt string
	// Unpack lists what gzip layers decompress to, without recipes: they cannot
	// be had from the bundle, but others can build on it.
	Unpack bool
	// Fixed makes the bundle's id follow from time and images, so that the
	// same input gives the same bytes.
	Fixed bool
}

// output is what a bundle is written to.
type output interface {
	io.Writer
	io.ReaderAt
	Commit(context.Context) error
	Discard()
}

// Sink writes images to a bundle file, which appears when it is complete.
type Sink struct {
	o       SinkOptions
	file    output
	receipt *commit.File // nil if none is wanted
	w       *bundle.Writer
	planned map[string]transport.Planned // by target name
	plain   bool                         // nothing is compared with what was written before
	size    int64
	apart   int

	meta []digest.Digest // manifests and configs

	mu       sync.Mutex
	prepared map[digest.Digest]*bundle.Prepared // until the blob is written
	held     map[digest.Digest]int64            // sizes of blobs that a base holds whole
}

var (
	_ transport.Sink      = (*Sink)(nil)
	_ transport.Preparing = (*Sink)(nil)
	_ transport.Sparse    = (*Sink)(nil)
)

// NewSink makes sure that a bundle can be written at the path. The caller
// calls [Sink.Start] when the plan is known, and Close in any case.
func NewSink(o SinkOptions) (*Sink, error) {
	if o.Receipt != "" && filepath.Clean(o.Receipt) == filepath.Clean(o.Path) {
		// With Overwrite it would take the bundle's place.
		return nil, fault.Usage("%s cannot be both the bundle and its receipt", o.Path)
	}
	var opts []commit.Option
	if o.Overwrite {
		opts = append(opts, commit.Overwrite())
	}
	f, err := o.create(opts)
	if err != nil {
		return nil, err
	}
	s := newSink(o, f)
	if o.Receipt != "" {
		if s.receipt, err = commit.Create(o.Receipt, opts...); err != nil {
			f.Discard()
			return nil, err
		}
	}
	return s, nil
}

// create makes what the bundle is written to.
func (o *SinkOptions) create(opts []commit.Option) (output, error) {
	if o.Path != Stdout {
		return commit.Create(o.Path, opts...)
	}
	if o.Stdout == nil {
		return nil, fault.Usage("there is no standard output to write a bundle to")
	}
	return newPipe(o.Stdout)
}

func newSink(o SinkOptions, f output) *Sink {
	return &Sink{o: o, file: f, prepared: make(map[digest.Digest]*bundle.Prepared), held: make(map[digest.Digest]int64)}
}

// BuildOn says what the bundle builds on, and its sequence number, which may
// follow from that. It is called before Start.
func (s *Sink) BuildOn(bases []*bundle.Reader, sequence uint64) {
	s.o.Writer.Bases, s.o.Writer.Sequence = bases, sequence
}

// Start writes the beginning of the bundle. It is what [transport.Options]'s
// Planned calls.
func (s *Sink) Start(ctx context.Context, plan *transport.Plan) error {
	s.planned = make(map[string]transport.Planned)
	h := sha256.New()
	fmt.Fprintf(h, "%d %s %q %d\n", s.o.Writer.Created.Unix(), s.o.Writer.Level, s.o.Writer.Name, s.o.Writer.Sequence)
	if t := s.o.Writer.Expires; t != nil {
		fmt.Fprintln(h, "expires", t.Unix())
	}
	for _, r := range s.o.Writer.Bases {
		fmt.Fprintln(h, r.Header().ID)
	}
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
	if !s.plain {
		o.ReadBack = s.file
	}
	var err error
	s.w, err = bundle.NewWriter(ctx, s.file, o)
	return err
}

// Properties implements [transport.Sink].
func (s *Sink) Properties() transport.Properties { return transport.Properties{Ordered: true} }

// Holds implements [transport.Sink]: a new bundle is empty.
func (s *Sink) Holds(context.Context, transport.Image, []byte) (bool, error) { return false, nil }

// Has implements [transport.Sink]: what a base holds whole need not be read.
func (s *Sink) Has(_ context.Context, d v1.Descriptor, _ []transport.Image) (bool, error) {
	if isMeta(d) || !bundle.Adoptable(s.o.Writer.Bases, d.Digest, d.Size) {
		return false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[d.Digest] = d.Size
	return true, nil
}

// isMeta tells manifests and configs, which every bundle carries itself.
func isMeta(d v1.Descriptor) bool {
	return transport.IsConfig(d.MediaType) || transport.IsManifest(d.MediaType) || transport.IsIndex(d.MediaType)
}

var errNotStarted = errors.New("bundle: Start was not called")

// Prepares implements [transport.Preparing]. Any blob but a config may be gzip,
// whatever its media type says; what is not is soon found out.
func (s *Sink) Prepares(d v1.Descriptor) bool {
	return s.o.Preparer != nil && !isMeta(d)
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
	defer func() { _ = p.Close() }()          // what it held is of no use any more
	rc := io.NopCloser(strings.NewReader("")) // of no use if there are raw bytes
	if !p.HasRaw() {
		var err error
		if rc, err = open(ctx); err != nil {
			return err
		}
	}
	o := bundle.BlobOptions{Meta: isMeta(d), Prepared: p}
	o.Unpack = s.o.Unpack && !o.Meta
	if o.Meta {
		s.meta = append(s.meta, d.Digest)
	}
	err := s.w.AddBlob(ctx, d.Digest, d.Size, rc, o)
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
	s.meta = append(s.meta, d.Digest)
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
		x.Platform = strings.Join(p.Platforms, ",")
		for _, o := range p.Omitted {
			x.Omitted = append(x.Omitted, index.Omission{Digest: o.Descriptor.Digest, Reason: reason(o.Reason)})
		}
		if err := s.w.AddImage(x); err != nil {
			return err
		}
	}
	for _, d := range slices.Sorted(maps.Keys(s.held)) {
		if err := s.w.Adopt(d); err != nil {
			return fmt.Errorf("take blob %s from a base: %w", d, err)
		}
	}
	sums, err := s.w.Finish(ctx)
	if err != nil {
		return err
	}
	if s.o.Sign != nil {
		if err := s.o.Sign(ctx, sums, s.w.AddSignature); err != nil {
			return fmt.Errorf("sign the bundle: %w", err)
		}
	}
	if err := s.w.Close(); err != nil {
		return err
	}
	s.size = s.w.Size()
	if s.receipt == nil {
		return s.file.Commit(ctx)
	}
	// The receipt is made of what was written, and published when that is: a
	// receipt of nothing would be worse than none.
	r, err := reopen(ctx, s.file, s.size)
	if err != nil {
		return fmt.Errorf("make the receipt: %w", err)
	}
	if err := r.WriteReceipt(ctx, s.receipt, s.meta); err != nil {
		return fmt.Errorf("make the receipt: %w", err)
	}
	if err := s.file.Commit(ctx); err != nil {
		return err
	}
	if err := s.receipt.Commit(ctx); err != nil {
		return fault.WithHint(fmt.Errorf("the bundle is written, its receipt is not: %w", err),
			"make it from the bundle: bale receipt %s -o FILE", s.o.Path)
	}
	return nil
}

// ourOwn vouches for what this process has just written.
type ourOwn struct{}

func (ourOwn) Vouches([]byte) error { return nil }

// reopen reads a bundle that this process has written.
func reopen(ctx context.Context, f io.ReaderAt, size int64) (*bundle.Reader, error) {
	e, err := bundle.Scan(ctx, f, size)
	if err != nil {
		return nil, err
	}
	return bundle.OpenIndex(ctx, e, ourOwn{})
}

// Held returns how many blobs, and bytes of them, bases hold whole.
func (s *Sink) Held() (blobs int, bytes int64) {
	for _, n := range s.held {
		bytes += n
	}
	return len(s.held), bytes
}

func reason(r transport.Reason) index.Reason {
	switch r {
	case transport.ForeignLayer:
		return index.Foreign
	case transport.OtherPlatform:
		return index.OtherPlatform
	}
	return index.Absent
}

// TakesSparse implements [transport.Sparse]: the index of the bundle lists what
// was left out.
func (s *Sink) TakesSparse(context.Context, transport.Image, []byte, []v1.Descriptor) (bool, error) {
	return true, nil
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
	if s.receipt != nil {
		s.receipt.Discard()
	}
	return nil
}
