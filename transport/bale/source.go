package bale

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle"
	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/bundle/index"
	"bale/transport"
)

// File is a bundle file that was opened but is not trusted yet.
type File struct {
	f        *os.File
	name     string
	size     int64
	info     os.FileInfo // when it was opened
	envelope *bundle.Envelope
}

// Open opens a bundle file and takes in its envelope.
func Open(ctx context.Context, path string) (*File, error) {
	// Before it is opened: a pipe that nobody writes to would keep us waiting.
	if fi, err := os.Stat(path); err == nil {
		if err := checkRegular(fi); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open bundle: %w", err)
	}
	return FromFile(ctx, f, path)
}

// FromFile takes in the envelope of a bundle file that is open, and that errors
// call name. It owns f, also if it fails.
func FromFile(ctx context.Context, f *os.File, name string) (*File, error) {
	b := &File{f: f, name: name}
	if err := b.scan(ctx); err != nil {
		_ = f.Close() // only read from
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}

func (f *File) scan(ctx context.Context) error {
	fi, err := f.f.Stat()
	if err != nil {
		return err
	}
	if err := checkRegular(fi); err != nil {
		return err
	}
	f.size, f.info = fi.Size(), fi
	f.envelope, err = bundle.Scan(ctx, f.f, f.size)
	return err
}

func checkRegular(fi os.FileInfo) error {
	if fi.Mode().IsRegular() {
		return nil
	}
	if fi.IsDir() {
		return fault.Usage("a folder, not a bundle file")
	}
	return fault.WithHint(fault.Usage("not a regular file"), "a bundle is read here and there, so it cannot come through a pipe")
}

// Size returns the file's size in bytes.
func (f *File) Size() int64 { return f.size }

// Path returns the path that the file was opened by, or what errors call it.
func (f *File) Path() string { return f.name }

// Envelope returns what package verify decides about.
func (f *File) Envelope() *bundle.Envelope { return f.envelope }

// Trust opens the bundle for which v vouches.
func (f *File) Trust(ctx context.Context, v bundle.Voucher) (*bundle.Reader, error) {
	r, err := bundle.Open(ctx, f.envelope, v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	return r, nil
}

// TrustIndex is Trust for those who can do without content: it takes receipts
// and inventories too.
func (f *File) TrustIndex(ctx context.Context, v bundle.Voucher) (*bundle.Reader, error) {
	r, err := bundle.OpenIndex(ctx, f.envelope, v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	return r, nil
}

// Close closes the file.
func (f *File) Close() error { return f.f.Close() }

// Source reads images from a bundle.
type Source struct {
	r     *bundle.Reader
	bases *Bases // may be nil

	attaching sync.Mutex
	attached  map[subject][]transport.Image // what is attached to what; nil: not known yet
}

var (
	_ transport.Source    = (*Source)(nil)
	_ transport.Local     = (*Source)(nil)
	_ transport.RawLayers = (*Source)(nil)
)

// NewSource returns a Source over a trusted bundle. It does not own r's file.
func NewSource(r *bundle.Reader) *Source { return &Source{r: r} }

// BuildOn says what the bundle builds on, if it is an update.
func (s *Source) BuildOn(b *Bases) {
	s.bases = b
	s.r.BuildOn(b)
}

// Local implements [transport.Local].
func (s *Source) Local() bool { return true }

// Images implements [transport.Source]. A selector is an image's name by
// Docker's rules; name:tag@digest must be in the bundle with that digest.
func (s *Source) Images(ctx context.Context, selector string) ([]transport.Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var want transport.Name
	if selector != "" {
		var err error
		if want, err = transport.ParseName(selector); err != nil {
			return nil, err
		}
	}
	var out []transport.Image
	for _, i := range s.r.Index().Images {
		name, err := parseName(i.Name, i.Digest)
		if err != nil {
			// Not wrapped: it is the bundle's fault, not a user's mistake.
			return nil, fault.Damaged("the bundle has an image called %q: %v", i.Name, err)
		}
		if selector != "" && !matches(name, want, i.Digest.String()) {
			continue
		}
		out = append(out, transport.Image{Name: name, Root: v1.Descriptor{MediaType: i.MediaType, Digest: i.Digest, Size: i.Size}})
	}
	if selector != "" && len(out) == 0 {
		return nil, fault.WithHint(fault.Missing("image %s is not in the bundle", want), "see what is: bale inspect FILE")
	}
	return out, nil
}

// parseName reads the name that an image has in a bundle: one that is written
// out, so that no two spell the same, and does not lie about the digest.
func parseName(s string, root digest.Digest) (transport.Name, error) {
	name, err := transport.ParseName(s)
	switch {
	case err != nil:
		return name, err
	case name.String() != s:
		return name, fmt.Errorf("in full it is %s", name)
	case name.Digest != "" && name.Digest != root:
		return name, fmt.Errorf("its digest is %s", root)
	}
	return name, nil
}

// matches compares an image's name with the one asked for. Without a tag the
// digest decides.
func matches(have, want transport.Name, digest string) bool {
	if have.Repository() != want.Repository() {
		return false
	}
	if want.Tag != "" && have.Tag != want.Tag {
		return false
	}
	return want.Digest == "" || want.Digest.String() == digest
}

// Manifest implements [transport.Source].
func (s *Source) Manifest(ctx context.Context, in transport.Image, d v1.Descriptor) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	rc, err := s.Blob(ctx, in, d)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rc.Close() }() // only read from
	return blob.ReadAll(rc, d.Digest, d.Size, transport.MaxManifest)
}

// Blob implements [transport.Source].
func (s *Source) Blob(ctx context.Context, _ transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	if open, ok := s.bases.Whole(d.Digest); ok {
		return open(ctx)
	}
	return s.r.OpenBlob(ctx, d.Digest)
}

// RawSize implements [transport.RawLayers].
func (s *Source) RawSize(d v1.Descriptor) (int64, bool) {
	if _, size, ok := s.bases.Raw(d.Digest); ok {
		return size, true
	}
	b, ok := s.r.Index().Blob(d.Digest)
	if !ok || b.Recipe == index.Stored {
		return 0, false
	}
	return b.RawSize, true
}

// OpenRaw implements [transport.RawLayers].
func (s *Source) OpenRaw(ctx context.Context, _ transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	if open, _, ok := s.bases.Raw(d.Digest); ok {
		return open(ctx)
	}
	rc, _, err := s.r.OpenRaw(ctx, d.Digest)
	return rc, err
}

// Close implements [transport.Source].
func (s *Source) Close() error { return nil }
