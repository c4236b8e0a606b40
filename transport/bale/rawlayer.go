package bale

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/opencontainers/go-digest"

	"bale/bundle"
	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/bundle/index"
	"bale/transport"
)

// rawLayer is a layer that a place has unpacked, while the bundle would have it
// compressed.
type rawLayer struct {
	diffID digest.Digest
	size   int64
	open   transport.Opener
}

// Raw opens a layer unpacked, and says how large it is then, if it was found so
// at the place.
func (b *Bases) Raw(d digest.Digest) (open transport.Opener, size int64, ok bool) {
	if b == nil {
		return nil, 0, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l, ok := b.raw[d]
	return l.open, l.size, ok
}

// findRaw looks for layers that the bundle keeps as they came, compressed, and
// leaves out: an engine that keeps layers unpacked cannot give their chunks, but
// it can give what it needs itself. It returns the blobs that were not found.
func (b *Bases) findRaw(ctx context.Context, r *bundle.Reader, blobs []digest.Digest, places []Place) ([]digest.Digest, error) {
	var lacking []digest.Digest
	for _, d := range blobs {
		x, ok := r.Index().Blob(d)
		if !ok || x.Recipe != index.Stored {
			continue
		}
		chunks, err := b.lacking(r, []digest.Digest{d}, true)
		if err != nil {
			return nil, err
		}
		if len(chunks) > 0 {
			lacking = append(lacking, d)
		}
	}
	if len(lacking) == 0 {
		return blobs, nil
	}
	ids, err := diffIDs(ctx, r)
	if err != nil && !errors.Is(err, fault.ErrDamaged) && !errors.Is(err, fault.ErrUnsupported) {
		return nil, err
	}
	lacking = slices.DeleteFunc(lacking, func(d digest.Digest) bool { return ids[d] == "" || ids[d] == d })
	for _, p := range places {
		if len(lacking) == 0 {
			break
		}
		var want []transport.Layer
		for _, d := range lacking {
			want = append(want, transport.Layer{DiffID: ids[d]})
		}
		found, err := p.Holding.FindLayers(ctx, p.Near, want)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		done := make(map[digest.Digest]bool)
		for _, f := range found {
			d := lacking[f.Index]
			l, err := measure(ctx, f, ids[d])
			if errors.Is(err, fault.ErrMissing) || errors.Is(err, fault.ErrDamaged) {
				continue // deleted since, or another layer than it says
			}
			if err != nil {
				return nil, fmt.Errorf("%s: layer %s: %w", p.Name, f.Digest, err)
			}
			b.mu.Lock()
			b.raw[d] = l
			b.mu.Unlock()
			done[d] = true
		}
		gone := func(d digest.Digest) bool { return done[d] }
		lacking = slices.DeleteFunc(lacking, gone)
		blobs = slices.DeleteFunc(slices.Clone(blobs), gone)
	}
	return blobs, nil
}

// measure reads a layer to its end: it must be what its diff id says.
func measure(ctx context.Context, f transport.FoundLayer, diffID digest.Digest) (rawLayer, error) {
	open := func(ctx context.Context) (io.ReadCloser, error) {
		rc, err := f.Open(ctx)
		if err != nil || f.Digest == diffID {
			return rc, err
		}
		raw, done, err := unpack(rc)
		if err != nil {
			_ = rc.Close() // the first error says more
			return nil, err
		}
		return &unpacked{raw, done, rc}, nil
	}
	rc, err := open(ctx)
	if err != nil {
		return rawLayer{}, err
	}
	defer func() { _ = rc.Close() }() // only read from
	h := diffID.Algorithm().Digester()
	n, err := io.Copy(h.Hash(), rc)
	switch {
	case err != nil && ctx.Err() != nil:
		return rawLayer{}, ctx.Err()
	case err != nil:
		return rawLayer{}, err
	case h.Digest() != diffID:
		return rawLayer{}, fault.Damaged("layer %s does not unpack to %s", f.Digest, diffID)
	}
	return rawLayer{diffID, n, func(ctx context.Context) (io.ReadCloser, error) {
		rc, err := open(ctx)
		if err != nil {
			return nil, err
		}
		return blob.NewReader(rc, diffID, n)
	}}, nil
}

// unpacked is a layer being decompressed.
type unpacked struct {
	io.Reader
	done func()
	rc   io.Closer
}

// Close implements io.Closer.
func (u *unpacked) Close() error {
	u.done()
	return u.rc.Close()
}
