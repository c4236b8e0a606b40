package archive

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
)

// layer is what reading a layer's entry once has told.
type layer struct {
	digest digest.Digest // of the bytes as they are
	diffID digest.Digest // of the bytes unpacked, "" if they are not compressed
	media  string        // media type if they are compressed
	err    error         // why they could not be unpacked
}

// magics are the compressions that image-spec has media types for.
var magics = []struct {
	magic []byte
	media string
	open  func(io.Reader) (io.ReadCloser, error)
}{
	{[]byte{0x1f, 0x8b}, v1.MediaTypeImageLayerGzip, openGzip},
	{[]byte{0x28, 0xb5, 0x2f, 0xfd}, v1.MediaTypeImageLayerZstd, openZstd},
}

func openGzip(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }

func openZstd(r io.Reader) (io.ReadCloser, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(MaxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}

// describe returns the descriptor of the layer at e, whose unpacked content
// must have the digest diffID, and makes it known to [Archive.Blob].
func (a *Archive) describe(ctx context.Context, e entry, diffID digest.Digest) (v1.Descriptor, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l, ok := a.layers[e.off]
	if !ok {
		var err error
		if l, err = hash(ctx, a.section(e)); err != nil {
			return v1.Descriptor{}, err
		}
		a.layers[e.off] = l
	}
	d := v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: l.digest, Size: e.size}
	switch {
	case l.digest == diffID:
	case l.media != "" && l.err != nil:
		return v1.Descriptor{}, fault.Damaged("docker-archive: layer %s cannot be unpacked: %w", diffID, l.err)
	case l.diffID == diffID:
		d.MediaType = l.media
	default:
		return v1.Descriptor{}, fault.Damaged("docker-archive: the layer that should be %s is %s", diffID, l.digest)
	}
	a.blobs[d.Digest] = e
	return d, nil
}

// hash reads a layer once. Only a failure to read is an error.
func hash(ctx context.Context, r io.Reader) (layer, error) {
	src := &ctxReader{ctx: ctx, r: r}
	raw := digest.SHA256.Digester()
	head := make([]byte, 4)
	n, err := io.ReadFull(src, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return layer{}, fmt.Errorf("docker-archive: read layer: %w", err)
	}
	tee := io.TeeReader(io.MultiReader(bytes.NewReader(head[:n]), src), raw.Hash())
	var l layer
	for _, m := range magics {
		if bytes.HasPrefix(head[:n], m.magic) {
			l.media = m.media
			l.diffID, l.err = unpacked(m.open, tee)
		}
	}
	// What the decompressor left belongs to the blob, too. An error of the
	// reader itself shows here again.
	if _, err := io.Copy(io.Discard, tee); err != nil {
		return layer{}, fmt.Errorf("docker-archive: read layer: %w", err)
	}
	l.digest = raw.Digest()
	return l, nil
}

// unpacked returns the digest of the content of a compressed stream.
func unpacked(open func(io.Reader) (io.ReadCloser, error), r io.Reader) (digest.Digest, error) {
	z, err := open(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = z.Close() }() // a reader: what counts is the digest
	return digest.SHA256.FromReader(z)
}

// ctxReader stops at the end of its context, and stays at its first error.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (c *ctxReader) Read(p []byte) (int, error) {
	if c.err == nil {
		c.err = c.ctx.Err()
	}
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.r.Read(p)
	c.err = err
	return n, err
}
