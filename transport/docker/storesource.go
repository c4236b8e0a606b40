package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/layout"
)

// storeSource reads images from an engine with containerd's store, which exports
// OCI layouts with everything as it is. What [storeSource.Images] selects is
// exported right then and kept until Close in temporary files that have no names,
// so that they go away even when bale is killed. Everything else is read from
// there.
type storeSource struct {
	e *engine

	exporting sync.Mutex // held while the engine exports

	mu        sync.Mutex // guards what follows
	exports   []*storeExport
	roots     map[digest.Digest]bool // that were exported
	artifacts map[string]bool        // repositories whose artifacts were
}

// storeExport is one export: a file and the layout that is in it.
type storeExport struct {
	spool *os.File
	transport.Source
	// referrers are what is attached to manifests, by their digests.
	referrers map[digest.Digest][]v1.Descriptor
}

// Images implements [transport.Source]. The selector is a name by Docker's rules,
// with a tag or the digest of what it stands for, or an image ID, whole or short,
// with or without "sha256:": here that is the digest of the image's manifest or
// index. An image chosen by ID is called by the first of its names. "" selects
// every image that has a name, once for each name, sorted.
func (s *storeSource) Images(ctx context.Context, selector string) ([]transport.Image, error) {
	refs, err := s.e.find(ctx, selector)
	if err != nil {
		return nil, err
	}
	if err := s.export(ctx, refs); err != nil {
		return nil, err
	}
	out := make([]transport.Image, 0, len(refs))
	for _, r := range refs {
		out = append(out, transport.Image{Name: r.name, Root: r.root})
	}
	return out, nil
}

// Prepare implements [transport.Preparer]: one export for all selectors, since
// an engine exports what images share once for each time it is asked.
func (s *storeSource) Prepare(ctx context.Context, selectors []string) error {
	refs, err := s.e.findAll(ctx, selectors)
	if err != nil {
		return err
	}
	return s.export(ctx, refs)
}

