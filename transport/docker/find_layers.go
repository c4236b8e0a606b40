package docker

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"bale/transport"
)

const (
	// maxInspected bounds how many images an engine is asked about for layers.
	maxInspected = 4096
	// inspecting is how many images it is asked about at a time.
	inspecting = 4
)

var (
	_ transport.Holding = (*classicSource)(nil)
	_ transport.Holding = (*storeSource)(nil)
)

// exporter is a source that has what its engine has exported.
type exporter interface {
	export(ctx context.Context, refs []ref) error
	// unpacked opens a layer of what was exported, by its diff id.
	unpacked(ctx context.Context, diffID digest.Digest) (io.ReadCloser, error)
}

// FindLayers implements [transport.Holding]. An engine is one whole: all its
// images count, those without a name too, and those whose repositories are
// among near are taken first if there is a choice. Few images are chosen that
// have the layers, and exported when the first layer is opened, all at once.
// An engine has layers unpacked, so they are found by diff id.
func (s *classicSource) FindLayers(ctx context.Context, near []transport.Name, want []transport.Layer) ([]transport.FoundLayer, error) {
	return s.e.findLayers(ctx, s, near, want)
}

// FindLayers implements [transport.Holding] as that of other engines does: what
// blobs an image has, this one does not tell before it exports it, but only what
// its layers unpack to, of the platform that suits it best.
func (s *storeSource) FindLayers(ctx context.Context, near []transport.Name, want []transport.Layer) ([]transport.FoundLayer, error) {
	return s.e.findLayers(ctx, s, near, want)
}

func (s *classicSource) unpacked(ctx context.Context, diffID digest.Digest) (io.ReadCloser, error) {
	return s.Blob(ctx, transport.Image{}, v1.Descriptor{Digest: diffID})
}

func (e *engine) findLayers(ctx context.Context, from exporter, near []transport.Name, want []transport.Layer) ([]transport.FoundLayer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	wanted := map[digest.Digest]bool{}
	for _, l := range want {
		wanted[l.Digest], wanted[l.DiffID] = true, true
	}
	delete(wanted, "")
	if len(wanted) == 0 {
		return nil, nil
	}
	images, err := e.holders(ctx, near)
	if err != nil {
		return nil, err
	}
	h := &held{e: e, from: from, images: cover(images, wanted), turn: make(chan struct{}, 1)}
	has := map[digest.Digest]bool{}
	for _, img := range h.images {
		for _, l := range img.layers {
			has[l] = true
		}
	}
	var found []transport.FoundLayer
	for i, l := range want {
		for _, d := range []digest.Digest{l.DiffID, l.Digest} {
			if has[d] {
				found = append(found, transport.FoundLayer{Index: i, Digest: d, Open: h.opener(d)})
				break
			}
		}
	}
	return found, nil
}

// holder is an image at the engine and what it is made of.
type holder struct {
	id     digest.Digest
	name   string // one of its names, for people; "" if it has none
	near   bool
	size   int64 // bytes of all its layers
	layers []digest.Digest
}

// String returns what to call the image in a message.
func (h holder) String() string {
	if h.name == "" {
		return h.id.String()
	}
	return fmt.Sprintf("%s (%s)", h.id, h.name)
}

// holders returns the engine's images: all that have a name, and those without
// that no other is built on. So all layers are among theirs.
func (e *engine) holders(ctx context.Context, near []transport.Name) ([]holder, error) {
	res, err := e.api.ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		return nil, e.fail("list images", err)
	}
	repositories := map[string]bool{}
	for _, n := range near {
		repositories[n.Repository()] = true
	}
	var images []holder
	for _, img := range res.Items {
		id, err := e.parseID(img.ID)
		if err != nil {
			return nil, err
		}
		images = append(images, newHolder(id, img, repositories))
	}
	slices.SortFunc(images, prefer)
	images = images[:min(len(images), maxInspected)]
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(inspecting)
	for i := range images {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error {
			// One that was deleted since it was listed has no layers.
			res, ok, err := e.inspect(gctx, images[i].id.String())
			if ok {
				for _, l := range res.RootFS.Layers {
					images[i].layers = append(images[i].layers, digest.Digest(l))
				}
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return images, ctx.Err()
}

func newHolder(id digest.Digest, img image.Summary, near map[string]bool) holder {
	h := holder{id: id, size: img.Size}
	for _, s := range slices.Concat(img.RepoTags, img.RepoDigests) {
		n, err := transport.ParseName(s)
		if err != nil {
			continue // "<none>:<none>", for one
		}
		if h.name == "" {
			h.name = s
		}
		h.near = h.near || near[n.Repository()]
	}
	return h
}

// prefer orders images by how gladly they are exported for their layers.
func prefer(a, b holder) int {
	switch {
	case a.near && !b.near:
		return -1
	case b.near && !a.near:
		return 1
	}
	return cmp.Or(cmp.Compare(a.size, b.size), cmp.Compare(a.id, b.id))
}

// cover chooses few of images, which are in order of preference, that have all
// of the wanted layers that there are: the one with most of those that are left,
// again and again.
func cover(images []holder, wanted map[digest.Digest]bool) []holder {
	done := map[digest.Digest]bool{}
	gain := func(h holder) int {
		n := map[digest.Digest]bool{}
		for _, l := range h.layers {
			if wanted[l] && !done[l] {
				n[l] = true // an image may have a layer twice
			}
		}
		return len(n)
	}
	var chosen []holder
	for {
		best, most := 0, 0
		for i, h := range images {
			if n := gain(h); n > most {
				best, most = i, n
			}
		}
		if most == 0 {
			return chosen
		}
		chosen = append(chosen, images[best])
		for _, l := range images[best].layers {
			done[l] = true
		}
	}
}

// held is images that have layers which were found.
type held struct {
	e      *engine
	from   exporter
	images []holder
	turn   chan struct{} // held while the engine exports, so that waiting for it can end
}

// opener opens a layer, which the engine exports before that.
func (h *held) opener(layer digest.Digest) transport.Opener {
	return func(ctx context.Context) (io.ReadCloser, error) {
		if err := h.export(ctx, layer); err != nil {
			return nil, err
		}
		return h.from.unpacked(ctx, layer)
	}
}

// export has the engine export the images, unless it did; layer is what is
// wanted just now.
func (h *held) export(ctx context.Context, layer digest.Digest) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	refs := make([]ref, len(h.images))
	for i, img := range h.images {
		refs[i].id = img.id
	}
	err := h.from.export(ctx, refs)
	if err == nil || ctx.Err() != nil {
		return err
	}
	// What an engine says of an image that is gone differs.
	for _, img := range h.images {
		if _, ok, ierr := h.e.inspect(ctx, img.id.String()); ierr == nil && !ok {
			return transport.Gone(layer, fmt.Errorf("%s: no image %s", h.e, img))
		}
	}
	return err
}
