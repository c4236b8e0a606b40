package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport/tarfile"
)

// layer is what reading a layer's entry once has told.
type layer struct {
	digest digest.Digest // of the bytes as they are
	diffID digest.Digest // of the bytes unpacked, "" if they are not compressed
	media  string        // media type if they are compressed
	err    error         // why they could not be unpacked
}

// mediaTypes are those of image-spec for compressed layers.
var mediaTypes = map[tarfile.Compression]string{
	tarfile.Gzip: v1.MediaTypeImageLayerGzip, tarfile.Zstd: v1.MediaTypeImageLayerZstd,
}

// describe returns the descriptor of the layer f, whose unpacked content
// must have the digest diffID, and makes it known to [Archive.Blob].
func (a *Archive) describe(ctx context.Context, f tarfile.File, diffID digest.Digest) (v1.Descriptor, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l, ok := a.layers[f.Offset]
	if !ok {
		var err error
		if l, err = hash(ctx, a.tar.Section(f), a.where); err != nil {
			return v1.Descriptor{}, err
		}
		a.layers[f.Offset] = l
	}
	d := v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: l.digest, Size: f.Size}
	switch {
	case l.digest == diffID:
	case l.media != "" && l.err != nil:
		return v1.Descriptor{}, fault.Damaged("%s: layer %s cannot be unpacked: %w", a.where, diffID, l.err)
	case l.diffID == diffID:
		d.MediaType = l.media
	default:
		return v1.Descriptor{}, fault.Damaged("%s: the layer that should be %s is %s", a.where, diffID, l.digest)
	}
	a.blobs[d.Digest] = f
	return d, nil
}

// hash reads a layer once. Only a failure to read is an error.
func hash(ctx context.Context, r io.Reader, where string) (layer, error) {
	src := blob.WithContext(ctx, r)
	raw := digest.SHA256.Digester()
	head := make([]byte, tarfile.HeadSize)
	n, err := io.ReadFull(src, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return layer{}, fmt.Errorf("%s: read layer: %w", where, err)
	}
	tee := io.TeeReader(io.MultiReader(bytes.NewReader(head[:n]), src), raw.Hash())
	var l layer
	c := tarfile.Detect(head[:n])
	if l.media = mediaTypes[c]; l.media != "" {
		l.diffID, l.err = unpacked(c, tee)
	}
	// What the decompressor left belongs to the blob, too. An error of the
	// reader itself shows here again.
	if _, err := io.Copy(io.Discard, tee); err != nil {
		return layer{}, fmt.Errorf("%s: read layer: %w", where, err)
	}
	l.digest = raw.Digest()
	return l, nil
}

// unpacked returns the digest of the content of a compressed stream.
func unpacked(c tarfile.Compression, r io.Reader) (digest.Digest, error) {
	z, err := c.Unpack(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = z.Close() }() // a reader: what counts is the digest
	return digest.SHA256.FromReader(z)
}