// export fetches those of the images that no earlier call fetched. They go by
// digest, so that a tag that is moved meanwhile changes nothing. An engine that fails
// to export several images does not say which is at fault: they are fetched one by
// one then.
func (s *storeSource) export(ctx context.Context, refs []ref) error {
	s.exporting.Lock()
	defer s.exporting.Unlock()
	var together []ref
	for _, r := range s.lacking(refs) {
		platforms, err := s.e.apart(ctx, r.id)
		if err != nil {
			return err
		}
		if len(platforms) == 0 {
			together = append(together, r)
			continue
		}
		if err := s.fetchOne(ctx, r, platforms...); err != nil {
			return err
		}
	}
	if len(together) > 1 {
		ids := make([]digest.Digest, len(together))
		for i, r := range together {
			ids[i] = r.id
		}
		if err := s.fetch(ctx, ids); err == nil || !blamesImage(ctx, err) {
			return err
		}
	}
	for _, r := range together {
		if err := s.fetchOne(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// fetchOne is fetch for one image, which an error names.
func (s *storeSource) fetchOne(ctx context.Context, r ref, platforms ...v1.Platform) error {
	err := s.fetch(ctx, []digest.Digest{r.id}, platforms...)
	if err == nil || !blamesImage(ctx, err) {
		return err
	}
	// An index that lists only indexes is one that Docker loads and does not export.
	return fault.WithHint(fmt.Errorf("%s: %w", r, err), "not all that Docker keeps can be exported: take this image from its registry, or name the other images that are wanted")
}

// blamesImage reports whether it may be an image that makes an export fail, and not
// the connection or a file on this side.
func blamesImage(ctx context.Context, err error) bool {
	var file *fs.PathError
	return ctx.Err() == nil && !errors.As(err, &file) && !client.IsErrConnectionFailed(err)
}

// apart returns the platforms to ask for if an image has to be exported by itself:
// an engine fails to export an index if what suits it best is not there, unless it
// is asked for others.
func (e *engine) apart(ctx context.Context, id digest.Digest) ([]v1.Platform, error) {
	res, ok, err := e.inspect(ctx, id.String())
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fault.Missing("%s: image %s is gone since it was found", e, id)
	}
	if !transport.IsIndex(res.Descriptor.MediaType) {
		return nil, nil
	}
	whole := true
	var have []v1.Platform
	for _, m := range res.Manifests {
		p := m.Descriptor.Platform
		switch {
		case p == nil:
		case !m.Available:
			whole = false
		case !slices.ContainsFunc(have, func(o v1.Platform) bool { return transport.FormatPlatform(o) == transport.FormatPlatform(*p) }):
			have = append(have, *p)
		}
	}
	switch {
	case whole || len(have) == 0:
		return nil, nil
	}
	// One alone would mean its manifest without the index, and there may be one.
	return append(have, v1.Platform{OS: "none", Architecture: "none"}), nil
}

func (s *storeSource) fetch(ctx context.Context, ids []digest.Digest, platforms ...v1.Platform) error {
	f, size, err := s.e.save(ctx, ids, platforms...)
	if err != nil {
		return err
	}
	x := &storeExport{spool: f}
	if err := x.open(ctx, size, s.e.String()+": export"); err != nil {
		_ = f.Close() // its content is of no use any more
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exports = append(s.exports, x)
	if s.roots == nil {
		s.roots = map[digest.Digest]bool{}
	}
	for _, id := range ids {
		s.roots[id] = true
	}
	return nil
}

// open reads what an export holds, and what of it is attached to what.
func (x *storeExport) open(ctx context.Context, size int64, where string) (err error) {
	if x.Source, err = layout.OpenTar(ctx, x.spool, size, where); err != nil {
		return err
	}
	entries, err := x.Source.Images(ctx, "")
	if err != nil {
		return err
	}
	x.referrers = map[digest.Digest][]v1.Descriptor{}
	for _, e := range entries {
		content, err := x.Manifest(ctx, e, e.Root)
		if errors.Is(err, fault.ErrMissing) {
			continue
		}
		if err != nil {
			return err
		}
		m, err := transport.ParseManifest(e.Root.MediaType, content)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", where, e.Root.Digest, err)
		}
		if m.Subject != "" {
			x.referrers[m.Subject] = append(x.referrers[m.Subject], e.Root)
		}
	}
	return nil
}

// lacking returns those whose roots were not exported, sorted, each root once.
func (s *storeSource) lacking(refs []ref) []ref {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []ref
	for _, r := range refs {
		if !s.roots[r.id] {
			list = append(list, r)
		}
	}
	slices.SortStableFunc(list, func(a, b ref) int { return cmp.Compare(a.id, b.id) })
	return slices.CompactFunc(list, func(a, b ref) bool { return a.id == b.id })
}

// all returns the exports there are.
func (s *storeSource) all() []*storeExport {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exports
}

// Manifest implements [transport.Source].
func (s *storeSource) Manifest(ctx context.Context, in transport.Image, d v1.Descriptor) ([]byte, error) {
	for _, x := range s.all() {
		content, err := x.Manifest(ctx, in, d)
		if !errors.Is(err, fault.ErrMissing) {
			return content, err
		}
	}
	return nil, fault.Missing("%s: no manifest %s in what it exported", s.e, d.Digest)
}

// Blob implements [transport.Source].
func (s *storeSource) Blob(ctx context.Context, in transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	for _, x := range s.all() {
		r, err := x.Blob(ctx, in, d)
		if !errors.Is(err, fault.ErrMissing) {
			return r, err
		}
	}
	return nil, fault.WithHint(fault.Missing("%s: no blob %s in what it exported", s.e, d.Digest),
		"the engine exports no more than the manifest of an image that it has in part: take it from its registry")
}

// Lacks implements [transport.Partial]: an engine pulls one platform of an index,
// and exports of the others no more than a manifest.
func (s *storeSource) Lacks(ctx context.Context, in transport.Image, d v1.Descriptor) (bool, error) {
	return s.lacks(ctx, in, d, 0)
}

func (s *storeSource) lacks(ctx context.Context, in transport.Image, d v1.Descriptor, depth int) (bool, error) {
	if depth > transport.MaxDepth {
		return false, fault.Damaged("%s: indexes are nested more than %d deep", s.e, transport.MaxDepth)
	}
	if !transport.IsIndex(d.MediaType) && !transport.IsManifest(d.MediaType) {
		return s.lacksBlob(ctx, in, d)
	}
	content, err := s.Manifest(ctx, in, d)
	if errors.Is(err, fault.ErrMissing) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	m, err := transport.ParseManifest(d.MediaType, content)
	if err != nil {
		return false, fmt.Errorf("%s: %s: %w", s.e, d.Digest, err)
	}
	for _, c := range m.Manifests {
		if lacks, err := s.lacks(ctx, in, c, depth+1); lacks || err != nil {
			return lacks, err
		}
	}
	blobs := m.Layers
	if m.Config != nil {
		blobs = append([]v1.Descriptor{*m.Config}, blobs...)
	}
	for _, b := range blobs {
		if leftOut(b) {
			continue
		}
		if lacks, err := s.lacksBlob(ctx, in, b); lacks || err != nil {
			return lacks, err
		}
	}
	return false, nil
}

func (s *storeSource) lacksBlob(ctx context.Context, in transport.Image, d v1.Descriptor) (bool, error) {
	r, err := s.Blob(ctx, in, d)
	if errors.Is(err, fault.ErrMissing) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, r.Close()
}

// Referrers implements [transport.Referring]: what the engine keeps with a manifest
// it exports with it; what is attached to an index, or has a tag for it, is another
// image there, which is called by its digest.
func (s *storeSource) Referrers(ctx context.Context, in transport.Image, d v1.Descriptor) ([]transport.Image, error) {
	if err := s.exportArtifacts(ctx, in.Name.Repository()); err != nil {
		return nil, err
	}
	var out []transport.Image
	seen := map[digest.Digest]bool{}
	for _, x := range s.all() {
		for _, r := range x.referrers[d.Digest] {
			if seen[r.Digest] {
				continue
			}
			seen[r.Digest] = true
			out = append(out, transport.Image{Name: transport.Name{Domain: in.Name.Domain, Path: in.Name.Path, Digest: r.Digest}, Root: r})
		}
	}
	for _, kind := range transport.AttachedTags {
		name := transport.Name{Domain: in.Name.Domain, Path: in.Name.Path, Tag: transport.AttachedTag(d.Digest, kind)}
		res, ok, err := s.e.inspect(ctx, name.String())
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		r, err := s.e.ref(name, res)
		if err != nil {
			return nil, err
		}
		if err := s.export(ctx, []ref{r}); err != nil {
			return nil, err
		}
		out = append(out, transport.Image{Name: name, Root: r.root})
	}
	return out, ctx.Err()
}

// exportArtifacts exports what is in a repository, is called by no more than its
// digest and is no container image: it may be attached to something.
func (s *storeSource) exportArtifacts(ctx context.Context, repository string) error {
	s.mu.Lock()
	known := s.artifacts[repository]
	s.mu.Unlock()
	if known {
		return nil
	}
	res, err := s.e.api.ImageList(ctx, client.ImageListOptions{Manifests: true})
	if err != nil {
		return s.e.fail("list images", err)
	}
	var refs []ref
	for _, img := range res.Items {
		names, err := s.e.names(img.RepoTags, img.RepoDigests)
		if err != nil {
			return err
		}
		is := func(m image.ManifestSummary) bool { return m.Kind == image.ManifestKindImage }
		here := func(n transport.Name) bool { return n.Tag == "" && n.Repository() == repository }
		if slices.ContainsFunc(img.Manifests, is) || !slices.ContainsFunc(names, here) {
			continue
		}
		id, err := s.e.parseID(img.ID)
		if err != nil {
			return err
		}
		refs = append(refs, ref{id: id})
	}
	if err := s.export(ctx, refs); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.artifacts == nil {
		s.artifacts = map[string]bool{}
	}
	s.artifacts[repository] = true
	return nil
}

// Local implements [transport.Local]: what was exported lies in files.
func (s *storeSource) Local() bool { return true }

// Close implements [transport.Source].
func (s *storeSource) Close() error {
	errs := []error{s.e.api.Close()}
	for _, x := range s.all() {
		errs = append(errs, x.Close(), x.spool.Close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exports = nil
	return errors.Join(errs...)
}

var (
	_ transport.Source    = (*storeSource)(nil)
	_ transport.Local     = (*storeSource)(nil)
	_ transport.Preparer  = (*storeSource)(nil)
	_ transport.Partial   = (*storeSource)(nil)
	_ transport.Referring = (*storeSource)(nil)
)
