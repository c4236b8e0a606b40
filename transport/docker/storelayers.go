package docker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/tarfile"
)

// unpacked opens a layer of what was exported, by what it unpacks to.
func (s *storeSource) unpacked(ctx context.Context, diffID digest.Digest) (io.ReadCloser, error) {
	d, err := s.layer(ctx, diffID)
	if err != nil {
		return nil, err
	}
	r, err := s.Blob(ctx, transport.Image{}, d)
	if err != nil || d.Digest == diffID {
		return r, err
	}
	in := bufio.NewReader(r)
	head, err := in.Peek(tarfile.HeadSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, r.Close())
	}
	c := tarfile.Detect(head)
	if c != tarfile.Gzip && c != tarfile.Zstd {
		return nil, errors.Join(fault.Unsupported("%s: layer %s is compressed in no way that is known", s.e, d.Digest), r.Close())
	}
	z, err := c.Unpack(in)
	if err != nil {
		return nil, errors.Join(fault.Damaged("%s: layer %s: %w", s.e, d.Digest, err), r.Close())
	}
	return &unpacking{z, r}, nil
}

// unpacking is a layer that is being unpacked.
type unpacking struct {
	io.ReadCloser
	packed io.Closer
}

// Close implements io.Closer.
func (u *unpacking) Close() error { return errors.Join(u.ReadCloser.Close(), u.packed.Close()) }

// layer finds the blob that unpacks to something, in what was exported.
func (s *storeSource) layer(ctx context.Context, diffID digest.Digest) (v1.Descriptor, error) {
	for _, x := range s.all() {
		entries, err := x.Images(ctx, "")
		if err != nil {
			return v1.Descriptor{}, err
		}
		seen := map[digest.Digest]bool{}
		for _, e := range entries {
			if d, ok, err := x.layer(ctx, e.Root, diffID, seen); ok || err != nil {
				return d, err
			}
		}
	}
	return v1.Descriptor{}, fault.Missing("%s: no layer %s in what it exported", s.e, diffID)
}

// layer looks for a layer below a manifest or index, unless that was seen. What is
// not there has none.
func (x *storeExport) layer(ctx context.Context, d v1.Descriptor, diffID digest.Digest, seen map[digest.Digest]bool) (v1.Descriptor, bool, error) {
	none := v1.Descriptor{}
	if seen[d.Digest] || len(seen) == transport.MaxNodes || !transport.IsIndex(d.MediaType) && !transport.IsManifest(d.MediaType) {
		return none, false, nil
	}
	seen[d.Digest] = true
	content, err := x.Manifest(ctx, transport.Image{}, d)
	if err != nil {
		return none, false, present(err)
	}
	m, err := transport.ParseManifest(d.MediaType, content)
	if err != nil {
		return none, false, fmt.Errorf("%s: %w", d.Digest, err)
	}
	for _, c := range m.Manifests {
		if d, ok, err := x.layer(ctx, c, diffID, seen); ok || err != nil {
			return d, ok, err
		}
	}
	if m.Config == nil || !transport.IsConfig(m.Config.MediaType) {
		return none, false, nil
	}
	config, err := x.config(ctx, *m.Config)
	if err != nil {
		return none, false, present(err)
	}
	for i, id := range transport.DiffIDs(m, config) {
		if id == diffID {
			return m.Layers[i], true, nil
		}
	}
	return none, false, nil
}

func (x *storeExport) config(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	r, err := x.Blob(ctx, transport.Image{}, d)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // only read from
	return blob.ReadAll(r, d.Digest, d.Size, transport.MaxManifest)
}

// present returns an error unless it is that something is not there.
func present(err error) error {
	if errors.Is(err, fault.ErrMissing) {
		return nil
	}
	return err
}
