package main

import (
	"context"
	"io"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/bale"
)

// union is several bundles as one source: an index of which each has a part
// has all these parts there.
type union struct {
	readers []*bundle.Reader
	sources []*bale.Source
}

func (u *union) add(r *bundle.Reader, bases *bale.Bases) {
	s := bale.NewSource(r)
	s.BuildOn(bases)
	u.readers, u.sources = append(u.readers, r), append(u.sources, s)
}

// of returns a bundle that has something, or nil.
func (u *union) of(d digest.Digest) *bale.Source {
	for i, r := range u.readers {
		if _, ok := r.Index().Blob(d); ok {
			return u.sources[i]
		}
	}
	return nil
}

// Images implements [transport.Source]: bundles may call different images the
// same, so whoever wants to know asks them one by one.
func (u *union) Images(context.Context, string) ([]transport.Image, error) {
	return nil, fault.Usage("several bundles have no list of images")
}

// Manifest implements [transport.Source].
func (u *union) Manifest(ctx context.Context, in transport.Image, d v1.Descriptor) ([]byte, error) {
	if s := u.of(d.Digest); s != nil {
		return s.Manifest(ctx, in, d)
	}
	return nil, fault.Missing("manifest %s of %s is in none of the bundles", d.Digest, in.Name)
}

// Blob implements [transport.Source].
func (u *union) Blob(ctx context.Context, in transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	if s := u.of(d.Digest); s != nil {
		return s.Blob(ctx, in, d)
	}
	return nil, fault.Missing("blob %s of %s is in none of the bundles", d.Digest, in.Name)
}

// Close implements [transport.Source].
func (u *union) Close() error { return nil }

// Local implements [transport.Local].
func (u *union) Local() bool { return true }

// Lacks implements [transport.Partial]: what one bundle left out another may
// have.
func (u *union) Lacks(ctx context.Context, in transport.Image, d v1.Descriptor) (bool, error) {
	if u.of(d.Digest) != nil {
		return false, ctx.Err()
	}
	for _, s := range u.sources {
		if lacks, err := s.Lacks(ctx, in, d); err != nil || lacks {
			return lacks, err
		}
	}
	return false, nil
}

// Referrers implements [transport.Referring].
func (u *union) Referrers(ctx context.Context, in transport.Image, d v1.Descriptor) ([]transport.Image, error) {
	var out []transport.Image
	seen := make(map[transport.Name]bool)
	for i := len(u.sources) - 1; i >= 0; i-- { // of those with one tag, the last
		list, err := u.sources[i].Referrers(ctx, in, d)
		if err != nil {
			return nil, err
		}
		for _, img := range list {
			if !seen[img.Name] {
				seen[img.Name] = true
				out = append(out, img)
			}
		}
	}
	return out, nil
}

// RawSize implements [transport.RawLayers].
func (u *union) RawSize(d v1.Descriptor) (int64, bool) {
	if s := u.of(d.Digest); s != nil {
		return s.RawSize(d)
	}
	return 0, false
}

// OpenRaw implements [transport.RawLayers].
func (u *union) OpenRaw(ctx context.Context, in transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	if s := u.of(d.Digest); s != nil {
		return s.OpenRaw(ctx, in, d)
	}
	return nil, fault.Missing("layer %s of %s is in none of the bundles", d.Digest, in.Name)
}

var (
	_ transport.Source    = (*union)(nil)
	_ transport.Local     = (*union)(nil)
	_ transport.Partial   = (*union)(nil)
	_ transport.Referring = (*union)(nil)
	_ transport.RawLayers = (*union)(nil)
)
