package docker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/moby/moby/client"
	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/archive"
)

// sweepTime is how long Close tries to take back what a failed run loaded.
const sweepTime = 30 * time.Second

// Commit implements [transport.Sink]. It ends the archive without tags in it,
// checks that the engine has every image, and only then sets the tags: so an
// image that the engine refuses changes none, not even those of the images
// before it. An image without a tag gets no name, since an engine keeps no
// digests of manifests.
func (s *classicSink) Commit(ctx context.Context, images []transport.Image) error {
	if err := s.finish(ctx, images); err != nil {
		return err
	}
	for _, img := range images {
		id := s.noted(img.Root.Digest).id
		if err := s.e.check(ctx, id.String(), id); err != nil {
			return err
		}
	}
	var named []transport.Image
	for _, img := range images {
		if img.Name.Tag == "" {
			continue
		}
		if err := s.e.tag(ctx, img.Name, s.noted(img.Root.Digest).id); err != nil {
			return transport.Partly(err, named)
		}
		named = append(named, img)
	}
	s.committed = true
	return nil
}

// tag gives an image a name that has a tag.
func (e *engine) tag(ctx context.Context, name transport.Name, id digest.Digest) error {
	tag := name.Repository() + ":" + name.Tag
	if _, err := e.api.ImageTag(ctx, client.ImageTagOptions{Source: id.String(), Target: tag}); err != nil {
		return e.fail("tag "+tag, err)
	}
	return e.check(ctx, tag, id)
}

// finish completes the load, if there is one.
func (s *classicSink) finish(ctx context.Context, images []transport.Image) error {
	var items []archive.Item
	seen, zstd := map[digest.Digest]bool{}, false
	for _, img := range images {
		m := s.noted(img.Root.Digest)
		if m == nil {
			return fmt.Errorf("%s: commit: manifest %s of %s was not written", s.e, img.Root.Digest, img.Name)
		}
		if m.held || seen[img.Root.Digest] {
			continue
		}
		seen[img.Root.Digest] = true
		items, zstd = append(items, m.item(s.load.w)), zstd || m.zstd()
		_, had, err := s.e.inspect(ctx, m.id.String())
		if err != nil {
			return err
		}
		if !had {
			s.fresh = append(s.fresh, m.id)
		}
	}
	if s.load == nil {
		return ctx.Err()
	}
	err := s.load.finish(ctx, func(w *archive.Writer) error { return w.Close(items) })
	if err == nil || ctx.Err() != nil {
		return err
	}
	if lost := s.stacks.lost(ctx); lost != nil {
		return lost
	}
	if zstd {
		return fault.WithHint(err, "a layer is compressed with zstd, which engines before Docker 23.0 cannot unpack")
	}
	return err
}

// check makes sure that the engine knows the image id as ref.
func (e *engine) check(ctx context.Context, ref string, id digest.Digest) error {
	res, ok, err := e.inspect(ctx, ref)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%s: %s is not there after it was loaded", e, ref)
	}
	got, err := e.id(res)
	if err != nil {
		return err
	}
	if got != id {
		return fmt.Errorf("%s: %s is image %s after it was loaded, not %s", e, ref, got, id)
	}
	return nil
}

// sweep removes images that a failed run has brought and that have no name but
// those that it gave. It does what it can: the failure that came before is what
// the user hears of, and an engine before 25.0 that was left in the middle of a
// load goes on with it, so that an image without a name may still appear.
func (e *engine) sweep(fresh []digest.Digest, given map[transport.Name]bool) {
	ctx, cancel := context.WithTimeout(context.Background(), sweepTime)
	defer cancel()
	for _, id := range fresh {
		res, ok, err := e.inspect(ctx, id.String())
		if err != nil {
			return
		}
		others := slices.ContainsFunc(slices.Concat(res.RepoTags, res.RepoDigests), func(s string) bool {
			n, err := transport.ParseName(s)
			return err != nil || !given[n]
		})
		if ok && !others {
			_, _ = e.api.ImageRemove(ctx, id.String(), client.ImageRemoveOptions{PruneChildren: true, Force: len(given) > 0})
		}
	}
}
